// SPDX-License-Identifier: BSD-3-Clause
/// What lies in shared memory between two ranks of a node: for every sender one mailbox in the receiver's
/// segment. Zeroed memory is a valid, empty mailbox.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "memory/stores.hpp"
#include "transport/transport.hpp"

namespace mpix::transport::shm {

using memory::Way;

inline constexpr std::size_t kLine = 64;
inline constexpr std::uint64_t kEntries = 8;      ///< unread announcements of a pair
inline constexpr std::uint64_t kDescriptors = 8;  ///< unread chunks of a pair
inline constexpr std::size_t kEntryBytes = 4096 + 64;

/// One announcement. The first line holds the header and the first bytes of the payload, so that a short
/// message is one line in all. `sequence` is written last: n + 1 for the pair's n-th announcement.
struct alignas(kLine) Entry {
  std::atomic<std::uint64_t> sequence;
  std::uint64_t exchange;
  std::int64_t send_bytes;
  std::int64_t recv_bytes;
  std::uint32_t inline_bytes;
  std::uint32_t abilities;
  std::byte payload[kEntryBytes - 40];
};
static_assert(sizeof(Entry) == kEntryBytes && offsetof(Entry, payload) == 40);

/// One chunk: where its payload lies in the sender's staging memory. `sequence` as above.
struct alignas(kLine) Descriptor {
  std::atomic<std::uint64_t> sequence;
  Chunk chunk;
  std::uint32_t slot;
  Way way;  ///< how the payload was written
};
static_assert(sizeof(Descriptor) == kLine);

struct Mailbox {
  Entry entries[kEntries];
  Descriptor descriptors[kDescriptors];
  alignas(kLine) std::atomic<std::uint64_t> read_entries;      ///< by the receiver
  alignas(kLine) std::atomic<std::uint64_t> read_descriptors;  ///< by the receiver
  std::atomic<std::uint32_t> costs[memory::kWays];  ///< of reading chunks, measured by the receiver
  alignas(kLine) std::byte note[kNoteBytes];
  std::atomic<std::uint32_t> note_bytes;  ///< set once the note has been written
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace mpix::transport::shm
