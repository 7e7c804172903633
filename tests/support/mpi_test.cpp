// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/mpi_test.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>

namespace mpix::test {
namespace {

struct Entry {
  std::string name;
  void (*body)(Case&);
  Options options;
};

enum Outcome : int { passed = 0, skipped = 1, failed = 2 };

struct Settings {
  std::string filter;
  std::uint64_t seed = 0;
  int size = 0;
  int repeat = 1;
  bool list = false;
};

struct Tally {
  int passed = 0, failed = 0, skipped = 0;
};

std::vector<Entry>& registry() {
  static std::vector<Entry> entries;
  return entries;
}

int required_level = MPI_THREAD_FUNNELED;
int provided_level = MPI_THREAD_SINGLE;
std::atomic<Case*> running{nullptr};
MPI_Comm harness_comm = MPI_COMM_NULL;
int world_rank = 0;
int world_size = 0;

[[noreturn]] void die(const std::string& message) {
  std::fprintf(stderr, "mpi_test: %s\n", message.c_str());
  MPI_Abort(MPI_COMM_WORLD, 2);
  _exit(2);
}

/// For the harness itself, which cannot go on after an error.
void must(int code, const char* what) {
  if (code != MPI_SUCCESS) die(text(what, ": ", error_text(code)));
}

std::uint64_t random_seed() {
  std::random_device device;
  return device() % 1000000000;
}

Settings parse(int argc, char** argv) {
  Settings settings;
  const char* seed = getenv("MPIX_TEST_SEED");
  settings.seed = seed != nullptr && *seed != '\0' ? std::strtoull(seed, nullptr, 0) : random_seed();
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--list") {
      settings.list = true;
      continue;
    }
    if (i + 1 >= argc) die(option + ": unknown option, or without its value");
    const char* value = argv[++i];
    if (option == "--filter")
      settings.filter = value;
    else if (option == "--seed")
      settings.seed = std::strtoull(value, nullptr, 0);
    else if (option == "--size")
      settings.size = std::atoi(value);
    else if (option == "--repeat")
      settings.repeat = std::atoi(value);
    else
      die(option + ": unknown option");
  }
  return settings;
}

/// Waits for all ranks without using the processor, which the ranks of the case need.
void quiet_barrier() {
  MPI_Request request = MPI_REQUEST_NULL;
  must(MPI_Ibarrier(harness_comm, &request), "MPI_Ibarrier");
  int done = 0;
  for (useconds_t pause = 50; done == 0; pause = std::min<useconds_t>(2 * pause, 2000)) {
    must(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0) usleep(pause);
  }
}

Outcome run_body(const Entry& entry, MPI_Comm comm, std::uint64_t seed, std::string& reason) {
  Case test(comm, seed);
  running = &test;
  Outcome outcome = passed;
  try {
    entry.body(test);
  } catch (const Skip& skip_reason) {
    outcome = skipped;
    reason = skip_reason.what();
  } catch (const Stop&) {
    outcome = failed;
  } catch (const std::exception& error) {
    test.fail(entry.name.c_str(), 0, text("exception, others may hang now: ", error.what()));
  }
  if (test.failures() > 0) outcome = failed;
  watchdog_phase("waiting for the other ranks' results");
  quiet_barrier();
  running = nullptr;
  return outcome;
}

/// A communicator of `size` ranks, which start at a place that depends on the seed; null on the others.
MPI_Comm make_comm(int size, std::uint64_t seed) {
  const int first = static_cast<int>(mix(seed, 77) % static_cast<std::uint64_t>(world_size));
  const int place = (world_rank - first + world_size) % world_size;
  MPI_Comm comm = MPI_COMM_NULL;
  must(MPI_Comm_split(harness_comm, place < size ? 0 : MPI_UNDEFINED, place, &comm), "MPI_Comm_split");
  if (comm != MPI_COMM_NULL) must(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "set_errhandler");
  return comm;
}

/// Where the ranks of a case disagree about skipping, that is a failure.
Outcome agree(Outcome mine, bool took_part) {
  const int value = mine;
  int worst = 0, fewest = 0;
  const int low = took_part ? value : static_cast<int>(failed);
  must(MPI_Allreduce(&value, &worst, 1, MPI_INT, MPI_MAX, harness_comm), "MPI_Allreduce");
  must(MPI_Allreduce(&low, &fewest, 1, MPI_INT, MPI_MIN, harness_comm), "MPI_Allreduce");
  return worst == skipped && fewest == passed ? failed : static_cast<Outcome>(worst);
}

void count(Tally& tally, Outcome outcome) {
  if (outcome == passed) ++tally.passed;
  if (outcome == failed) ++tally.failed;
  if (outcome == skipped) ++tally.skipped;
}

/// Rank 0 prints the line, but only a rank that took part knows why it skipped.
void report(const Entry& entry, int size, Outcome outcome, std::string reason, std::uint64_t seed,
            double seconds) {
  std::vector<char> all(static_cast<std::size_t>(world_size) * 256);
  reason.resize(256);
  must(MPI_Gather(reason.data(), 256, MPI_CHAR, all.data(), 256, MPI_CHAR, 0, harness_comm), "MPI_Gather");
  if (world_rank != 0) return;
  static const char* const words[] = {"PASS", "SKIP", "FAIL"};
  std::string line =
      text(words[outcome], ' ', entry.name, " [", size, "] ", static_cast<int>(seconds * 1000), " ms");
  if (outcome == failed) line += text(" (--filter ", entry.name, " --size ", size, " --seed ", seed, ")");
  for (int r = 0; outcome == skipped && r < world_size; ++r) {
    const char* const why = &all[static_cast<std::size_t>(r) * 256];
    if (*why == '\0') continue;
    line += text(": ", why);
    break;
  }
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void run(const Entry& entry, int size, std::uint64_t base, int repetition, Tally& tally) {
  std::uint64_t seed = mix(mix(base, entry.name), static_cast<std::uint64_t>(size));
  if (repetition > 0) seed = mix(seed, static_cast<std::uint64_t>(repetition));
  Outcome outcome = passed;
  std::string reason;
  const double start = MPI_Wtime();
  bool took_part = false;
  if (size > world_size) {
    outcome = skipped;
    reason = text("the job has ", world_size, " ranks");
    took_part = true;
  } else if (entry.options.long_running && getenv("MPIX_TEST_LONG") == nullptr) {
    outcome = skipped;
    reason = "long: set MPIX_TEST_LONG=1";
    took_part = true;
  } else {
    const char* limit = getenv("MPIX_TEST_TIMEOUT");
    watchdog_arm(text(entry.name, " [", size, "] seed ", base),
                 limit != nullptr ? std::atof(limit) : entry.options.timeout);
    MPI_Comm comm = make_comm(size, seed);
    took_part = comm != MPI_COMM_NULL;
    if (took_part) {
      outcome = run_body(entry, comm, seed, reason);
      watchdog_phase("freeing the communicator");
      must(MPI_Comm_free(&comm), "MPI_Comm_free");
    } else {
      watchdog_phase("not in the case's communicator");
      quiet_barrier();
    }
  }
  outcome = agree(outcome, took_part);
  count(tally, outcome);
  report(entry, size, outcome, reason, base, MPI_Wtime() - start);
  watchdog_disarm();
}

void run_all(const Settings& settings, Tally& tally) {
  for (const Entry& entry : registry()) {
    if (entry.name.find(settings.filter) == std::string::npos) continue;
    for (const int size : entry.options.sizes) {
      if (settings.size != 0 && settings.size != size) continue;
      for (int r = 0; r < settings.repeat; ++r) run(entry, size, settings.seed, r, tally);
    }
  }
}

void start_up(int& argc, char**& argv) {
  setenv("MPIX_LAYOUT_TIMEOUT", "40", 0);  // below the watchdog's, so that the library reports first
  if (getenv("MPIX_TEST_THREAD_MULTIPLE") != nullptr) required_level = MPI_THREAD_MULTIPLE;
  must(MPI_Init_thread(&argc, &argv, required_level, &provided_level), "MPI_Init_thread");
  must(MPI_Comm_dup(MPI_COMM_WORLD, &harness_comm), "MPI_Comm_dup");
  for (MPI_Comm comm : {MPI_COMM_WORLD, MPI_COMM_SELF, harness_comm})
    must(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  must(MPI_Comm_rank(harness_comm, &world_rank), "MPI_Comm_rank");
  must(MPI_Comm_size(harness_comm, &world_size), "MPI_Comm_size");
}

int main_program(int argc, char** argv) {
  start_up(argc, argv);
  Settings settings = parse(argc, argv);
  must(MPI_Bcast(&settings.seed, 1, MPI_UINT64_T, 0, harness_comm), "MPI_Bcast");
  if (settings.list && world_rank == 0)
    for (const Entry& entry : registry()) std::printf("%s\n", entry.name.c_str());
  Tally tally;
  if (!settings.list) {
    if (world_rank == 0) {
      std::printf("%s: %d ranks, --seed %llu\n", argv[0], world_size,
                  static_cast<unsigned long long>(settings.seed));
      std::fflush(stdout);
    }
    watchdog_start(world_rank, world_size);
    run_all(settings, tally);
    watchdog_arm("MPI_Finalize", 60);
  }
  must(MPI_Comm_free(&harness_comm), "MPI_Comm_free");
  if (MPI_Finalize() != MPI_SUCCESS) tally.failed++;
  watchdog_stop();
  if (world_rank == 0 && !settings.list)
    std::printf("%d passed, %d failed, %d skipped\n", tally.passed, tally.failed, tally.skipped);
  if (tally.failed > 0) return 1;
  return tally.passed == 0 && tally.skipped > 0 ? 77 : 0;
}

}  // namespace

Case::Case(MPI_Comm communicator, std::uint64_t case_seed)
    : comm(communicator), seed(case_seed), shared(case_seed), own(0) {
  must(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  must(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  own = Rng(mix(case_seed, static_cast<std::uint64_t>(rank) + 1000));
}

void Case::fail(const char* file, int line, const std::string& message) {
  constexpr int kShown = 4;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (++failures_ > kShown) return;
  const std::string out =
      text("FAILURE: rank ", rank, " of ", size, " (world ", world_rank, "): ", file, ":", line, ": ",
           message, failures_ == kShown ? " (further ones not shown)\n" : "\n");
  std::fputs(out.c_str(), stderr);
}

Case& current() {
  return *running.load();
}

void skip(const std::string& reason) {
  throw Skip(reason);
}

std::vector<int> nodes_of(MPI_Comm comm) {
  int size = 0, first = 0;
  OK(MPI_Comm_size(comm, &size));
  OK(MPI_Comm_rank(comm, &first));
  MPI_Comm node = MPI_COMM_NULL;
  OK(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
  OK(MPI_Bcast(&first, 1, MPI_INT, 0, node));
  OK(MPI_Comm_free(&node));
  std::vector<int> all(static_cast<std::size_t>(size));
  OK(MPI_Allgather(&first, 1, MPI_INT, all.data(), 1, MPI_INT, comm));
  return all;
}

Registration::Registration(const char* name, void (*body)(Case&), Options options) {
  registry().push_back({name, body, std::move(options)});
}

Environment::Environment(const char* name, const char* value) {
  setenv(name, value, 0);
}

ThreadLevel::ThreadLevel(int required) {
  required_level = required;
}

int provided_thread_level() {
  return provided_level;
}

std::string error_text(int code) {
  char buffer[MPI_MAX_ERROR_STRING + 1] = {};
  int length = 0;
  if (MPI_Error_string(code, buffer, &length) != MPI_SUCCESS) return text("error ", code);
  return text(code, " (", std::string(buffer, static_cast<std::size_t>(length)), ")");
}

int error_class(int code) {
  int result = -1;
  return MPI_Error_class(code, &result) == MPI_SUCCESS ? result : -1;
}

bool is_open_mpi() {
  char version[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  return MPI_Get_library_version(version, &length) == MPI_SUCCESS &&
         std::strncmp(version, "Open MPI", 8) == 0;
}

}  // namespace mpix::test

int main(int argc, char** argv) {
  return mpix::test::main_program(argc, argv);
}
