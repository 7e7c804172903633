// SPDX-License-Identifier: BSD-3-Clause
#include "engine/kept_lists.hpp"

#include <algorithm>
#include <utility>

namespace mpix::engine {
namespace {

/// What a forwarder needs for a part beyond the part's lists.
constexpr std::int64_t kPartOverhead = 128;

/// Keeps of `view` what lies in the data [from, from + bytes), and lets the data begin there.
void clip(PacketView& view, std::int64_t from, std::int64_t bytes) noexcept {
  std::uint32_t kept_entries = 0;
  std::size_t kept_dests = 0;
  for (PacketDest dest : view.dests) {
    const std::uint32_t first = kept_entries;
    for (std::uint32_t i = dest.first; i < dest.first + dest.count; ++i) {
      const PacketEntry entry = view.entries[i];
      const std::int64_t begin = std::max<std::int64_t>(entry.data, from);
      const std::int64_t end = std::min<std::int64_t>(std::int64_t{entry.data} + entry.bytes, from + bytes);
      if (begin >= end) continue;
      view.entries[kept_entries++] = {static_cast<std::uint32_t>(begin - from),
                                      static_cast<std::uint32_t>(end - begin),
                                      entry.offset + (begin - entry.data)};
    }
    dest.first = first;
    dest.count = kept_entries - first;
    dest.introduces &= from == 0;
    if (dest.count > 0 || dest.introduces) view.dests[kept_dests++] = dest;
  }
  view.dests.resize(kept_dests);
  view.entries.resize(kept_entries);
}

}  // namespace

std::uint32_t ListNumbers::take() {
  const std::lock_guard guard(mutex_);
  if (unused_.empty()) {
    bytes_.reserve(bytes_.size() + 1);
    unused_.reserve(bytes_.size() + 1);  // for all to be given back
    bytes_.push_back(0);
    return static_cast<std::uint32_t>(bytes_.size());
  }
  const auto most = std::max_element(unused_.begin(), unused_.end(),
                                     [&](auto a, auto b) { return bytes_[a - 1] < bytes_[b - 1]; });
  std::swap(*most, unused_.back());
  const std::uint32_t number = unused_.back();
  unused_.pop_back();
  return number;
}

void ListNumbers::give_back(std::uint32_t number) noexcept {
  const std::lock_guard guard(mutex_);
  unused_.push_back(number);
}

void ListNumbers::begin(std::uint32_t number) noexcept {
  const std::lock_guard guard(mutex_);
  total_ -= std::exchange(bytes_[number - 1], 0);
}

void ListNumbers::add(std::uint32_t number, std::int64_t bytes) noexcept {
  const std::lock_guard guard(mutex_);
  bytes_[number - 1] += bytes;
  total_ += bytes;
}

std::int64_t ListNumbers::bytes() const noexcept {
  const std::lock_guard guard(mutex_);
  return total_;
}

std::int64_t ListNumbers::bytes_beside(std::uint32_t number) const noexcept {
  const std::lock_guard guard(mutex_);
  return total_ - bytes_[number - 1];
}

SentList::~SentList() {
  if (number_ != 0) numbers_->give_back(number_);
}

std::int64_t SentList::known(std::int64_t position, std::int64_t most) const noexcept {
  auto part = ends_.upper_bound(position);
  if (part == ends_.begin() || std::prev(part)->second <= position) return 0;
  std::int64_t whole = 0, known = std::prev(part)->second - position;
  for (; known < most && part != ends_.end() && part->first == position + known; ++part) {
    whole = known;
    known = part->second - position;
  }
  if (known <= most) return known;
  return whole >= most / 2 && whole > 0 ? whole : most;
}

std::int64_t SentList::unknown(std::int64_t position) const noexcept {
  const auto after = ends_.upper_bound(position);
  return after == ends_.end() ? INT64_MAX : after->first - position;
}

std::uint32_t SentList::number_to_keep() {
  if (number_ == 0) number_ = numbers_->take();
  if (bytes_before() >= most_) return 0;
  return ends_.empty() ? number_ | kNewList : number_;
}

/// Bytes of all lists before the next part is kept, with which this one may begin anew.
std::int64_t SentList::bytes_before() const noexcept {
  return ends_.empty() ? numbers_->bytes_beside(number_) : numbers_->bytes();
}

bool SentList::keep(std::int64_t position, std::int64_t bytes, std::size_t list_bytes, bool introduces) {
  const std::int64_t more = static_cast<std::int64_t>(list_bytes) + kPartOverhead;
  if (bytes_before() > most_ - more) return false;
  if (ends_.empty()) numbers_->begin(number_);
  if (introduces) introducing_.insert(position);
  ends_.emplace(position, position + bytes);
  numbers_->add(number_, more);
  return true;
}

void KeptLists::keep(const PacketHeader& header, const std::byte* lists) {
  if (header.list == 0 || header.lists == 0) return;
  List& list = lists_[header.list & ~kNewList];
  if ((header.list & kNewList) != 0) list.clear();
  list[header.position] = {
      header.bytes, header.dests, header.entries, {lists, lists + header.lists}, nullptr};
}

KeptPart* KeptLists::whole_part(const PacketHeader& header, std::int64_t from, std::int64_t& bytes) {
  const auto list = lists_.find(header.list);
  if (list == lists_.end()) return nullptr;
  const auto found = list->second.find(header.position + from);
  if (found == list->second.end() || found->second.bytes > header.bytes - from) return nullptr;
  Part& part = found->second;
  bytes = part.bytes;
  if (part.handed_out == nullptr) part.handed_out = std::make_unique<KeptPart>();
  return part.handed_out.get();
}

Status KeptLists::recall(const PacketHeader& header, std::int64_t from, PacketView& view,
                         std::int64_t& bytes) {
  const Status unknown(Code::internal, "a packet comes without lists, and none are kept");
  const auto list = lists_.find(header.list);
  if (list == lists_.end()) return unknown;
  const std::int64_t position = header.position + from;
  const auto after = list->second.upper_bound(position);
  if (after == list->second.begin()) return unknown;
  const auto& [begin, part] = *std::prev(after);
  const std::int64_t within = position - begin;
  if (within >= part.bytes) return unknown;
  view.dests.resize(part.dests);
  view.entries.resize(part.entries);
  if (!decode_lists(part.lists, view.dests, view.entries)) return unknown;
  bytes = std::min(part.bytes - within, header.bytes - from);
  clip(view, within, bytes);
  return {};
}

}  // namespace mpix::engine
