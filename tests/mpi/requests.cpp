// SPDX-License-Identifier: BSD-3-Clause
/// Requests of nonblocking exchanges in every call of MPI that completes requests, beside other requests.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

constexpr Volume kSmall{.unit = 4, .most = 3000};
constexpr Volume kLarge{.unit = 64, .most = 400000};

/// Exchanges of different sizes, all on the case's communicator.
std::deque<Running> several(Case& t, int count) {
  std::deque<Running> exchanges;
  for (int i = 0; i < count; ++i) exchanges.emplace_back(t, t.comm, i % 2 == 0 ? kSmall : kLarge);
  return exchanges;
}

std::vector<MPI_Request> start_all(std::deque<Running>& exchanges) {
  std::vector<MPI_Request> requests;
  for (Running& exchange : exchanges) {
    exchange.start();
    requests.push_back(exchange.request);
  }
  return requests;
}

void verify_all(std::deque<Running>& exchanges, const char* what) {
  for (std::size_t i = 0; i < exchanges.size(); ++i) exchanges[i].verify(text(what, ", exchange ", i));
}

/// A message around the ring of ranks by Isend and Irecv.
struct Ring {
  explicit Ring(Case& t, int tag) : out(30000, t.rank + 7), in(30000) {
    const int count = static_cast<int>(out.size());
    expected = (t.rank + t.size - 1) % t.size + 7;
    OK(MPI_Irecv(in.data(), count, MPI_INT, (t.rank + t.size - 1) % t.size, tag, t.comm, &requests[0]));
    OK(MPI_Isend(out.data(), count, MPI_INT, (t.rank + 1) % t.size, tag, t.comm, &requests[1]));
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  void verify() const {
    const auto wrong = std::count_if(in.begin(), in.end(), [this](int value) { return value != expected; });
    EXPECT(wrong == 0, wrong, " wrong values in a message beside the exchange");
  }
  std::vector<int> out, in;
  int expected = 0;
  MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
};

bool progress_by_thread() {
  const char* way = std::getenv("MPIX_LAYOUT_PROGRESS");
  return way != nullptr && std::strcmp(way, "thread") == 0;
}

void need_progress_in_mpi() {
  if (!is_open_mpi() && !progress_by_thread())
    skip("this MPI lets nobody progress inside this call; runs with MPIX_LAYOUT_PROGRESS=thread");
}

}  // namespace

MPI_TEST(wait) {
  for (const Volume& volume : {kSmall, kLarge}) {
    Running exchange(t, t.comm, volume, true);
    exchange.start();
    MPI_Status status;
    OK(MPI_Wait(&exchange.request, &status));
    EXPECT(exchange.request == MPI_REQUEST_NULL);
    int cancelled = 1;
    OK(MPI_Test_cancelled(&status, &cancelled));
    EXPECT(cancelled == 0);
    exchange.verify("wait");
  }
}

MPI_TEST(nothing_to_exchange) {
  Running exchange(t, t.comm, {.density = 0});
  exchange.start();
  OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  exchange.verify("nothing");
}

MPI_TEST(layouts_freed_after_the_start) {
  Running exchange(t, t.comm, kLarge, true);
  exchange.start();
  OK(exchange.layouts.send.free_layout());
  OK(exchange.layouts.recv.free_layout());
  OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  exchange.verify("layouts freed");
}

MPI_TEST(waitall_beside_others) {
  std::deque<Running> exchanges = several(t, 3);
  Ring first(t, 1);
  std::vector<MPI_Request> requests = start_all(exchanges);
  Ring second(t, 2);
  requests.insert(requests.begin(), first.requests, first.requests + 2);
  requests.insert(requests.begin() + 3, second.requests, second.requests + 2);
  requests.push_back(MPI_REQUEST_NULL);
  std::vector<MPI_Status> statuses(requests.size());
  OK(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), statuses.data()));
  for (const MPI_Request& request : requests) EXPECT(request == MPI_REQUEST_NULL);
  verify_all(exchanges, "waitall");
  first.verify();
  second.verify();
}

MPI_TEST(waitany) {
  std::deque<Running> exchanges = several(t, 4);
  std::vector<MPI_Request> requests = start_all(exchanges);
  const Ring ring(t, 3);
  requests.insert(requests.end(), ring.requests, ring.requests + 2);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    int index = -1;
    OK(MPI_Waitany(static_cast<int>(requests.size()), requests.data(), &index, MPI_STATUS_IGNORE));
    REQUIRE(index >= 0 && index < static_cast<int>(requests.size()), "index ", index);
    if (index < 4) exchanges[static_cast<std::size_t>(index)].verify("waitany");
  }
  ring.verify();
}

MPI_TEST(waitsome) {
  std::deque<Running> exchanges = several(t, 4);
  std::vector<MPI_Request> requests = start_all(exchanges);
  const Ring ring(t, 3);
  requests.insert(requests.end(), ring.requests, ring.requests + 2);
  const int count = static_cast<int>(requests.size());
  std::vector<int> indices(requests.size());
  std::vector<MPI_Status> statuses(requests.size());
  for (int left = count; left > 0;) {
    int done = 0;
    OK(MPI_Waitsome(count, requests.data(), &done, indices.data(), statuses.data()));
    REQUIRE(done > 0 && done <= left, "done ", done, " of ", left);
    left -= done;
    for (int i = 0; i < done; ++i)
      if (indices[static_cast<std::size_t>(i)] < 4)
        exchanges[static_cast<std::size_t>(indices[static_cast<std::size_t>(i)])].verify("waitsome");
  }
  ring.verify();
}

MPI_TEST(test_until_done) {
  Running exchange(t, t.comm, kLarge);
  exchange.start();
  for (int done = 0; done == 0;) OK(MPI_Test(&exchange.request, &done, MPI_STATUS_IGNORE));
  EXPECT(exchange.request == MPI_REQUEST_NULL);
  exchange.verify("test");
}

MPI_TEST(testall_until_done) {
  std::deque<Running> exchanges = several(t, 3);
  std::vector<MPI_Request> requests = start_all(exchanges);
  const Ring ring(t, 3);
  requests.insert(requests.end(), ring.requests, ring.requests + 2);
  for (int done = 0; done == 0;)
    OK(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
  verify_all(exchanges, "testall");
  ring.verify();
}

MPI_TEST(testany_until_done) {
  std::deque<Running> exchanges = several(t, 3);
  std::vector<MPI_Request> requests = start_all(exchanges);
  for (int index = 0; index != MPI_UNDEFINED;) {
    int done = 0;
    OK(MPI_Testany(3, requests.data(), &index, &done, MPI_STATUS_IGNORE));
    if (done == 0)
      index = 0;
    else if (index != MPI_UNDEFINED)
      exchanges[static_cast<std::size_t>(index)].verify("testany");
  }
}

MPI_TEST(testsome_until_done) {
  std::deque<Running> exchanges = several(t, 3);
  std::vector<MPI_Request> requests = start_all(exchanges);
  for (int left = 3; left > 0;) {
    int done = 0, indices[3];
    OK(MPI_Testsome(3, requests.data(), &done, indices, MPI_STATUSES_IGNORE));
    left -= done;
    for (int i = 0; i < done; ++i) exchanges[static_cast<std::size_t>(indices[i])].verify("testsome");
  }
}

MPI_TEST(get_status_leaves_the_request) {
  need_progress_in_mpi();  // MPICH 4.0 does not poll generalised requests in MPI_Request_get_status
  Running exchange(t, t.comm, kLarge);
  exchange.start();
  for (int done = 0; done == 0;) OK(MPI_Request_get_status(exchange.request, &done, MPI_STATUS_IGNORE));
  EXPECT(exchange.request != MPI_REQUEST_NULL);
  exchange.verify("get_status");
  OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
}

MPI_TEST(completed_in_another_order_on_each_rank) {
  for (int round = 0; round < 3; ++round) {
    std::deque<Running> exchanges = several(t, 6);
    start_all(exchanges);
    std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5};
    t.own.shuffle(order);
    for (const std::size_t i : order) {
      OK(MPI_Wait(&exchanges[i].request, MPI_STATUS_IGNORE));
      exchanges[i].verify(text("order, exchange ", i));
    }
  }
}

/// More exchanges in flight than announcements can be unread between two ranks, some of them in place.
MPI_TEST(many_in_flight) {
  constexpr std::size_t kCount = 16;
  std::deque<Layouts> layouts;
  std::deque<Data> data;
  for (std::size_t i = 0; i < kCount; ++i) {
    const Volume volume{.unit = 4, .most = i % 3 == 0 ? 20000 : 600, .density = 100, .symmetric = i % 2 == 0};
    layouts.push_back(random_layouts(t.comm, t.shared.bits(), t.own, volume, false));
    data.emplace_back(t.comm, t.own, layouts.back(), i % 2 == 0 ? InPlace::yes : InPlace::no);
  }
  std::vector<MPI_Request> requests(kCount);
  for (std::size_t i = 0; i < kCount; ++i)
    OK(MPIX_Ialltoallv_layout(data[i].sendbuf(), layouts[i].send.layout(), data[i].recvbuf(),
                              layouts[i].recv.layout(), t.comm, &requests[i]));
  OK(MPI_Waitall(kCount, requests.data(), MPI_STATUSES_IGNORE));
  for (std::size_t i = 0; i < kCount; ++i) data[i].verify(text("many in flight, exchange ", i));
}

MPI_TEST(blocking_while_others_are_in_flight) {
  std::deque<Running> exchanges = several(t, 3);
  Running blocking(t, t.comm, kLarge);
  std::vector<MPI_Request> requests = start_all(exchanges);
  blocking.run();
  blocking.verify("blocking among nonblocking");
  OK(MPI_Waitall(3, requests.data(), MPI_STATUSES_IGNORE));
  verify_all(exchanges, "around a blocking one");
}

/// Nobody waits for the exchange any more; it must go on while its ranks call the library.
/// What is sent ahead must not stand in the way of what others still wait for.
MPI_TEST(some_ranks_ahead_of_others) {
  std::deque<Running> exchanges;
  for (int i = 0; i < 4; ++i)
    exchanges.emplace_back(t, t.comm, Volume{.unit = 64, .most = 3'000'000, .density = 100, .exact = true});
  const bool ahead = t.own.chance(50);
  for (Running& exchange : exchanges) {
    exchange.start();
    if (!ahead) OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  }
  for (Running& exchange : exchanges) OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  verify_all(exchanges, "some ahead");
}

MPI_TEST(request_freed_while_active) {
  need_progress_in_mpi();  // nobody waits for the request any more
  Running exchange(t, t.comm, {.most = 100000, .density = 100, .exact = true});
  Running other(t, t.comm, {.most = 50000, .density = 100, .exact = true});
  exchange.start();
  OK(MPI_Request_free(&exchange.request));
  EXPECT(exchange.request == MPI_REQUEST_NULL);
  for (int all = 0, rounds = 0; all == 0 && rounds < 500; ++rounds) {
    other.run();
    const int mine = exchange.data.complete();
    OK(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, t.comm));
  }
  other.verify("beside a freed request");
  exchange.verify("request freed");
}

/// Rank 0 waits for a message that rank 1 sends only after its exchange, which needs rank 0, has completed.
MPI_TEST(progress_inside_recv, {.sizes = {2, 3, 5, 8}}) {
  need_progress_in_mpi();
  Running exchange(t, t.comm, {.most = 1 << 20, .density = 100, .exact = true});
  exchange.start();
  int token = 0;
  watchdog_phase("receiving before the exchange is completed");
  if (t.rank == 0) OK(MPI_Recv(&token, 1, MPI_INT, 1, 9, t.comm, MPI_STATUS_IGNORE));
  OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  if (t.rank == 1) OK(MPI_Send(&token, 1, MPI_INT, 0, 9, t.comm));
  exchange.verify("progress inside MPI_Recv");
}

MPI_TEST(progress_inside_barrier, {.sizes = {2, 3, 5, 8}}) {
  need_progress_in_mpi();
  Running exchange(t, t.comm, {.most = 1 << 20, .density = 100, .exact = true});
  exchange.start();
  watchdog_phase("in a barrier before the exchange is completed");
  if (t.rank == 0) OK(MPI_Barrier(t.comm));
  OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  if (t.rank != 0) OK(MPI_Barrier(t.comm));
  exchange.verify("progress inside MPI_Barrier");
}

/// Rank 0 waits for one of two exchanges; the others complete the other one first.
MPI_TEST(progress_of_all_while_waiting_for_one, {.sizes = {2, 3, 5, 8}}) {
  MPI_Comm other;
  OK(MPI_Comm_dup(t.comm, &other));
  {
    Running one(t, t.comm, {.most = 1 << 19, .density = 100, .exact = true});
    Running two(t, other, {.most = 1 << 19, .density = 100, .exact = true});
    one.start();
    two.start();
    Running& first = t.rank == 0 ? one : two;
    Running& second = t.rank == 0 ? two : one;
    OK(MPI_Wait(&first.request, MPI_STATUS_IGNORE));
    OK(MPI_Wait(&second.request, MPI_STATUS_IGNORE));
    one.verify("first communicator");
    two.verify("second communicator");
  }
  OK(MPI_Comm_free(&other));
}

/// The communicator may be freed while an exchange on it is under way.
MPI_TEST(communicator_freed_before_the_wait) {
  MPI_Comm copy;
  OK(MPI_Comm_dup(t.comm, &copy));
  OK(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN));
  Running exchange(t, copy, kLarge);
  exchange.start();
  OK(MPI_Comm_free(&copy));
  OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  exchange.verify("communicator freed");
}

}  // namespace mpix::test
