// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_LAYOUT_CHECK=full: every disagreement and every overlap is found before anything is sent.
#include "tests/mpi/mismatch.hpp"

namespace mpix::test {
namespace {

const Environment check("MPIX_LAYOUT_CHECK", "full");

}  // namespace

MPI_TEST(zero_on_one_side_is_found, {.sizes = {2, 3, 5, 8}}) {
  for (const Mismatch m :
       {Mismatch{.sender = 0, .receiver = 1, .bytes = 0, .sent = 90, .expected = 0},
        Mismatch{.sender = 1, .receiver = 0, .bytes = 100, .sent = 0, .expected = 300000},
        Mismatch{.sender = 1, .receiver = 0, .bytes = 100, .sent = 8000, .expected = 300000}}) {
    const Layouts layouts = mismatched_layouts(t, m);
    Buffers buffers(t, layouts);
    int code = MPIX_Alltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                                     layouts.recv.layout(), t.comm);
    if (concerns(t, m)) expect_mismatch(m, code, "blocking");
    MPI_Request request = MPI_REQUEST_NULL;
    code = MPIX_Ialltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                                  layouts.recv.layout(), t.comm, &request);
    if (code == MPI_SUCCESS) code = MPI_Wait(&request, MPI_STATUS_IGNORE);
    if (concerns(t, m)) expect_mismatch(m, code, "nonblocking");
    buffers.verify_outside("full check");
    expect_usable(t);
  }
}

MPI_TEST(overlapping_receive_blocks_are_found) {
  std::vector<ByteMap> send(static_cast<std::size_t>(t.size)), recv(send.size());
  for (std::size_t p = 0; p < send.size(); ++p) {
    send[p] = {{0, 10}, {20, 30}};
    recv[p] = {{static_cast<std::int64_t>(p) * 100, 10}, {static_cast<std::int64_t>(p) * 100 + 9, 30}};
  }
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "send");
  layouts.recv = side_of_maps(std::move(recv), "recv");
  Buffers buffers(t, layouts);
  const int code = MPIX_Alltoallv_layout(buffers.send.base(), layouts.send.layout(), buffers.recv.base(),
                                         layouts.recv.layout(), t.comm);
  EXPECT(error_class(code) == MPIX_ERR_LAYOUT, error_text(code));
  EXPECT(error_text(code).find("overlap") != std::string::npos, error_text(code));
  expect_usable(t);
}

MPI_TEST(good_exchanges_pass) {
  for (int round = 0; round < 4; ++round) {
    Running exchange(t, t.comm, {.unit = 4, .most = 100000}, true);
    exchange.run();
    exchange.verify("full check");
  }
}

}  // namespace mpix::test
