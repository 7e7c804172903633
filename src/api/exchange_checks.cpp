// SPDX-License-Identifier: BSD-3-Clause
#include "api/exchange_checks.hpp"

#include <array>

#include "api/agree.hpp"
#include "base/text.hpp"

namespace mpix::api {
namespace {

/// Addresses below this are never valid: a null buffer with such offsets is a mistake, not MPI_BOTTOM.
constexpr std::int64_t kFirstPage = 4096;

using Sizes = std::array<std::int64_t, 2>;  // sent to a peer, expected from it

std::vector<Sizes> list_sizes(int peers, const Layout& send, const Layout& recv) {
  std::vector<Sizes> sizes(static_cast<std::size_t>(peers), Sizes{0, 0});
  for (const PeerBlocks& part : send.parts())
    sizes[static_cast<std::size_t>(part.peer)][0] = part.blocks.bytes;
  for (const PeerBlocks& part : recv.parts())
    sizes[static_cast<std::size_t>(part.peer)][1] = part.blocks.bytes;
  return sizes;
}

Status mismatch(int from, std::int64_t sent, int to, std::int64_t expected) {
  return {Code::mismatch, text("rank ", from, " sends ", sent, " bytes to rank ", to, ", which expects ",
                               expected, " bytes from it")};
}

}  // namespace

void check_peers(const Communicator& communicator, const Layout& layout, const char* name) {
  if (layout.npeers() != communicator.size())
    throw Error(Code::layout, text(name, " was made for ", layout.npeers(), " peers, but comm has ",
                                   communicator.size(), " ranks"));
}

void check_buffer(const void* buffer, const Layout& layout, const char* name) {
  if (buffer == MPI_IN_PLACE)
    throw Error(Code::buffer, text(name, " cannot be MPI_IN_PLACE; only sendbuf can"));
  if (buffer == nullptr && layout.bytes() > 0 && layout.true_lb() < kFirstPage)
    throw Error(Code::buffer,
                text(name, " is a null pointer, but its layout lists ", layout.bytes(), " bytes"));
}

void compare_sizes(const Communicator& communicator, const Layout& send, const Layout& recv) {
  const std::vector<Sizes> mine = list_sizes(communicator.size(), send, recv);
  std::vector<Sizes> theirs(mine.size());
  check_mpi(MPI_Alltoall(mine.data(), sizeof(Sizes), MPI_BYTE, theirs.data(), sizeof(Sizes), MPI_BYTE,
                         communicator.own_comm()),
            "MPI_Alltoall");
  Status status;
  for (int peer = 0; peer < communicator.size() && status.ok(); ++peer) {
    const auto p = static_cast<std::size_t>(peer);
    if (mine[p][0] != theirs[p][1])
      status = mismatch(communicator.rank(), mine[p][0], peer, theirs[p][1]);
    else if (theirs[p][0] != mine[p][1])
      status = mismatch(peer, theirs[p][0], communicator.rank(), mine[p][1]);
  }
  throw_together(communicator.own_comm(), status);
}

void check_fully(const Communicator& communicator, const Layout& send, const Layout& recv) {
  compare_sizes(communicator, send, recv);
  Status status;
  try {
    check_no_overlap(recv);
  } catch (const Error& error) {
    status = error.status();
  }
  throw_together(communicator.own_comm(), status);
}

}  // namespace mpix::api
