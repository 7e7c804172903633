// SPDX-License-Identifier: BSD-3-Clause
/// Ten thousand exchanges of each kind leave no memory, descriptors, mappings or threads behind.
#include "tests/mpi/mismatch.hpp"
#include "tests/support/resources.hpp"

namespace mpix::test {
namespace {

constexpr int kWarmUp = 1000;
constexpr int kRounds = 10000;
/// What the allocator may round up to, or a page cache of the kernel may add.
constexpr std::int64_t kSlackBytes = 1 << 20;

template <typename Round>
void expect_no_growth(const char* what, Round round) {
  watchdog_phase(what);
  for (int i = 0; i < kWarmUp; ++i) round();
  const Resources before = resources();
  for (int i = 0; i < kRounds; ++i) round();
  const Resources after = resources();
  EXPECT(after.resident <= before.resident + kSlackBytes && after.descriptors <= before.descriptors &&
             after.mappings <= before.mappings + 4 && after.threads <= before.threads,
         what, ": before ", to_text(before), "; after ", kRounds, " more ", to_text(after));
}

const Volume kVolume{.unit = 4, .most = 3000};

}  // namespace

MPI_TEST(blocking_exchanges, {.sizes = {2, 3}}) {
  Running exchange(t, t.comm, kVolume, true);
  expect_no_growth("blocking", [&] { exchange.run(); });
  exchange.verify("blocking");
}

MPI_TEST(nonblocking_exchanges, {.sizes = {2, 3}}) {
  Running first(t, t.comm, kVolume), second(t, t.comm, kVolume);
  expect_no_growth("nonblocking", [&] {
    first.start();
    second.start();
    OK(MPI_Wait(&second.request, MPI_STATUS_IGNORE));
    OK(MPI_Wait(&first.request, MPI_STATUS_IGNORE));
  });
  first.verify("nonblocking");
  second.verify("nonblocking");
}

MPI_TEST(plan_starts, {.sizes = {2, 3}}) {
  Running exchange(t, t.comm, kVolume);
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  OK(MPIX_Alltoallv_layout_init(exchange.layouts.send.layout(), exchange.layouts.recv.layout(), t.comm,
                                MPI_INFO_NULL, &plan));
  expect_no_growth("plan starts", [&] {
    OK(MPIX_Layout_plan_start(plan, exchange.data.sendbuf(), exchange.data.recvbuf(), &exchange.request));
    OK(MPI_Wait(&exchange.request, MPI_STATUS_IGNORE));
  });
  exchange.verify("plan");
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(new_layouts_each_time, {.sizes = {2}}) {
  const auto round = [&] {
    std::vector<MPI_Count> counts(static_cast<std::size_t>(t.size), 3), displs(counts.size());
    for (std::size_t p = 0; p < displs.size(); ++p) displs[p] = static_cast<MPI_Count>(3 * p);
    std::vector<int> in(3 * displs.size()), out(in.size());
    MPIX_Layout layout = MPIX_LAYOUT_NULL;
    MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
    OK(MPIX_Layout_create_v(t.size, counts.data(), displs.data(), MPI_INT, &layout));
    OK(MPIX_Alltoallv_layout(out.data(), layout, in.data(), layout, t.comm));
    OK(MPIX_Alltoallv_layout_init(layout, layout, t.comm, MPI_INFO_NULL, &plan));
    OK(MPIX_Layout_plan_free(&plan));
    OK(MPIX_Layout_free(&layout));
  };
  expect_no_growth("new layouts and plans", round);
}

MPI_TEST(new_memory_each_time, {.sizes = {2}}) {
  const Layouts layouts =
      random_layouts(t.comm, t.shared.bits(), t.own, {.most = 40000, .density = 100, .exact = true}, false);
  // The oracle's traffic would count as growth, so only the library is called.
  const Range send = range_of(layouts.send.maps()), recv = range_of(layouts.recv.maps());
  expect_no_growth("new memory", [&] {
    const Buffer out(t.own, MemoryKind::mapped, send.low, send.high),
        in(t.own, MemoryKind::mapped, recv.low, recv.high);
    OK(MPIX_Alltoallv_layout(out.base(), layouts.send.layout(), in.base(), layouts.recv.layout(), t.comm));
  });
}

MPI_TEST(errors_again_and_again, {.sizes = {2}}) {
  const Mismatch m{.sender = 0, .receiver = 1, .bytes = 100, .sent = 30000, .expected = 200};
  const Layouts layouts = mismatched_layouts(t, m);
  Buffers buffers(t, layouts);
  const auto round = [&] {
    EXPECT(MPIX_Alltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                                 layouts.recv.layout(), t.comm) != MPI_SUCCESS);
    MPI_Count bytes = 0;
    EXPECT(MPIX_Layout_get_size(layouts.send.layout(), -1, &bytes) != MPI_SUCCESS);
  };
  expect_no_growth("errors", round);
  expect_usable(t);
}

}  // namespace mpix::test
