// SPDX-License-Identifier: BSD-3-Clause
#include "engine/context.hpp"

#include <algorithm>

namespace mpix::engine {

Traffic& Traffic::operator+=(const Traffic& other) noexcept {
  self += other.self;
  inlined += other.inlined;
  ring += other.ring;
  mapped += other.mapped;
  attached += other.attached;
  net += other.net;
  chunks += other.chunks;
  saved += other.saved;
  rows += other.rows;
  messages += other.messages;
  lists += other.lists;
  given += other.given;
  helped += other.helped;
  forwarded += other.forwarded;
  imported += other.imported;
  launches += other.launches;
  bounced += other.bounced;
  return *this;
}

void Turns::leave(std::uint64_t exchange) noexcept {
  const auto found = std::find(waiting_.begin(), waiting_.end(), exchange);
  if (found != waiting_.end()) waiting_.erase(found);
}

}  // namespace mpix::engine
