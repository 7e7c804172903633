// SPDX-License-Identifier: BSD-3-Clause
/// Exchanges on which two ranks of a communicator disagree, for the tests of what is reported.
#pragma once

#include <algorithm>
#include <string>

#include "tests/support/exchange.hpp"

namespace mpix::test {

/// All ranks exchange `bytes` with each other; rank `sender` sends `wrong` bytes to rank `receiver` instead.
struct Mismatch {
  int sender = 0;
  int receiver = 1;
  std::int64_t bytes = 0;
  std::int64_t sent = 0;      ///< what the sender lists for the receiver
  std::int64_t expected = 0;  ///< what the receiver lists for the sender
};

inline Layouts mismatched_layouts(const Case& t, const Mismatch& m) {
  std::vector<ByteMap> send(static_cast<std::size_t>(t.size)), recv(send.size());
  const std::int64_t room = std::max({m.bytes, m.sent, m.expected}) * 2 + 10;
  for (int p = 0; p < t.size; ++p) {
    const auto i = static_cast<std::size_t>(p);
    const std::int64_t out = t.rank == m.sender && p == m.receiver ? m.sent : m.bytes;
    const std::int64_t in = t.rank == m.receiver && p == m.sender ? m.expected : m.bytes;
    send[i] = {{p * room, out / 2}, {p * room + out / 2 + 3, out - out / 2}};
    recv[i] = {{p * room + 1, in / 3}, {p * room + in / 3 + 5, in - in / 3}};
  }
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "mismatched send");
  layouts.recv = side_of_maps(std::move(recv), "mismatched receive");
  return layouts;
}

/// Buffers for layouts for which the oracle has no answer.
struct Buffers {
  Buffers(Case& t, const Layouts& layouts)
      : send(make(t, layouts.send)),
        recv(make(t, layouts.recv)),
        layouts_(layouts),
        before_(recv.bytes().size()) {
    send.fill(1);
    recv.fill(2);
    fill_pattern(before_, 2);
  }
  static Buffer make(Case& t, const Side& side) {
    const Range range = range_of(side.maps());
    return Buffer(t.own, random_kind(t.own), range.low, range.high);
  }
  /// Only the blocks may have been written.
  void verify_outside(const std::string& what) {
    const std::span<const std::byte> now = recv.bytes();
    for (const ByteMap& map : layouts_.recv.maps())
      for (const Segment& s : map)
        std::copy_n(recv.host_base() + s.offset, s.length, recv.base_in(before_.data()) + s.offset);
    EXPECT(std::equal(before_.begin(), before_.end(), now.begin()), what, ": wrote outside the blocks");
  }
  Buffer send, recv;

 private:
  const Layouts& layouts_;
  std::vector<std::byte> before_;
};

inline bool concerns(const Case& t, const Mismatch& m) {
  return t.rank == m.sender || t.rank == m.receiver;
}

/// The error names both ranks and both sizes.
inline void expect_mismatch(const Mismatch& m, int code, const std::string& what) {
  const std::string found = error_text(code);
  EXPECT(error_class(code) == MPIX_ERR_MISMATCH, what, ": ", found);
  for (const std::string& word :
       {text("rank ", m.sender), text("rank ", m.receiver), text(m.sent), text(m.expected)})
    EXPECT(found.find(word) != std::string::npos, what, ": \"", word, "\" is missing in: ", found);
}

/// What the two ranks' disagreement must not have broken.
inline void expect_usable(Case& t) {
  Running exchange(t, t.comm, {.unit = 4, .most = 100000}, true);
  exchange.run();
  exchange.verify("after a mismatch");
}

}  // namespace mpix::test
