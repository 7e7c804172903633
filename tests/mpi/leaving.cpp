// SPDX-License-Identifier: BSD-3-Clause
/// When a rank may leave an exchange in which other ranks of its node are still at work: as soon as it has
/// finished where little comes to the node, and not while packets may come that it hands on.
#include <chrono>
#include <memory>
#include <thread>

#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

/// Only the last rank sends, and only to rank 1: `pieces` times the same `bytes`.
Layouts from_last_to_second(const Case& t, std::int64_t bytes, int pieces) {
  std::vector<ByteMap> send(static_cast<std::size_t>(t.size)), recv(send.size());
  for (int k = 0; k < pieces; ++k) {
    if (t.rank == t.size - 1) send[1].push_back({0, bytes});
    if (t.rank == 1) recv.back().push_back({k * (bytes + 1), bytes});
  }
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "last rank's");
  layouts.recv = side_of_maps(std::move(recv), "second rank's");
  return layouts;
}

/// Whether two ranks are on one node; collective.
bool share_node(const Case& t, int one, int other) {
  MPI_Comm node = MPI_COMM_NULL;
  OK(MPI_Comm_split_type(t.comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
  int first = t.rank;
  OK(MPI_Bcast(&first, 1, MPI_INT, 0, node));
  OK(MPI_Comm_free(&node));
  std::vector<int> firsts(static_cast<std::size_t>(t.size));
  OK(MPI_Allgather(&first, 1, MPI_INT, firsts.data(), 1, MPI_INT, t.comm));
  return firsts[static_cast<std::size_t>(one)] == firsts[static_cast<std::size_t>(other)];
}

void exchange(const Case& t, const Layouts& layouts, Data& data) {
  OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                           t.comm));
}

/// A number that the ranks of a node share. Looking at it calls nothing of MPI.
class SharedNumber {
 public:
  explicit SharedNumber(MPI_Comm comm) {
    MPI_Comm node = MPI_COMM_NULL;
    OK(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    int rank = 0, unit = 0;
    OK(MPI_Comm_rank(node, &rank));
    OK(MPI_Win_allocate_shared(sizeof(*number_), 1, MPI_INFO_NULL, node, &number_, &window_));
    MPI_Aint size = 0;
    OK(MPI_Win_shared_query(window_, 0, &size, &unit, &number_));
    if (rank == 0) number_->store(0);
    OK(MPI_Barrier(node));
    OK(MPI_Comm_free(&node));
  }
  ~SharedNumber() { OK(MPI_Win_free(&window_)); }
  SharedNumber(const SharedNumber&) = delete;
  SharedNumber& operator=(const SharedNumber&) = delete;

  void set(int value) { number_->store(value); }
  /// Whether it becomes `value` while this rank does nothing.
  bool becomes(int value) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (number_->load() != value) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

 private:
  MPI_Win window_ = MPI_WIN_NULL;
  std::atomic<int>* number_ = nullptr;
};

}  // namespace

/// The last rank begins only after rank 0 of another node has ended, while rank 1 waits for the last one.
MPI_TEST(at_once_where_little_comes, {.sizes = {3, 4, 5, 8}}) {
  const int last = t.size - 1;
  const bool waits = !share_node(t, 0, last);
  for (const int pieces : {1, 20}) {
    const Layouts layouts = from_last_to_second(t, 700, pieces);
    Data data(t.comm, t.own, layouts);
    exchange(t, layouts, data);  // so that all are connected
    data.reset();
    int go = 0;
    if (waits && t.rank == last) OK(MPI_Recv(&go, 1, MPI_INT, 0, 5, t.comm, MPI_STATUS_IGNORE));
    exchange(t, layouts, data);
    if (waits && t.rank == 0) OK(MPI_Send(&go, 1, MPI_INT, last, 5, t.comm));
    data.verify("little");
  }
}

/// Rank 0 does nothing for rank 1 after it has left, so what it has to hand on must have been by then.
MPI_TEST(after_the_last_packet, {.sizes = {3, 4, 5, 8}}) {
  const bool watches = share_node(t, 0, 1);
  for (const std::int64_t bytes : {5000, 300000}) {
    const Layouts layouts = from_last_to_second(t, bytes, 20);
    SharedNumber arrived(t.comm);
    for (int round = 1; round <= 5; ++round) {
      Data data(t.comm, t.own, layouts);
      exchange(t, layouts, data);
      if (t.rank == 1) arrived.set(round);
      if (t.rank == 0 && watches)
        EXPECT(arrived.becomes(round), "rank 0 has left before it had handed on all packets");
      data.verify("much");
      OK(MPI_Barrier(t.comm));
    }
  }
}

}  // namespace mpix::test
