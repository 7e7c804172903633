// SPDX-License-Identifier: BSD-3-Clause
/// When a rank may leave an exchange in which other ranks of its node are still at work: as soon as it has
/// finished where little comes to the node or, in an exchange that was planned, where it hands nothing on;
/// and not while packets may come that it hands on.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
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
  const std::vector<int> nodes = nodes_of(t.comm);
  return nodes[static_cast<std::size_t>(one)] == nodes[static_cast<std::size_t>(other)];
}

void exchange(const Case& t, const Layouts& layouts, Data& data) {
  OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                           t.comm));
}

class Plan {
 public:
  Plan(const Case& t, const Layouts& layouts) {
    OK(MPIX_Alltoallv_layout_init(layouts.send.layout(), layouts.recv.layout(), t.comm, MPI_INFO_NULL,
                                  &plan_));
  }
  ~Plan() { OK(MPIX_Layout_plan_free(&plan_)); }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  void execute(Data& data) const {
    MPI_Request request = MPI_REQUEST_NULL;
    OK(MPIX_Layout_plan_start(plan_, data.sendbuf(), data.recvbuf(), &request));
    OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
  }

 private:
  MPIX_Layout_plan plan_ = MPIX_LAYOUT_PLAN_NULL;
};

void send(const Case& t, int to) {
  int nothing = 0;
  OK(MPI_Send(&nothing, 1, MPI_INT, to, 5, t.comm));
}

void receive(const Case& t, int from) {
  int nothing = 0;
  OK(MPI_Recv(&nothing, 1, MPI_INT, from, 5, t.comm, MPI_STATUS_IGNORE));
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
    if (waits && t.rank == last) receive(t, 0);
    exchange(t, layouts, data);
    if (waits && t.rank == 0) send(t, last);
    data.verify("little");
  }
}

/// Rank 1 has begun so many exchanges that it no longer says what it expects in the first one, from which
/// rank 0 has gone; that it has is all that rank 1 can know.
MPI_TEST(before_one_that_is_far_ahead, {.sizes = {3, 4, 5, 8}}) {
  constexpr int kExchanges = 12;
  const int last = t.size - 1;
  const Layouts layouts = from_last_to_second(t, 700, 2);
  std::deque<Data> data;
  for (int i = 0; i < kExchanges; ++i) data.emplace_back(t.comm, t.own, layouts);
  exchange(t, layouts, data[0]);  // so that all are connected
  data[0].reset();
  std::vector<MPI_Request> requests(kExchanges, MPI_REQUEST_NULL);
  const auto start = [&](int from, int to) {
    for (auto i = static_cast<std::size_t>(from); i < static_cast<std::size_t>(to); ++i)
      OK(MPIX_Ialltoallv_layout(data[i].sendbuf(), layouts.send.layout(), data[i].recvbuf(),
                                layouts.recv.layout(), t.comm, &requests[i]));
  };
  const bool last_is_late = !share_node(t, 0, last);
  const int in_time = last_is_late ? last : t.size;  // these begin the first exchange before rank 0 ends it
  if (t.rank == 0) {
    receive(t, 1);  // which has begun, and nothing more
    exchange(t, layouts, data[0]);
    for (int other = 1; other < in_time; ++other) send(t, other);
    receive(t, 1);
  } else if (t.rank < in_time) {
    start(0, 1);
    if (t.rank == 1) send(t, 0);
    receive(t, 0);
  } else {
    receive(t, 1);
    start(0, 1);
  }
  start(1, kExchanges);
  if (t.rank == 1) {
    if (last_is_late) send(t, last);
    OK(MPI_Wait(&requests[0], MPI_STATUS_IGNORE));
    send(t, 0);
  }
  OK(MPI_Waitall(kExchanges, requests.data(), MPI_STATUSES_IGNORE));
  for (Data& each : data) each.verify("far ahead");
}

/// Rank 1 and the last rank begin only after rank 0 of the first one's node has ended: what repeats nothing
/// is not forwarded, however much it is.
MPI_TEST(at_once_where_the_plan_forwards_nothing, {.sizes = {3, 4, 5, 8}}) {
  const bool forced = std::getenv("MPIX_LAYOUT_ROUTE") != nullptr;
  const int last = t.size - 1;
  const bool waits = !forced && !share_node(t, 0, last);
  for (const std::int64_t bytes : {700, 3000000}) {
    const Layouts layouts = from_last_to_second(t, bytes, 1);
    Data data(t.comm, t.own, layouts);
    const Plan plan(t, layouts);
    plan.execute(data);  // so that all are connected
    data.reset();
    if (waits && (t.rank == 1 || t.rank == last)) receive(t, 0);
    plan.execute(data);
    if (waits && t.rank == 0) {
      send(t, 1);
      send(t, last);
    }
    data.verify("planned");
  }
}

/// Rank 0 does nothing for rank 1 after it has left, so what it has to hand on must have been by then.
MPI_TEST(after_the_last_packet, {.sizes = {3, 4, 5, 8}}) {
  const bool watches = share_node(t, 0, 1);
  for (const std::int64_t bytes : {5000, 300000}) {
    const Layouts layouts = from_last_to_second(t, bytes, 20);
    const Plan plan(t, layouts);
    SharedNumber arrived(t.comm);
    for (int round = 1; round <= 10; ++round) {
      Data data(t.comm, t.own, layouts);
      if (round % 2 == 0)
        plan.execute(data);
      else
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
