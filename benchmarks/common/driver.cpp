// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/driver.hpp"

#include <cstdio>
#include <exception>

#include "benchmarks/common/validate.hpp"
#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench {
namespace {

/// Gives the number of wrong exchanges.
int run_case(const Options& options, const Case& what, MPI_Comm comm, Table& table) {
  const Exchange exchange = make_exchange(options, what, comm);
  const std::string name = label(what) + ", " + std::to_string(what.size) + " bytes a peer";
  if (!fits(options, name, exchange, comm)) return 0;
  const Buffers buffers = make_buffers(options, exchange);
  const Methods methods = make_methods(options, exchange, buffers);
  if (!options.validate) {
    table.measure(what, methods);
    table.print(Validation::none);
    return 0;
  }
  const Validator validator(exchange, buffers);
  int errors = validate(methods, validator, name, comm, 0);
  table.measure(what, methods);
  errors += validate(methods, validator, name, comm, 1000);
  table.print(errors == 0 ? Validation::passed : Validation::failed);
  return errors;
}

int run_all(const Options& options, MakeTable make_table, MPI_Comm comm) {
  int errors = 0;
  const auto table = make_table(options, comm);
  table->begin();
  for (const Case& what : list_cases(options, comm_size(comm)))
    errors += run_case(options, what, comm, *table);
  table->end();
  return errors == 0 ? 0 : kFailed;
}

int parse_and_run(int argc, char* argv[], Program program, MakeTable make_table) {
  const bool prints = comm_rank(MPI_COMM_WORLD) == 0;
  Options options;
  try {
    options = parse_options(argc, argv, program);
    if (options.pattern == Pattern::fft) process_grid(options, comm_size(MPI_COMM_WORLD));
  } catch (const Error& error) {
    if (prints) std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return kUsage;
  }
  if (options.help || options.version) {
    if (prints && options.help) std::fputs(help_text(program).c_str(), stdout);
    if (prints && options.version) print_versions();
    return 0;
  }
  start_gpu(options, MPI_COMM_WORLD);
  return run_all(options, make_table, MPI_COMM_WORLD);
}

}  // namespace

bool fits(const Options& options, const std::string& name, const Exchange& exchange, MPI_Comm comm) {
  const std::int64_t mine = buffer_bytes(options, exchange);
  std::int64_t most = 0;
  check(MPI_Allreduce(&mine, &most, 1, MPI_INT64_T, MPI_MAX, comm), "MPI_Allreduce");
  if (most <= options.memory_limit) return true;
  if (comm_rank(comm) == 0) {
    std::printf("# %s: skipped, its buffers take %lld bytes a rank, -M allows %lld\n", name.c_str(),
                static_cast<long long>(most), static_cast<long long>(options.memory_limit));
  }
  return false;
}

void start_gpu(const Options& options, MPI_Comm comm) {
  if (!options.on_gpu.any()) return;
  gpu::start(comm);
  if (comm_rank(comm) == 0) std::printf("# %s\n", gpu::description().c_str());
}

void print_versions() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  check(MPIX_Layout_get_version(&major, &minor, &patch), "MPIX_Layout_get_version");
  std::printf("benchmark %d.%d.%d, library %d.%d.%d\n", MPIX_LAYOUT_VERSION_MAJOR, MPIX_LAYOUT_VERSION_MINOR,
              MPIX_LAYOUT_VERSION_PATCH, major, minor, patch);
}

int inside_mpi(int argc, char* argv[], const std::function<int()>& body) {
  try {
    check(MPI_Init(&argc, &argv), "MPI_Init");
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    const int status = body();
    check(MPI_Finalize(), "MPI_Finalize");
    return status;
  } catch (const std::exception& error) {
    // The other ranks may be waiting for this one inside MPI.
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    check_noexcept(MPI_Abort(MPI_COMM_WORLD, kFailed), "MPI_Abort");
    return kFailed;
  }
}

int drive(int argc, char* argv[], Program program, MakeTable make_table) {
  return inside_mpi(argc, argv, [&] { return parse_and_run(argc, argv, program, make_table); });
}

}  // namespace mpix::bench
