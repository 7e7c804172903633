// SPDX-License-Identifier: BSD-3-Clause
/// Command line of the benchmarks: OSU's options and those of this project.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mpix::bench {

enum class Program { blocking, nonblocking };
enum class Pattern { uniform, skewed, fft, moe };
enum class Baseline { packed, datatypes, copy, alltoallv, ipc, direct };
enum class Api { oneshot, plan };
enum class Memory { malloc, alloc, cuda };

/// Whose buffers are in memory of GPUs.
struct OnGpu {
  bool send = false;
  bool recv = false;

  bool any() const { return send || recv; }
  bool both() const { return send && recv; }
};

/// Extents of a grid of complex doubles; z is contiguous.
struct Grid {
  std::int64_t x, y, z;
};

/// From and to: the axis (0 = x) that is divided over the ranks before and after.
struct Transpose {
  bool pencil;
  int from, to;
};

/// Messages of more bytes a peer than this are timed one by one, smaller ones in loops.
inline constexpr std::int64_t kLargeMessage = 8192;

struct Options {
  bool help = false;
  bool version = false;
  bool full = false;
  bool validate = false;
  Pattern pattern = Pattern::uniform;
  std::vector<Baseline> baselines{Baseline::packed, Baseline::datatypes, Baseline::copy};
  bool baselines_given = false;
  std::string left_out;  ///< which baselines there are not, and why, to be told to the user
  Api api = Api::oneshot;
  Memory memory = Memory::malloc;  ///< of buffers that are not in memory of GPUs
  OnGpu on_gpu;
  bool buffers_given = false;
  std::int64_t min_size = 8;
  std::int64_t max_size = std::int64_t{1} << 20;
  std::int64_t total = 0;  ///< bytes a rank sends in all; 0: sizes from min_size to max_size a peer
  std::vector<std::int64_t> rows{64};
  std::vector<Grid> grids{{256, 256, 256}};
  std::vector<Transpose> transposes;  ///< empty: all that move data between ranks
  int procs_x = 0;                    ///< process grid of the pencils, 0: chosen
  int procs_y = 0;
  std::int64_t experts = 256;
  std::int64_t topk = 8;
  std::int64_t tokens = 0;  ///< tokens a rank; 0: from the message size
  double skew = -1;         ///< sigma of the log-normal sizes; below 0: the pattern's default
  int iterations = 0;       ///< 0: by message size
  int warmups = -1;         ///< below 0: by message size
  int test_calls = 0;       ///< nonblocking: MPI_Test calls during the computation
  std::int64_t memory_limit = std::int64_t{1} << 30;
  std::uint64_t seed = 1;
  std::string json;

  Memory send_memory() const { return on_gpu.send ? Memory::cuda : memory; }
  Memory recv_memory() const { return on_gpu.recv ? Memory::cuda : memory; }
  int iterations_for(std::int64_t bytes_per_peer) const;
  int warmups_for(std::int64_t bytes_per_peer) const;
};

const char* name(Pattern pattern);
const char* name(Baseline baseline);
const char* name(Api api);
const char* name(Memory memory);
std::string name(const Transpose& transpose);
/// The buffers' memory, of both sides where they differ.
std::string memory_text(const Options& options);

/// The value of -d. Throws an Error where it is unknown.
void set_accelerator(std::string_view text, Options& options);

/// Throws an Error that names the option and what is wrong with it. No MPI calls.
Options parse_options(int argc, char* const argv[], Program program);

std::string help_text(Program program);

}  // namespace mpix::bench
