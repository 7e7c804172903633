// SPDX-License-Identifier: BSD-3-Clause
/// A program that ends badly, for the scripts that look at how. First argument:
///   mismatch  ranks 0 and 1 disagree on a size, under the default error handler on rank 0; the others wait
///   to be
///             aborted (Open MPI 4.1's launcher may crash or hang where two ranks abort at once)
///   killed    rank 1 dies by SIGKILL in the middle of an exchange
///   early     rank 1 exits without taking part in the exchange
#include <mpix_layout.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Exchange {
  Exchange(int rank, int size, MPI_Count bytes, MPI_Count wrong)
      : send(static_cast<std::size_t>(size) * static_cast<std::size_t>(bytes + wrong)), recv(send.size()) {
    std::vector<MPI_Count> counts(static_cast<std::size_t>(size), bytes), displs(counts.size());
    for (std::size_t p = 0; p < displs.size(); ++p) displs[p] = static_cast<MPI_Count>(p) * (bytes + wrong);
    create(counts, displs, recv_layout);
    if (rank == 0 && size > 1) counts[1] += wrong;
    create(counts, displs, send_layout);
  }
  static void create(const std::vector<MPI_Count>& counts, const std::vector<MPI_Count>& displs,
                     MPIX_Layout& layout) {
    if (MPIX_Layout_create_v(static_cast<int>(counts.size()), counts.data(), displs.data(), MPI_BYTE,
                             &layout) != MPI_SUCCESS)
      std::fputs("MPIX_Layout_create_v failed\n", stderr);
  }
  int run() {
    return MPIX_Alltoallv_layout(send.data(), send_layout, recv.data(), recv_layout, MPI_COMM_WORLD);
  }

  std::vector<char> send, recv;
  MPIX_Layout send_layout = MPIX_LAYOUT_NULL, recv_layout = MPIX_LAYOUT_NULL;
};

/// Exchanges until an error says that rank 1 is gone; the launcher may be quicker.
int exchange_until_error(int rank, int size) {
  Exchange exchange(rank, size, 3000000, 0);
  if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS) return 5;
  std::thread killer;
  for (int i = 0;; ++i) {
    if (i == 20 && rank == 1)
      killer = std::thread([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(7));
        kill(getpid(), SIGKILL);
      });
    const int code = exchange.run();
    if (code == MPI_SUCCESS) continue;
    char message[MPI_MAX_ERROR_STRING] = {};
    int length = 0, error_class = 0;
    if (MPI_Error_string(code, message, &length) == MPI_SUCCESS &&
        MPI_Error_class(code, &error_class) == MPI_SUCCESS)
      std::fprintf(stderr, "rank %d: %s: %s\n", rank,
                   error_class == MPIX_ERR_PEER ? "MPIX_ERR_PEER" : "another error", message);
    _exit(error_class == MPIX_ERR_PEER ? 3 : 4);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  int rank = 0, size = 0;
  if (MPI_Init(&argc, &argv) != MPI_SUCCESS || MPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS ||
      MPI_Comm_size(MPI_COMM_WORLD, &size) != MPI_SUCCESS)
    return 5;
  if (mode == "killed") return exchange_until_error(rank, size);
  const MPI_Count bytes = argc > 2 ? std::stoll(argv[2]) : 1000;
  Exchange exchange(rank, size, bytes, mode == "mismatch" ? 77 : 0);
  if (mode == "early" && rank == 1) _exit(9);
  if (mode == "mismatch" && rank > 0) {
    if (MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN) != MPI_SUCCESS) return 5;
    const bool found = exchange.run() != MPI_SUCCESS;
    std::this_thread::sleep_for(std::chrono::seconds(30));
    std::fputs(found ? "nobody aborted the job\n" : "the exchange succeeded\n", stderr);
    _exit(0);
  }
  if (exchange.run() != MPI_SUCCESS) return 6;
  std::fputs("the exchange succeeded\n", stderr);
  return MPI_Finalize() == MPI_SUCCESS ? 0 : 5;
}
