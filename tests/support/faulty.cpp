// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/faulty.hpp"

#include "base/text.hpp"

namespace mpix::test {

using transport::Announcement;
using transport::AnnouncementView;
using transport::Chunk;
using transport::ChunkView;

class FaultyChannel final : public transport::Channel {
 public:
  FaultyChannel(FaultyTransport& owner, transport::Channel& inner, int peer)
      : owner_(owner), inner_(inner), peer_(peer) {}

  bool same_node() const noexcept override { return inner_.same_node(); }
  std::uint32_t abilities() const noexcept override { return inner_.abilities(); }
  std::size_t inline_limit() const noexcept override { return inner_.inline_limit(); }
  std::size_t chunk_limit() const noexcept override { return inner_.chunk_limit(); }

  std::byte* announce_begin() noexcept override { return refused() ? nullptr : inner_.announce_begin(); }

  Status announce_commit(const Announcement& announcement) noexcept override {
    ++owner_.announcements;
    if (owner_.announcements == owner_.faults().lose_announcement) return {};
    if (owner_.announcements == owner_.faults().fail_announcement) return broken("announcement");
    return inner_.announce_commit(announcement);
  }

  const AnnouncementView* announcement() noexcept override {
    return hidden() ? nullptr : inner_.announcement();
  }
  void pop_announcement() noexcept override { inner_.pop_announcement(); }

  std::span<std::byte> chunk_begin(std::size_t want, transport::By writer) noexcept override {
    if (refused()) return {};
    if (owner_.rng().chance(owner_.faults().cut))
      want = static_cast<std::size_t>(owner_.rng().between(1, static_cast<std::int64_t>(want)));
    return inner_.chunk_begin(want, writer);
  }

  Status chunk_commit(const std::byte* room, const Chunk& chunk) noexcept override {
    ++owner_.chunks;
    const bool lost = owner_.chunks == owner_.faults().lose_chunk;
    const bool failed = owner_.chunks == owner_.faults().fail_chunk;
    if (!lost && !failed) return inner_.chunk_commit(room, chunk);
    inner_.chunk_cancel(room);
    return failed ? broken("chunk") : Status();
  }

  void chunk_cancel(const std::byte* room) noexcept override { inner_.chunk_cancel(room); }
  std::uint64_t chunks_sent() const noexcept override { return inner_.chunks_sent(); }

  /// A lower bound, as the contract allows, that is exact in the end.
  std::uint64_t chunks_drained() noexcept override {
    if (!owner_.rng().chance(owner_.faults().hide)) drained_ = inner_.chunks_drained();
    return drained_;
  }

  bool flushed() noexcept override {
    return !owner_.rng().chance(owner_.faults().unflushed) && inner_.flushed();
  }
  void expect(std::int64_t bytes, transport::By reader) noexcept override { inner_.expect(bytes, reader); }
  const ChunkView* chunk(std::size_t ahead, transport::By reader, std::uint64_t exchange) noexcept override {
    return hidden() ? nullptr : inner_.chunk(ahead, reader, exchange);
  }
  void pop_chunk() noexcept override { inner_.pop_chunk(); }
  void leave_note(std::span<const std::byte> note) noexcept override { inner_.leave_note(note); }
  std::span<const std::byte> note() noexcept override {
    return hidden() ? std::span<const std::byte>() : inner_.note();
  }
  Status check_peer() noexcept override { return inner_.check_peer(); }

 private:
  bool refused() noexcept { return owner_.rng().chance(owner_.faults().refuse); }
  bool hidden() noexcept { return owner_.rng().chance(owner_.faults().hide); }
  Status broken(const char* what) const {
    return {Code::peer, text("injected: no ", what, " reaches rank ", peer_)};
  }

  FaultyTransport& owner_;
  transport::Channel& inner_;
  int peer_;
  std::uint64_t drained_ = 0;
};

FaultyTransport::FaultyTransport(transport::Transport& inner, const Faults& faults)
    : inner_(inner), faults_(faults), rng_(faults.seed) {}

FaultyTransport::~FaultyTransport() = default;

transport::Channel& FaultyTransport::connect(int peer) {
  auto& channel = channels_[peer];
  if (channel == nullptr) channel = std::make_unique<FaultyChannel>(*this, inner_.connect(peer), peer);
  return *channel;
}

Status FaultyTransport::progress(bool& happened) noexcept {
  if (++progresses == faults_.fail_progress) return {Code::peer, "injected: the transport is broken"};
  return inner_.progress(happened);
}

}  // namespace mpix::test
