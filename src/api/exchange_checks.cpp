// SPDX-License-Identifier: BSD-3-Clause
#include "api/exchange_checks.hpp"

#include "api/agree.hpp"
#include "base/text.hpp"

namespace mpix::api {
namespace {

/// Addresses below this are never valid: a null buffer with such offsets is a mistake, not MPI_BOTTOM.
constexpr std::int64_t kFirstPage = 4096;

/// What a rank tells a peer.
struct Facts {
  std::int64_t sent = 0, expected = 0;  ///< bytes to it, and from it
  std::int64_t note = 0;
};

std::vector<Facts> list_facts(int peers, const Layout& send, const Layout& recv,
                              std::span<const std::int64_t> notes) {
  std::vector<Facts> facts(static_cast<std::size_t>(peers));
  for (std::size_t peer = 0; peer < notes.size(); ++peer) facts[peer].note = notes[peer];
  for (const PeerBlocks& part : send.parts())
    facts[static_cast<std::size_t>(part.peer)].sent = part.blocks.bytes;
  for (const PeerBlocks& part : recv.parts())
    facts[static_cast<std::size_t>(part.peer)].expected = part.blocks.bytes;
  return facts;
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

std::vector<std::int64_t> compare_sizes(const Communicator& communicator, const Layout& send,
                                        const Layout& recv, std::span<const std::int64_t> notes) {
  const std::vector<Facts> mine = list_facts(communicator.size(), send, recv, notes);
  std::vector<Facts> theirs(mine.size());
  check_mpi(MPI_Alltoall(mine.data(), sizeof(Facts), MPI_BYTE, theirs.data(), sizeof(Facts), MPI_BYTE,
                         communicator.own_comm()),
            "MPI_Alltoall");
  Status status;
  for (int peer = 0; peer < communicator.size() && status.ok(); ++peer) {
    const auto p = static_cast<std::size_t>(peer);
    if (mine[p].sent != theirs[p].expected)
      status = mismatch(communicator.rank(), mine[p].sent, peer, theirs[p].expected);
    else if (theirs[p].sent != mine[p].expected)
      status = mismatch(peer, theirs[p].sent, communicator.rank(), mine[p].expected);
  }
  throw_together(communicator.own_comm(), status);
  std::vector<std::int64_t> noted;
  for (const Facts& facts : theirs) noted.push_back(facts.note);
  return noted;
}

void check_overlaps(const Communicator& communicator, const Layout& recv) {
  Status status;
  try {
    recv.list_on_host();
    check_no_overlap(recv);
  } catch (const Error& error) {
    status = error.status();
  }
  throw_together(communicator.own_comm(), status);
}

void check_fully(const Communicator& communicator, const Layout& send, const Layout& recv) {
  compare_sizes(communicator, send, recv);
  check_overlaps(communicator, recv);
}

}  // namespace mpix::api
