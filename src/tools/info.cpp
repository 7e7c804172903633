// SPDX-License-Identifier: BSD-3-Clause
/// mpix_layout_info: what this copy of the library is, how it is configured and what it finds on this node.
#include <mpi.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.hpp"
#include "base/text.hpp"
#include "config.h"
#include "tools/sections.hpp"

namespace mpix::tools {
namespace {

constexpr const char* kUsage =
    "usage: mpix_layout_info [option...]\n"
    "Prints what this copy of mpix-layout is and what it finds on this node; without options, everything.\n"
    "  --build        how it was built\n"
    "  --config       configuration variables: value in force, where it was set, default, meaning\n"
    "  --config=man   the same table as it stands in mpix_layout(7)\n"
    "  --topology     cores, NUMA nodes and network interfaces; under mpirun also the ranks of each node\n"
    "  --transports   ways to move data, and why others are out\n"
    "  --version      version number\n"
    "  --help         this text\n"
    "The exit status is 1 where a configuration variable has a bad value, 2 for an unknown option.\n";

struct Options {
  bool build = false, config = false, topology = false, transports = false;
};

/// Whether a launcher started this process, so that MPI_Init is wanted and only rank 0 should print.
bool launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE", "PMI_RANK"})
    if (std::getenv(name) != nullptr) return true;
  return false;
}

/// Prints `text` on one rank of the job only.
void print_once(const std::function<std::string()>& job, const std::string& text) {
  if (!launched()) {
    std::cout << text;
    return;
  }
  if (MPI_Init(nullptr, nullptr) != MPI_SUCCESS) throw Error(Code::mpi, "MPI_Init failed");
  int rank = 0;
  if (MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS) throw Error(Code::mpi, "MPI_Comm_rank failed");
  const std::string more = job();
  if (rank == 0) std::cout << text << more << std::flush;
  if (MPI_Finalize() != MPI_SUCCESS) throw Error(Code::mpi, "MPI_Finalize failed");
}

int report(const Options& options) {
  std::string faults;
  const Config config = config_in_force(environ, faults);
  std::string text;
  if (options.build) text += build_section();
  if (options.config) text += config_section(environ);
  if (options.topology) text += topology_section();
  if (options.transports) text += transports_section(config) + network_section(config);
  print_once([&] { return options.topology ? job_section() : std::string(); }, text);
  std::cerr << faults;
  return faults.empty() ? 0 : 1;
}

int run(const std::vector<std::string_view>& arguments) {
  Options options;
  for (const std::string_view argument : arguments) {
    if (argument == "--build") {
      options.build = true;
    } else if (argument == "--config") {
      options.config = true;
    } else if (argument == "--topology") {
      options.topology = true;
    } else if (argument == "--transports") {
      options.transports = true;
    } else if (argument == "--config=man") {
      std::cout << config_manual();
      return 0;
    } else if (argument == "--version") {
      std::cout << "mpix-layout " << PACKAGE_VERSION << "\n";
      return 0;
    } else if (argument == "--help" || argument == "-h") {
      std::cout << kUsage;
      return 0;
    } else {
      std::cerr << "mpix_layout_info: unknown option " << argument << "\n" << kUsage;
      return 2;
    }
  }
  if (arguments.empty()) options = {true, true, true, true};
  return report(options);
}

}  // namespace

std::string line(std::string_view name, std::string_view value) {
  constexpr std::size_t kColumn = 26;
  std::string result = text("  ", name);
  result.append(result.size() < kColumn ? kColumn - result.size() : 1, ' ');
  return text(result, value, "\n");
}

}  // namespace mpix::tools

int main(int argc, char** argv) {
  try {
    return mpix::tools::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "mpix_layout_info: " << error.what() << "\n";
    return 1;
  }
}
