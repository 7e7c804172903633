// SPDX-License-Identifier: BSD-3-Clause
/// Two ranks that disagree on the bytes between them: what both get, what the others get, and what comes
/// after.
#include "tests/mpi/mismatch.hpp"

namespace mpix::test {
namespace {

const Environment timeout("MPIX_LAYOUT_TIMEOUT", "2");

/// Sizes on both sides of every limit, and the two ways to disagree.
std::vector<Mismatch> disagreements(Case& t) {
  std::vector<Mismatch> all;
  for (const std::int64_t bytes : {1, 60, 1000, 20000, 700000})
    for (const bool more : {true, false}) {
      const int sender = static_cast<int>(t.shared.between(0, t.size - 1));
      const int receiver = (sender + static_cast<int>(t.shared.between(1, t.size - 1))) % t.size;
      const std::int64_t other = bytes + t.shared.between(1, 3 * bytes);
      all.push_back(
          {sender, receiver, t.shared.chance(50) ? bytes : 500, more ? other : bytes, more ? bytes : other});
    }
  return all;
}

int run(MPI_Comm comm, const Layouts& layouts, Buffers& buffers) {
  return MPIX_Alltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                               layouts.recv.layout(), comm);
}

}  // namespace

MPI_TEST(both_above_zero, {.sizes = {2, 3, 5, 8}}) {
  for (const Mismatch& m : disagreements(t)) {
    const Layouts layouts = mismatched_layouts(t, m);
    Buffers buffers(t, layouts);
    const int code = run(t.comm, layouts, buffers);
    if (concerns(t, m))
      expect_mismatch(m, code, "blocking");
    else
      OK(code);
    buffers.verify_outside("blocking");
    expect_usable(t);
  }
}

MPI_TEST(found_in_a_request, {.sizes = {2, 3, 5, 8}}) {
  for (const Mismatch& m : disagreements(t)) {
    const Layouts layouts = mismatched_layouts(t, m);
    Buffers buffers(t, layouts);
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Status status;
    status.MPI_ERROR = MPI_SUCCESS;
    OK(MPIX_Ialltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                              layouts.recv.layout(), t.comm, &request));
    const int code = MPI_Wait(&request, &status);
    if (concerns(t, m))
      expect_mismatch(m, code, "MPI_Wait");
    else
      OK(code);
    EXPECT(request == MPI_REQUEST_NULL);
    buffers.verify_outside("request");
    expect_usable(t);
  }
}

MPI_TEST(found_in_waitall, {.sizes = {2, 3}}) {
  const Mismatch m{.sender = 0, .receiver = 1, .bytes = 5000, .sent = 300000, .expected = 200000};
  const Layouts layouts = mismatched_layouts(t, m);
  Buffers buffers(t, layouts);
  Running good(t, t.comm, {.unit = 4, .most = 50000});
  MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  MPI_Status statuses[2];
  OK(MPIX_Ialltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                            layouts.recv.layout(), t.comm, &requests[0]));
  good.start();
  requests[1] = good.request;
  const int code = MPI_Waitall(2, requests, statuses);
  if (concerns(t, m)) {
    EXPECT_ERROR(code, MPI_ERR_IN_STATUS);
    // MPICH puts an error of its own into the status instead of the one that the request reports.
    if (is_open_mpi()) expect_mismatch(m, statuses[0].MPI_ERROR, "status in MPI_Waitall");
    EXPECT(statuses[0].MPI_ERROR != MPI_SUCCESS);
    EXPECT(statuses[1].MPI_ERROR == MPI_SUCCESS || statuses[1].MPI_ERROR == MPI_ERR_PENDING);
    if (requests[1] != MPI_REQUEST_NULL) OK(MPI_Wait(&requests[1], MPI_STATUS_IGNORE));
  } else {
    OK(code);
  }
  good.verify("beside a mismatch");
  expect_usable(t);
}

MPI_TEST(found_by_a_plan, {.sizes = {2, 3, 5, 8}}) {
  std::vector<Mismatch> all = disagreements(t);
  all.push_back({.sender = 0, .receiver = 1, .bytes = 100, .sent = 5000, .expected = 0});
  all.push_back({.sender = 1, .receiver = 0, .bytes = 0, .sent = 0, .expected = 77777});
  for (const Mismatch& m : all) {
    const Layouts layouts = mismatched_layouts(t, m);
    MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
    const int code = MPIX_Alltoallv_layout_init(layouts.send.layout(), layouts.recv.layout(), t.comm,
                                                MPI_INFO_NULL, &plan);
    EXPECT(error_class(code) == MPIX_ERR_MISMATCH, "all ranks must fail together: ", error_text(code));
    if (concerns(t, m)) expect_mismatch(m, code, "plan");
    EXPECT(plan == MPIX_LAYOUT_PLAN_NULL);
    expect_usable(t);
  }
}

/// Nobody expects the other where one of the sizes is zero; then the exchange ends by its timeout.
MPI_TEST(one_of_them_zero, {.sizes = {2, 5}}) {
  for (const Mismatch m : {Mismatch{.sender = 0, .receiver = 1, .bytes = 0, .sent = 90, .expected = 0},
                           Mismatch{.sender = 1, .receiver = 0, .bytes = 0, .sent = 0, .expected = 300000}}) {
    const Layouts layouts = mismatched_layouts(t, m);
    Buffers buffers(t, layouts);
    const double start = MPI_Wtime();
    const int code = run(t.comm, layouts, buffers);
    const bool waits = t.rank == (m.sent > 0 ? m.sender : m.receiver);
    const bool reported = error_class(code) == MPIX_ERR_TIMEOUT || error_class(code) == MPIX_ERR_MISMATCH;
    if (waits) {
      EXPECT(reported, error_text(code));
      EXPECT(error_text(code).find(text("rank ", m.sent > 0 ? m.receiver : m.sender)) != std::string::npos,
             error_text(code));
      EXPECT(MPI_Wtime() - start < 20, "took ", MPI_Wtime() - start, " s");
    } else {
      EXPECT(code == MPI_SUCCESS || reported, error_text(code));
    }
    buffers.verify_outside("one of them zero");
    OK(MPI_Barrier(t.comm));
    expect_usable(t);
  }
}

MPI_TEST(one_of_them_zero_in_a_request, {.sizes = {2, 3}}) {
  const Mismatch m{.sender = 1, .receiver = 0, .bytes = 1000, .sent = 0, .expected = 30000};
  const Layouts layouts = mismatched_layouts(t, m);
  Buffers buffers(t, layouts);
  MPI_Request request = MPI_REQUEST_NULL;
  OK(MPIX_Ialltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                            layouts.recv.layout(), t.comm, &request));
  const int code = MPI_Wait(&request, MPI_STATUS_IGNORE);
  // Both have other traffic with each other, so the sizes are seen.
  if (concerns(t, m))
    expect_mismatch(m, code, "request");
  else
    OK(code);
  expect_usable(t);
}

/// The sender's bytes go through the ranks of the receiver's node, which do not expect any, and may have
/// left.
MPI_TEST(much_where_little_is_expected, {.sizes = {3, 5, 8}}) {
  const Mismatch m{.sender = t.size - 1, .receiver = 1, .bytes = 0, .sent = 40 * 50000, .expected = 500};
  std::vector<ByteMap> send(static_cast<std::size_t>(t.size)), recv(send.size());
  if (t.rank == m.sender) send[1].assign(40, {0, 50000});
  if (t.rank == m.receiver) recv.back() = {{0, 500}};
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "much");
  layouts.recv = side_of_maps(std::move(recv), "little");
  Buffers buffers(t, layouts);
  for (int round = 0; round < 3; ++round) {
    const int code = run(t.comm, layouts, buffers);
    if (concerns(t, m))
      expect_mismatch(m, code, "much");
    else
      OK(code);
    buffers.verify_outside("much");
    expect_usable(t);
  }
}

/// A rank's own send and receive layouts may disagree too.
MPI_TEST(with_itself) {
  std::vector<ByteMap> send(static_cast<std::size_t>(t.size)), recv(send.size());
  send[static_cast<std::size_t>(t.rank)] = {{0, 33}};
  recv[static_cast<std::size_t>(t.rank)] = {{0, 44}};
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "send");
  layouts.recv = side_of_maps(std::move(recv), "recv");
  Buffers buffers(t, layouts);
  const int code = run(t.comm, layouts, buffers);
  expect_mismatch({.sender = t.rank, .receiver = t.rank, .bytes = 0, .sent = 33, .expected = 44}, code,
                  "self");
  buffers.verify_outside("self");
  expect_usable(t);
}

MPI_TEST(many_in_a_row, {.sizes = {2, 3, 8}}) {
  const Mismatch m{.sender = 0, .receiver = 1, .bytes = 3000, .sent = 40000, .expected = 39999};
  const Layouts layouts = mismatched_layouts(t, m);
  Buffers buffers(t, layouts);
  for (int i = 0; i < 200; ++i) {
    const int code = run(t.comm, layouts, buffers);
    EXPECT(error_class(code) == (concerns(t, m) ? MPIX_ERR_MISMATCH : MPI_SUCCESS), error_text(code));
  }
  expect_usable(t);
}

}  // namespace mpix::test
