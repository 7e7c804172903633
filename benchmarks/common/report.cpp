// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/report.hpp"

#include <mpix_layout.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "benchmarks/common/check.hpp"
#include "benchmarks/common/patterns.hpp"

namespace mpix::bench {
namespace {

constexpr int kSizeWidth = 10;
constexpr int kCellWidth = 18;
constexpr int kPrecision = 2;

const char* validation_text(Validation validation) {
  switch (validation) {
    case Validation::none:
      return "";
    case Validation::passed:
      return "Pass";
    case Validation::failed:
      return "Fail";
  }
  return "";
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  check(MPI_Get_library_version(text, &length), "MPI_Get_library_version");
  const std::string whole(text, static_cast<std::size_t>(length));
  return whole.substr(0, whole.find_first_of("\n,"));
}

std::string library_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  check(MPIX_Layout_get_version(&major, &minor, &patch), "MPIX_Layout_get_version");
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

std::string host_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "unknown";
}

}  // namespace

void print_head(const Options& options, const std::string& title, int ranks) {
  std::printf("\n# %s v%s\n", title.c_str(), library_version().c_str());
  std::printf("# %d ranks, pattern %s, api %s, memory %s, seed %llu; %s\n", ranks, name(options.pattern),
              name(options.api), memory_text(options).c_str(), static_cast<unsigned long long>(options.seed),
              mpi_version().c_str());
  if (!options.left_out.empty()) std::printf("# %s\n", options.left_out.c_str());
}

int label_width(const Options& options, int ranks) {
  std::size_t width = 6;
  for (const Case& what : list_cases(options, ranks)) width = std::max(width, label(what).size() + 1);
  return static_cast<int>(width);
}

void print_case_heads(const Options& options, int width) {
  std::printf("%-*s%-*s", kSizeWidth, "# Size", width, options.pattern == Pattern::fft ? "Transpose" : "Row");
}

void print_case(const Case& what, int width) {
  std::printf("%-*lld%-*s", kSizeWidth, static_cast<long long>(what.size), width, label(what).c_str());
}

void print_cell(const std::string& text) {
  std::printf("%*s", kCellWidth, text.c_str());
}

void print_cell(double value) {
  std::printf("%*.*f", kCellWidth, kPrecision, value);
}

void print_validation(Validation validation) {
  if (validation != Validation::none) print_cell(validation_text(validation));
}

void end_line() {
  std::printf("\n");
  std::fflush(stdout);
}

Json describe_run(const Options& options, const std::string& title, int ranks) {
  Json json;
  json.add("benchmark", title).add("library", library_version()).add("mpi", mpi_version());
  json.add("host", host_name()).add("ranks", static_cast<long long>(ranks));
  json.add("pattern", name(options.pattern))
      .add("api", name(options.api))
      .add("memory", memory_text(options));
  json.add("seed", static_cast<long long>(options.seed));
  return json;
}

Json describe_case(const Case& what, Validation validation) {
  Json json;
  json.add("size", static_cast<long long>(what.size)).add("case", label(what));
  if (validation != Validation::none) json.add("validation", validation_text(validation));
  return json;
}

void write_file(const std::string& path, const Json& content) {
  std::ofstream file(path);
  file << content.text() << '\n';
  file.close();
  if (!file) throw Error(path + ": cannot be written");
}

}  // namespace mpix::bench
