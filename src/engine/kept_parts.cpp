// SPDX-License-Identifier: BSD-3-Clause
#include "engine/kept_parts.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mpix::engine {
namespace {

/// Memory for an entry and for a receiver's packet, here and there together, at most.
constexpr std::int64_t kEntryMemory = sizeof(PacketEntry) + 4 * sizeof(std::int64_t);
constexpr std::int64_t kPacketMemory = sizeof(KeptPacket) + 2 * sizeof(KeptEntries);

}  // namespace

std::uint32_t NodeNumbers::take() noexcept {
  if (!unused_.empty()) {
    const std::uint32_t number = unused_.back();
    unused_.pop_back();
    return number;
  }
  if (taken_ == kMostNodeNumber) return 0;
  try {
    if (unused_.capacity() <= taken_) unused_.reserve(2 * std::size_t{taken_} + 1);
  } catch (const std::exception&) {
    return 0;
  }
  return ++taken_;
}

KeptPacket::KeptPacket(std::size_t local, const PacketHeader& header, const PacketPart& part)
    : local_(local),
      own_(std::make_unique<KeptEntries>(header.source, part.bytes, part.dest, part.entries)) {}

KeptPacket::KeptPacket(std::size_t local, NodeNumbers& numbers, std::uint32_t number) noexcept
    : local_(local), numbers_(&numbers), number_(number) {}

KeptPacket::KeptPacket(KeptPacket&& other) noexcept
    : local_(other.local_),
      own_(std::move(other.own_)),
      numbers_(std::exchange(other.numbers_, nullptr)),
      number_(other.number_),
      bytes_(other.bytes_),
      offsets_(std::move(other.offsets_)),
      lengths_(std::move(other.lengths_)),
      run_(other.run_) {}

KeptPacket::~KeptPacket() {
  if (numbers_ != nullptr) numbers_->give_back(number_);
}

/// Rows that adjoin are joined where few are left then.
void KeptPacket::set_rows(std::span<const PartWriter::Copy> copies) {
  std::size_t joined = 0;
  bool equal = true;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    bytes_ += copies[i].bytes;
    equal &= copies[i].bytes == copies[0].bytes;
    joined += i == 0 || copies[i].from != copies[i - 1].from + copies[i - 1].bytes;
  }
  constexpr std::size_t kFew = 4;  // times fewer
  const bool join = !equal || joined * kFew <= copies.size();
  offsets_.reserve(join ? joined : copies.size());
  if (join) lengths_.reserve(joined);
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (join && i > 0 && copies[i].from == copies[i - 1].from + copies[i - 1].bytes) {
      lengths_.back() += copies[i].bytes;
      continue;
    }
    offsets_.push_back(copies[i].from);
    if (join) lengths_.push_back(copies[i].bytes);
  }
  if (!join && !copies.empty()) run_ = copies[0].bytes;
}

void KeptPacket::write(std::byte* room, const PacketHeader& like, const std::byte* data,
                       const kernels::HostKernels& kernels) const noexcept {
  PacketHeader header;
  header.exchange = like.exchange;
  header.source = like.source;
  header.bytes = static_cast<std::uint32_t>(bytes_);
  header.list = number_;
  std::memcpy(room, &header, sizeof header);
  if (bytes_ == 0) return;
  kernels::Blocks rows;
  rows.form = run_ > 0 ? kernels::Form::indexed : kernels::Form::segments;
  rows.bytes = bytes_;
  rows.run = run_;
  rows.nruns = static_cast<std::int64_t>(offsets_.size());
  rows.offsets = offsets_.data();
  rows.lengths = run_ > 0 ? nullptr : lengths_.data();
  kernels::Cursor begin;
  kernels.gather(data, rows, begin, room + data_place(0), static_cast<std::size_t>(bytes_),
                 kernels::Stores::cached);
}

KeptPart::~KeptPart() {
  if (owner_ != nullptr) owner_->drop(*this);
}

bool KeptParts::begin(KeptPart& part, std::uint64_t exchange, std::size_t dests, std::size_t entries) {
  const std::int64_t bytes =
      static_cast<std::int64_t>(dests) * kPacketMemory + static_cast<std::int64_t>(entries) * kEntryMemory;
  if (bytes > most_) return false;
  while (bytes_ + bytes > most_) {
    KeptPart& oldest = *by_use_.front();
    if (oldest.busy_ || oldest.used_ + kUnused >= exchange) return false;
    drop(oldest);
  }
  by_use_.push_back(&part);
  part.place_ = std::prev(by_use_.end());
  part.owner_ = this;
  part.used_ = exchange;
  bytes_ += part.bytes_ = bytes;
  return true;
}

void KeptParts::use(KeptPart& part, std::uint64_t exchange) noexcept {
  part.used_ = std::max(part.used_, exchange);
  by_use_.splice(by_use_.end(), by_use_, part.place_);
}

void KeptParts::drop(KeptPart& part) noexcept {
  by_use_.erase(part.place_);
  bytes_ -= part.bytes_;
  part.owner_ = nullptr;
  part.packets_.clear();
  part.complete_ = false;
}

}  // namespace mpix::engine
