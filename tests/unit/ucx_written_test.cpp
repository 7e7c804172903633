// SPDX-License-Identifier: BSD-3-Clause
// What a channel calls flushed has left the process: the peer gets it although this rank progresses no more.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "tests/unit/ucx_support.hpp"

namespace mpix::transport::ucx {
namespace {

constexpr std::int64_t kEnd = -1;
constexpr std::size_t kInline = 7000;

/// One of two processes with a connection whose sockets take little.
class Side {
 public:
  Side(const Child& other, int rank)
      : worker_(std::make_shared<UcxWorker>(small_config())),
        address_(other.swap_addresses(worker_->address())),
        transport_(worker_, rank, 1, [this](int) { return std::span(address_); }),
        channel_(transport_.connect(1 - rank)) {}

  Channel& channel() { return channel_; }
  template <typename Condition>
  bool progress_until(Condition condition, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      bool happened = false;
      EXPECT_TRUE(transport_.progress(happened).ok());
    }
    return true;
  }
  void progress_for(std::chrono::milliseconds time) {
    progress_until([] { return false; }, time);
  }
  void send_chunk(std::uint64_t exchange, std::int64_t bytes) {
    const auto size = static_cast<std::size_t>(bytes);
    const std::span<std::byte> room = channel_.chunk_begin(size);
    ASSERT_EQ(room.size(), size);
    EXPECT_TRUE(
        channel_
            .chunk_commit(room.data(), {exchange, 0, bytes, Payload::data, static_cast<std::uint32_t>(bytes)})
            .ok());
  }

 private:
  std::shared_ptr<UcxWorker> worker_;
  std::vector<std::byte> address_;
  UcxTransport transport_;
  Channel& channel_;
};

/// Reads `announcements` and `bytes` as one chunk; whether all came.
bool read_all(Side& side, std::int64_t announcements, std::int64_t bytes) {
  if (bytes > 0) side.channel().expect(bytes);
  return side.progress_until(
      [&] {
        if (announcements > 0 && side.channel().announcement() != nullptr) {
          side.channel().pop_announcement();
          --announcements;
        }
        if (bytes > 0 && side.channel().chunk() != nullptr) {
          bytes -= side.channel().chunk()->header.bytes;
          side.channel().pop_chunk();
        }
        return announcements == 0 && bytes == 0;
      },
      std::chrono::seconds(5));
}

/// Does nothing until it is told to read.
void read_when_told(const Child& parent) {
  Side side(parent, 1);
  read_all(side, 1, 1);
  side.progress_for(std::chrono::milliseconds(50));
  while (true) {
    const std::int64_t announcements = parent.hear();
    if (announcements == kEnd) return;
    const std::int64_t bytes = parent.hear();
    parent.tell(read_all(side, announcements, bytes) ? 1 : 0);
    side.progress_for(std::chrono::milliseconds(50));
  }
}

TEST(UcxWritten, WhatIsFlushedArrivesWithoutThisRank) {
  // As little as Linux gives a socket by default; then nothing of what is sent here fits for long.
  ::setenv("UCX_TCP_SNDBUF", "8k", 1);
  ::setenv("UCX_TCP_RCVBUF", "8k", 1);
  Child child(read_when_told);
  Side side(child, 0);
  ::unsetenv("UCX_TCP_SNDBUF");
  ::unsetenv("UCX_TCP_RCVBUF");
  ASSERT_TRUE(announce(side.channel(), 1));  // connects, which the first chunk's credit needs
  std::uint64_t exchange = 1;
  std::span<std::byte> room;
  ASSERT_TRUE(side.progress_until([&] { return !(room = side.channel().chunk_begin(1)).empty(); },
                                  std::chrono::seconds(5)));
  ASSERT_TRUE(side.channel().chunk_commit(room.data(), {exchange, 0, 1, Payload::data, 1}).ok());
  side.progress_for(std::chrono::milliseconds(100));
  for (std::int64_t announcements = 0; announcements <= 3; ++announcements)
    for (const std::int64_t bytes : {0, 1000, 7000, 9000, 20000, 50000, 65536}) {
      SCOPED_TRACE(testing::Message() << announcements << " announcements, " << bytes << " bytes");
      for (std::int64_t i = 0; i < announcements; ++i)
        ASSERT_TRUE(announce(side.channel(), ++exchange, kInline));
      if (bytes > 0) side.send_chunk(exchange, bytes);
      const auto flushed = [&] { return side.channel().flushed(); };
      const bool at_once = side.progress_until(flushed, std::chrono::milliseconds(50));
      child.tell(announcements);
      child.tell(bytes);
      EXPECT_TRUE(at_once || side.progress_until(flushed, std::chrono::seconds(5)));
      ASSERT_EQ(child.hear(), 1) << (at_once ? "flushed at once, but did not come" : "did not come");
      side.progress_for(std::chrono::milliseconds(60));
    }
  child.tell(kEnd);
}

}  // namespace
}  // namespace mpix::transport::ucx
