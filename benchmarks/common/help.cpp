// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/options.hpp"

namespace mpix::bench {
namespace {

constexpr const char* kBlocking =
    R"(Usage: mpirun [...] osu_alltoallv_layout [options]

Latency of MPIX_Alltoallv_layout beside what it replaces, in one run: the iterations of the library and of
the baselines take turns. A figure is the median over the iterations of the longest time of any rank.
Messages of more than 8 KiB a peer are timed one by one behind a barrier, smaller ones in loops.
)";

constexpr const char* kNonblocking =
    R"(Usage: mpirun [...] osu_ialltoallv_layout [options]

How far MPIX_Ialltoallv_layout overlaps with computation, beside what it replaces. Pure Comm. is the time of
start and MPI_Wait; Overall the same with a computation of that length between them; Overlap is
100 * (1 - (Overall - Compute) / Pure Comm.), not below 0. Medians over the iterations of the longest time of
any rank; all methods take turns.
)";

constexpr const char* kCommon = R"(
Options as in the OSU micro-benchmarks (bytes may end in K, M or G, powers of 1024):
  -m, --message-size [MIN:]MAX  bytes a peer, doubled from MIN to MAX (default 8:1M; MIN is 1 if not given)
  -i, --iterations N            timed iterations (default 10000 up to 8 KiB a peer, else 30)
  -x, --warmup N                untimed iterations before them (default 1000 up to 8 KiB a peer, else 3)
  -f, --full                    more columns; among them Min and Max, the lowest and highest of the ranks' own
                                medians, and Setup, the time to make layouts and, for --api plan, the plan
  -c, --validation              compare every byte of the receive buffer, the gaps between the blocks
                                included, before and after the timing; the first wrong byte of a rank is
                                printed and the exit status is 1
  -M, --mem-limit BYTES         skip cases whose buffers take more a rank (default 1G)
  -d, --accelerator cuda        buffers in memory of GPUs, those of a node in turn for its ranks, as by --buffers DD;
                                the baselines are then packed, ipc and copy; of packed and ipc the gathers and
                                scatters are the library's kernel by itself
  -h, --help                    print this text
  -v, --version                 print the versions of the benchmark and of the library
)";

constexpr const char* kTests =
    R"(  -t, --num-test-calls N        MPI_Test calls spread over the computation (default 0)
)";

constexpr const char* kProject = R"(
What is exchanged:
  --pattern uniform             random rows, the same number for each peer (default)
  --pattern skewed              random rows, numbers from a log-normal distribution for each pair of ranks
  --pattern fft                 transposes of a distributed 3-D FFT on complex doubles
  --pattern moe                 every token's row to its experts, as mixture-of-experts dispatch does
  --total BYTES                 bytes a rank sends in all, in place of -m
  --row BYTES[,...]             bytes of a row, one line of the table each (default 64); a row is not larger
                                than the message, and messages are rounded down to whole rows
  --grid NXxNYxNZ[,...]         fft: grid, z contiguous (default 256x256x256)
  --transpose NAME[,...]        fft: slab-xy, slab-yx, pencil-xy, pencil-yx, pencil-yz, pencil-zy: the axis
                                divided over the ranks before and after (default: all that move data)
  --procs PxQ                   fft: ranks that divide x (or y) and y (or z) of the pencils (default: P the
                                largest divisor of the number of ranks not above its square root)
  --experts N                   moe: experts, divided evenly over the ranks (default 256)
  --topk N                      moe: different experts of a token (default 8)
  --tokens N                    moe: tokens a rank (default: message size * ranks / (row * topk))
  --skew SIGMA                  skewed, moe: of the log-normal sizes or popularity (default 1; moe 0, uniform)
  --seed N                      of the random numbers (default 1)

How:
  --api oneshot|plan            one-shot calls (default) or a plan that is started again and again
  --memory malloc|alloc         page-aligned memory of posix_memalign (default) or MPIX_Layout_mem_alloc; the
                                baselines use the same
  --buffers DD|DH|HD|HH         memory of the send buffer, then of the receive buffer: D for a GPU's, H for the host's
                                as --memory says (default HH; with -d DD). Where they differ the only baselines
                                are packed, each side in its own memory, and direct
  --baseline LIST               any of packed, datatypes, copy, alltoallv, direct, or none (default
                                packed,datatypes,copy)
       packed                   gather into a send buffer, MPI_Alltoallv, scatter from a receive buffer; a side
                                where each peer has one contiguous run is left as it is
       datatypes                MPI_Alltoallw with committed derived datatypes
       copy                     the limit: each rank copies as many contiguous bytes as it receives, with
                                streaming stores from 1 MiB on; not in osu_ialltoallv_layout, as it has
                                nothing to overlap
       alltoallv                MPI_Alltoallv alone on contiguous data
       direct                   a plan of the library that sends to every rank by itself (mpix_layout_route)
       ipc                      only for DD: gather kernel, copies by CUDA IPC, scatter kernel
  --json FILE                   also write all figures to FILE
)";

}  // namespace

std::string help_text(Program program) {
  const bool blocking = program == Program::blocking;
  std::string text = blocking ? kBlocking : kNonblocking;
  text += kCommon;
  if (!blocking) text += kTests;
  return text + kProject;
}

}  // namespace mpix::bench
