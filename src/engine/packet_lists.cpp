// SPDX-License-Identifier: BSD-3-Clause
#include "engine/packet_lists.hpp"

#include <algorithm>
#include <bit>
#include <limits>

namespace mpix::engine {
namespace {

constexpr unsigned kMostUnit = 62;
constexpr std::size_t kMostVarint = 10;

std::uint64_t zigzag(std::int64_t number) noexcept {
  return (static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63);
}
std::int64_t unzigzag(std::uint64_t code) noexcept {
  return static_cast<std::int64_t>(code >> 1) ^ -static_cast<std::int64_t>(code & 1);
}

std::size_t varint_bytes(std::uint64_t number) noexcept {
  return (static_cast<std::size_t>(std::bit_width(number | 1)) + 6) / 7;
}

std::byte* put(std::byte* out, std::uint64_t number) noexcept {
  for (; number >= 0x80; number >>= 7) *out++ = static_cast<std::byte>(number | 0x80);
  *out++ = static_cast<std::byte>(number);
  return out;
}

/// Reads numbers up to an end that it does not pass.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) noexcept : at_(in.data()), end_(at_ + in.size()) {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return ok_ && at_ == end_; }
  std::uint64_t number() noexcept {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < kMostVarint && at_ != end_; ++i) {
      const auto byte = std::to_integer<std::uint64_t>(*at_++);
      number |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return number;
    }
    ok_ = false;
    return 0;
  }
  template <typename T>
  T at_most(std::uint64_t number) noexcept {
    ok_ &= number <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    return ok_ ? static_cast<T>(number) : T{};
  }
  template <typename T>
  T number_of() noexcept {
    return at_most<T>(number());
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
  bool ok_ = true;
};

/// How an entry differs from what follows from the one before.
struct Difference {
  std::uint64_t data, bytes, offset;
  bool resized;

  Difference(const PacketEntry& last, const PacketEntry& entry, unsigned unit) noexcept
      : data((entry.data - last.data) >> unit),
        bytes(entry.bytes >> unit),
        offset(zigzag((entry.offset - last.offset - last.bytes) >> unit)),
        resized(entry.bytes != last.bytes) {}
};

bool read_entry(Reader& in, unsigned unit, const PacketEntry& last, PacketEntry& entry) noexcept {
  const std::uint64_t data = in.number();
  const bool resized = (data & 1) != 0;
  entry.data = in.at_most<std::uint32_t>(last.data + ((data >> 1) << unit));
  entry.bytes = resized ? in.at_most<std::uint32_t>(in.number() << unit) : last.bytes;
  const std::uint64_t moved = static_cast<std::uint64_t>(unzigzag(in.number())) << unit;
  entry.offset = static_cast<std::int64_t>(static_cast<std::uint64_t>(last.offset) + last.bytes + moved);
  return in.ok();
}

}  // namespace

unsigned Unit::exponent() const noexcept {
  return bits_ == 0 ? kMostUnit : std::min(static_cast<unsigned>(std::countr_zero(bits_)), kMostUnit);
}

std::size_t entry_bytes(const PacketEntry& last, const PacketEntry& entry, unsigned unit) noexcept {
  const Difference difference(last, entry, unit);
  return varint_bytes(difference.data * 2) + varint_bytes(difference.bytes) + varint_bytes(difference.offset);
}

std::size_t introduction_bytes(const PacketDest& dest) noexcept {
  return varint_bytes(static_cast<std::uint64_t>(dest.send_bytes)) +
         varint_bytes(static_cast<std::uint64_t>(dest.recv_bytes));
}

std::size_t encode_lists(std::byte* out, std::span<const PacketDest> dests,
                         std::span<const PacketEntry> entries) noexcept {
  Unit unit;
  for (const PacketEntry& entry : entries) unit.see(entry);
  const unsigned exponent = unit.exponent();
  std::byte* const begin = out;
  *out++ = static_cast<std::byte>(exponent);
  std::int32_t local = 0;
  for (const PacketDest& dest : dests) {
    out = put(out, static_cast<std::uint64_t>(dest.local - local));
    out = put(out, std::uint64_t{dest.count} * 2 + (dest.introduces ? 1 : 0));
    if (dest.introduces) {
      out = put(out, static_cast<std::uint64_t>(dest.send_bytes));
      out = put(out, static_cast<std::uint64_t>(dest.recv_bytes));
    }
    local = dest.local;
    PacketEntry last;
    for (const PacketEntry& entry : entries.subspan(dest.first, dest.count)) {
      const Difference difference(last, entry, exponent);
      out = put(out, difference.data * 2 + (difference.resized ? 1 : 0));
      if (difference.resized) out = put(out, difference.bytes);
      out = put(out, difference.offset);
      last = entry;
    }
  }
  return static_cast<std::size_t>(out - begin);
}

bool decode_lists(std::span<const std::byte> in, std::span<PacketDest> dests,
                  std::span<PacketEntry> entries) noexcept {
  if (in.empty()) return false;
  const auto unit = std::to_integer<unsigned>(in[0]);
  if (unit > kMostUnit) return false;
  Reader reader(in.subspan(1));
  std::uint32_t first = 0;
  std::int32_t local = 0;
  for (PacketDest& dest : dests) {
    local =
        reader.at_most<std::int32_t>(static_cast<std::uint64_t>(local) + reader.number_of<std::int32_t>());
    const auto code = reader.number();
    dest = {local, first, reader.at_most<std::uint32_t>(code / 2), code % 2 != 0};
    if (dest.introduces) {
      dest.send_bytes = reader.number_of<std::int64_t>();
      dest.recv_bytes = reader.number_of<std::int64_t>();
    }
    if (!reader.ok() || dest.count > entries.size() - first) return false;
    PacketEntry last;
    for (PacketEntry& entry : entries.subspan(first, dest.count)) {
      if (!read_entry(reader, unit, last, entry)) return false;
      last = entry;
    }
    first += dest.count;
  }
  return first == entries.size() && reader.at_end();
}

}  // namespace mpix::engine
