// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/validate.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "benchmarks/common/content.hpp"

namespace mpix::bench {
namespace {

constexpr std::uint64_t kGap = std::uint64_t{1} << 62;  ///< origin of bytes that nobody may write

std::string hex(std::byte value) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", std::to_integer<unsigned>(value));
  return text;
}

}  // namespace

Validator::Validator(const Exchange& exchange, const Buffers& buffers)
    : exchange_(exchange), buffers_(buffers), rank_(comm_rank(exchange.comm)) {
  const auto peers = static_cast<std::size_t>(exchange.send.peers());
  std::vector<std::int64_t> mine;
  std::vector<int> send_counts(peers, 0);
  for_each_run(exchange.send, [&](int peer, std::int64_t offset, std::int64_t length) {
    mine.push_back(offset);
    mine.push_back(length);
    send_counts[static_cast<std::size_t>(peer)] += 2;
  });
  std::vector<int> recv_counts(peers, 0);
  check(MPI_Alltoall(send_counts.data(), 1, MPI_INT, recv_counts.data(), 1, MPI_INT, exchange.comm),
        "MPI_Alltoall");
  std::vector<int> send_displs(peers, 0);
  std::vector<int> recv_displs(peers, 0);
  for (std::size_t p = 1; p < peers; ++p) {
    send_displs[p] = send_displs[p - 1] + send_counts[p - 1];
    recv_displs[p] = recv_displs[p - 1] + recv_counts[p - 1];
  }
  std::vector<std::int64_t> theirs(static_cast<std::size_t>(recv_displs.back() + recv_counts.back()));
  check(MPI_Alltoallv(mine.data(), send_counts.data(), send_displs.data(), MPI_INT64_T, theirs.data(),
                      recv_counts.data(), recv_displs.data(), MPI_INT64_T, exchange.comm),
        "MPI_Alltoallv");
  sources_.resize(peers);
  for (std::size_t p = 0; p < peers; ++p) {
    for (int i = 0; i < recv_counts[p]; i += 2) {
      const std::int64_t* pair = theirs.data() + recv_displs[p] + i;
      sources_[p].push_back({pair[0], pair[1]});
    }
  }
}

void Validator::fill(std::uint64_t salt) const {
  const auto me = static_cast<std::uint64_t>(rank_);
  Content(me, salt).write(buffers_.send.host(), 0, buffers_.send.size());
  Content(kGap + me, salt).write(buffers_.recv.host(), 0, buffers_.recv.size());
  buffers_.send.store();
  buffers_.recv.store();
}

/// Calls `visit(peer, place in the receive buffer, place in the peer's send buffer, bytes)` for the pieces
/// that are contiguous on both sides.
template <class Visit>
void Validator::for_each_piece(Visit visit) const {
  int current = -1;
  std::size_t run = 0;
  std::int64_t within = 0;
  for_each_run(exchange_.recv, [&](int peer, std::int64_t offset, std::int64_t length) {
    if (peer != current) current = peer, run = 0, within = 0;
    const std::vector<Run>& runs = sources_[static_cast<std::size_t>(peer)];
    while (length > 0) {
      if (run == runs.size())
        throw Error("the pattern's two sides differ in size: rank " + std::to_string(peer));
      const std::int64_t bytes = std::min(length, runs[run].length - within);
      visit(peer, offset, runs[run].offset + within, bytes);
      offset += bytes;
      length -= bytes;
      within += bytes;
      if (within == runs[run].length) ++run, within = 0;
    }
  });
}

std::vector<std::byte> Validator::expected_image(std::uint64_t salt) const {
  std::vector<std::byte> image(static_cast<std::size_t>(buffers_.recv.size()));
  const auto me = static_cast<std::uint64_t>(rank_);
  Content(kGap + me, salt).write(image.data(), 0, buffers_.recv.size());
  for_each_piece([&](int peer, std::int64_t at, std::int64_t place, std::int64_t bytes) {
    Content(static_cast<std::uint64_t>(peer), salt).write(image.data() + at, place, bytes);
  });
  return image;
}

std::string Validator::describe_recv(std::uint64_t salt, std::int64_t at, std::byte expected) const {
  const std::byte found = buffers_.recv.host()[at];
  std::string text = "byte " + std::to_string(at) + " of the receive buffer is " + hex(found) + ", " +
                     hex(expected) + " expected";
  std::string origin = ", a gap that must stay as it is";
  for_each_piece([&](int peer, std::int64_t piece, std::int64_t place, std::int64_t bytes) {
    if (at < piece || at >= piece + bytes) return;
    origin = ", byte " + std::to_string(place + at - piece) + " of rank " + std::to_string(peer) +
             "'s send buffer";
  });
  if (found == Content(kGap + static_cast<std::uint64_t>(rank_), salt).at(at))
    origin += "; it was not written";
  return text + origin;
}

std::optional<std::string> Validator::find_error(std::uint64_t salt) const {
  const std::vector<std::byte> image = expected_image(salt);
  buffers_.recv.fetch();
  buffers_.send.fetch();
  const std::byte* recv = buffers_.recv.host();
  const auto wrong = std::mismatch(image.begin(), image.end(), recv);
  if (wrong.first != image.end()) return describe_recv(salt, wrong.second - recv, *wrong.first);
  const Content sent(static_cast<std::uint64_t>(rank_), salt);
  std::vector<std::byte> original(static_cast<std::size_t>(buffers_.send.size()));
  sent.write(original.data(), 0, buffers_.send.size());
  const auto changed = std::mismatch(original.begin(), original.end(), buffers_.send.host());
  if (changed.first == original.end()) return std::nullopt;
  return "byte " + std::to_string(changed.first - original.begin()) + " of the send buffer was changed";
}

int validate(const Methods& methods, const Validator& validator, const std::string& label, MPI_Comm comm,
             std::uint64_t salt) {
  int errors = 0;
  for (const auto& method : methods) {
    if (!method->delivers()) continue;
    validator.fill(++salt);
    check(MPI_Barrier(comm), "MPI_Barrier");
    method->run();
    if (const auto error = validator.find_error(salt)) {
      ++errors;
      std::fprintf(stderr, "rank %d, %s, %s: %s\n", comm_rank(comm), label.c_str(), method->name(),
                   error->c_str());
    }
  }
  int all = 0;
  check(MPI_Allreduce(&errors, &all, 1, MPI_INT, MPI_SUM, comm), "MPI_Allreduce");
  return all;
}

}  // namespace mpix::bench
