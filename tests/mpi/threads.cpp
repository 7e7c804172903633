// SPDX-License-Identifier: BSD-3-Clause
/// Exchanges from several threads at once, each on a communicator of its own, under MPI_THREAD_MULTIPLE.
#include <deque>
#include <thread>

#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

const ThreadLevel level(MPI_THREAD_MULTIPLE);

constexpr int kThreads = 4;
constexpr Volume kSmall{.unit = 4, .most = 3000};
constexpr Volume kLarge{.unit = 64, .most = 200000};

void need_multiple() {
  if (provided_thread_level() < MPI_THREAD_MULTIPLE) skip("this MPI does not give MPI_THREAD_MULTIPLE");
}

/// One thread's communicator and exchanges, made before the threads start so that random draws stay in order.
struct Work {
  explicit Work(Case& t) {
    OK(MPI_Comm_dup(t.comm, &comm));
    OK(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
    for (int i = 0; i < 6; ++i) exchanges.emplace_back(t, comm, i % 2 == 0 ? kSmall : kLarge);
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() {
    exchanges.clear();
    OK(MPI_Comm_free(&comm));
  }
  MPI_Comm comm = MPI_COMM_NULL;
  std::deque<Running> exchanges;
};

template <typename Body>
void in_threads(std::deque<Work>& works, Body body) {
  std::vector<std::thread> threads;
  for (Work& work : works) threads.emplace_back([&work, body] { body(work); });
  for (std::thread& thread : threads) thread.join();
}

std::deque<Work> make_works(Case& t) {
  std::deque<Work> works;
  for (int i = 0; i < kThreads; ++i) works.emplace_back(t);
  return works;
}

}  // namespace

MPI_TEST(blocking_in_threads, {.sizes = {1, 2, 3, 5}}) {
  need_multiple();
  std::deque<Work> works = make_works(t);
  in_threads(works, [](Work& work) {
    for (Running& exchange : work.exchanges) {
      exchange.run();
      exchange.verify("blocking in a thread");
    }
  });
}

MPI_TEST(nonblocking_in_threads, {.sizes = {1, 2, 3, 5}}) {
  need_multiple();
  std::deque<Work> works = make_works(t);
  in_threads(works, [](Work& work) {
    for (Running& exchange : work.exchanges) exchange.start();
    for (Running& exchange : work.exchanges) {
      OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
      exchange.verify("nonblocking in a thread");
    }
  });
}

MPI_TEST(plans_in_threads, {.sizes = {1, 2, 3, 5}}) {
  need_multiple();
  std::deque<Work> works = make_works(t);
  in_threads(works, [](Work& work) {
    for (Running& exchange : work.exchanges) {
      MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
      OK(MPIX_Alltoallv_layout_init(exchange.layouts.send.layout(), exchange.layouts.recv.layout(), work.comm,
                                    MPI_INFO_NULL, &plan));
      for (int round = 0; round < 2; ++round) {
        OK(MPIX_Layout_plan_start(plan, exchange.data.sendbuf(), exchange.data.recvbuf(), &exchange.request));
        OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
        exchange.verify("plan in a thread");
      }
      OK(MPIX_Layout_plan_free(&plan));
    }
  });
}

/// Layouts, memory and communicators come and go in all threads.
MPI_TEST(local_calls_in_threads, {.sizes = {1, 2}}) {
  need_multiple();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([i] {
      for (int k = 0; k < 500; ++k) {
        const MPI_Count count = 3, displ = i;
        MPIX_Layout layout = MPIX_LAYOUT_NULL;
        OK(MPIX_Layout_create_v(1, &count, &displ, MPI_DOUBLE, &layout));
        MPI_Count bytes = 0;
        OK(MPIX_Layout_get_size(layout, 0, &bytes));
        EXPECT(bytes == 24);
        OK(MPIX_Layout_free(&layout));
        void* memory = nullptr;
        OK(MPIX_Layout_mem_alloc(1000 + k, MPI_INFO_NULL, &memory));
        OK(MPIX_Layout_mem_free(memory));
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace mpix::test
