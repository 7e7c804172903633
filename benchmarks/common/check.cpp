// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/check.hpp"

#include <climits>
#include <cstdio>

namespace mpix::bench {
namespace {

std::string describe(int code, const char* call) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  return std::string(call) + ": " + std::string(text, static_cast<std::size_t>(length));
}

}  // namespace

void throw_mpi_error(int code, const char* call) {
  throw Error(describe(code, call));
}

void check_noexcept(int code, const char* call) noexcept {
  if (code == MPI_SUCCESS) return;
  try {
    std::fprintf(stderr, "%s\n", describe(code, call).c_str());
  } catch (...) {
    std::fprintf(stderr, "%s failed with code %d\n", call, code);
  }
}

int to_int(long long value, const char* what) {
  if (value < INT_MIN || value > INT_MAX) {
    throw Error(std::string(what) + " is " + std::to_string(value) + ", more than MPI's int interface takes");
  }
  return static_cast<int>(value);
}

int comm_rank(MPI_Comm comm) {
  int rank = 0;
  check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  return rank;
}

int comm_size(MPI_Comm comm) {
  int size = 0;
  check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  return size;
}

}  // namespace mpix::bench
