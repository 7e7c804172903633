// SPDX-License-Identifier: BSD-3-Clause
#include <mpi.h>
#include <ucp/api/ucp.h>

#include <string>

#include "base/text.hpp"
#include "config.h"
#include "kernels/host.hpp"
#include "tools/sections.hpp"

namespace mpix::tools {
namespace {

std::string mpi_at_run_time() {
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  if (MPI_Get_library_version(version, &length) != MPI_SUCCESS) return "unknown";
  // MPICH: many lines "name:<tab>value"; Open MPI: one line with commas.
  std::string first(version, static_cast<std::size_t>(length));
  first = first.substr(0, first.find_first_of("\n,"));
  for (char& c : first)
    if (c == '\t') c = ' ';
  while (!first.empty() && first.back() == ' ') first.pop_back();
  return first;
}

std::string kernel_names() {
  std::string names;
  for (const char* name : {"avx512", "avx2", "portable"})
    if (kernels::host_kernels(name) != nullptr) names += text(names.empty() ? "" : " ", name);
  const kernels::HostKernels* best = kernels::host_kernels("auto");
  return text(names, "; auto takes ", best == nullptr ? "none" : best->name);
}

std::string hwloc_text() {
#ifdef HAVE_HWLOC
  return "yes";
#else
  return "no: network interfaces near a rank are not preferred";
#endif
}

std::string cuda_text() {
#ifdef HAVE_CUDA
  return "yes";
#else
  return "no";
#endif
}

}  // namespace

std::string build_section() {
  return text(
      "Build\n", line("version", PACKAGE_VERSION), line("C++ compiler", MPIX_BUILD_CXX),
      line("C++ flags", MPIX_BUILD_CXXFLAGS), line("C compiler", MPIX_BUILD_CC),
      line("Fortran compiler", MPIX_BUILD_FC), line("configure options", MPIX_BUILD_OPTIONS),
      line("MPI", text(MPIX_MPI_BUILT_WITH, " at configure time, ", mpi_at_run_time(), " now")),
      line("UCX", text(MPIX_UCX_BUILT_WITH, " at configure time, ", ucp_get_version_string(), " now")),
      line("hwloc", hwloc_text()), line("CUDA", cuda_text()), line("host kernels", kernel_names()), "\n");
}

}  // namespace mpix::tools
