// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/fake_gpus.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

namespace mpix::test {
namespace {

using device::Side;
using device::Ticket;

/// What `blocks` list, run by run.
ByteMap expand(const kernels::Blocks& blocks) {
  ByteMap map;
  std::vector<std::int64_t> index(static_cast<std::size_t>(std::max(blocks.ndims, 1)), 0);
  for (std::int64_t run = 0; run < blocks.nruns; ++run) {
    Segment segment{blocks.offset, blocks.form == kernels::Form::segments ? blocks.lengths[run] : blocks.run};
    if (blocks.form != kernels::Form::strided) segment.offset += blocks.offsets[run];
    for (std::int64_t rest = run, d = blocks.ndims - 1; blocks.form == kernels::Form::strided && d >= 0;
         --d) {
      segment.offset += rest % blocks.dims[d].count * blocks.dims[d].stride;
      rest /= blocks.dims[d].count;
    }
    map.push_back(segment);
  }
  return map;
}

class FakeMirror final : public device::Mirror {
 public:
  FakeMirror(FakeGpus& gpus, int ordinal, std::span<const kernels::Blocks* const> blocks)
      : gpus_(gpus), ordinal_(ordinal), places_(blocks.size()), maps_(blocks.size()) {
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (blocks[i] == nullptr) continue;
      maps_[i] = expand(*blocks[i]);
      places_[i].blocks = *blocks[i];
      places_[i].offsets = static_cast<std::int64_t>(i);  // which the lists are found by
    }
  }
  int ordinal() const noexcept override { return ordinal_; }
  const device::BlocksPlace& operator[](std::size_t index) const noexcept override { return places_[index]; }
  std::int64_t memory() const noexcept override { return 0; }
  std::optional<device::IpcPlace> place() const noexcept override {
    if (gpus_.faults().no_export) return {};
    device::IpcPlace place;
    place.base = reinterpret_cast<std::uintptr_t>(this);
    return place;
  }
  bool has_lists() const noexcept override { return true; }
  device::Ticket ticket() const noexcept override { return 0; }
  const ByteMap& map(const device::BlocksPlace& place) const {
    return maps_[static_cast<std::size_t>(place.offsets)];
  }

 private:
  FakeGpus& gpus_;
  int ordinal_;
  std::vector<device::BlocksPlace> places_;
  std::vector<ByteMap> maps_;
};

/// A side, of which nothing but the lists and the bytes has to last.
struct Listed {
  std::uintptr_t base;
  const ByteMap* map;
  std::int64_t start;

  explicit Listed(const Side& side)
      : base(reinterpret_cast<std::uintptr_t>(side.base)),
        map(&(side.mirror != nullptr ? static_cast<const FakeMirror*>(side.mirror)
                                     : reinterpret_cast<const FakeMirror*>(side.lists))
                 ->map(*side.blocks)),
        start(side.start) {}
};

/// The bytes of a side, one by one.
class Bytes {
 public:
  Bytes(FakeGpus& gpus, const Listed& side) : gpus_(gpus), base_(side.base), map_(side.map) {
    skip(side.start);
  }
  std::byte& next() {
    while (within_ == (*map_)[segment_].length) ++segment_, within_ = 0;
    const std::int64_t offset = (*map_)[segment_].offset + within_++;
    return *gpus_.bytes_at(base_ + static_cast<std::uintptr_t>(offset));
  }

 private:
  void skip(std::int64_t bytes) {
    while (bytes > 0 && bytes >= (*map_)[segment_].length) bytes -= (*map_)[segment_++].length;
    within_ = bytes;
  }
  FakeGpus& gpus_;
  std::uintptr_t base_;
  const ByteMap* map_;
  std::size_t segment_ = 0;
  std::int64_t within_ = 0;
};

class FakeQueue final : public device::Queue {
 public:
  FakeQueue(FakeGpus& gpus, int ordinal, std::uint64_t seed) : gpus_(gpus), ordinal_(ordinal), rng_(seed) {}

  int ordinal() const noexcept override { return ordinal_; }
  std::uint64_t number() const noexcept override { return static_cast<std::uint64_t>(ordinal_) + 1; }

  void prepare() noexcept override { gpus_.prepared(); }
  std::optional<Ticket> gather(const Side& from, std::byte* out, std::size_t bytes) noexcept override {
    return add([this, from = Listed(from), out, bytes] {
      Bytes source(gpus_, from);
      std::byte* const target = gpus_.bytes_at(reinterpret_cast<std::uintptr_t>(out));
      for (std::size_t i = 0; i < bytes; ++i) target[i] = source.next();
    });
  }
  std::optional<Ticket> scatter(const Side& to, const std::byte* in, std::size_t bytes) noexcept override {
    return add([this, to = Listed(to), in, bytes] {
      const std::byte* const source = gpus_.bytes_at(reinterpret_cast<std::uintptr_t>(in));
      Bytes target(gpus_, to);
      for (std::size_t i = 0; i < bytes; ++i) target.next() = source[i];
    });
  }
  std::optional<Ticket> scatter_entries(const Side& to, const std::byte* in,
                                        std::span<const device::Entry> entries) noexcept override {
    return add([this, to = Listed(to), in, list = std::vector(entries.begin(), entries.end())] {
      for (const device::Entry& entry : list) {
        Listed side = to;
        side.start += entry.offset;
        Bytes target(gpus_, side);
        for (std::int64_t i = 0; i < entry.bytes; ++i) target.next() = in[entry.data + i];
      }
    });
  }
  std::optional<Ticket> copy(const Side& to, const Side& from, std::int64_t bytes) noexcept override {
    return add([this, to = Listed(to), from = Listed(from), bytes] {
      Bytes source(gpus_, from), target(gpus_, to);
      for (std::int64_t i = 0; i < bytes; ++i) target.next() = source.next();
    });
  }

  void flush() noexcept override {
    flushing_ = !collected_.empty() && rng_.chance(gpus_.faults().refuse);
    if (!flushing_) launch();
  }
  bool collected() const noexcept override { return !collected_.empty(); }
  int under_way() const noexcept override { return static_cast<int>(launches_.size()); }
  bool progress() noexcept override {
    bool happened = false;
    while (!launches_.empty() && !rng_.chance(gpus_.faults().linger)) {
      finish_one();
      happened = true;
    }
    if (flushing_) flush();
    return happened;
  }
  bool done(Ticket ticket) const noexcept override { return ticket <= done_; }
  void wait() noexcept override {
    launch();
    while (!launches_.empty()) finish_one();
  }
  const Status& error() const noexcept override { return error_; }
  const device::QueueTraffic& traffic() const noexcept override { return traffic_; }
  std::shared_ptr<const device::Mirror> mirror(std::span<const kernels::Blocks* const> blocks) override {
    return std::make_shared<FakeMirror>(gpus_, ordinal_, blocks);
  }

 private:
  using Copies = std::vector<std::function<void()>>;

  template <typename Copy>
  std::optional<Ticket> add(Copy&& copy) {
    if (!error_.ok() || rng_.chance(gpus_.faults().refuse)) return {};
    collected_.emplace_back(std::forward<Copy>(copy));
    return launched_ + 1;
  }
  void launch() {
    flushing_ = false;
    if (collected_.empty() || !error_.ok()) return collected_.clear();
    ++launched_;
    ++traffic_.launches;
    if (traffic_.launches == gpus_.faults().fail_launch)
      error_ = {Code::internal, "injected: the GPU has failed"};
    else
      launches_.push_back(std::move(collected_));
    collected_.clear();
  }
  /// Those before the launch that failed go on.
  void finish_one() {
    rng_.shuffle(launches_.front());
    for (const auto& copy : launches_.front()) copy();
    launches_.erase(launches_.begin());
    ++done_;
  }

  FakeGpus& gpus_;
  int ordinal_;
  Rng rng_;
  Copies collected_;
  std::vector<Copies> launches_;
  Ticket launched_ = 0, done_ = 0;
  bool flushing_ = false;
  device::QueueTraffic traffic_;
  Status error_;
};

class FakeImported final : public device::Imported {
 public:
  explicit FakeImported(std::uint64_t address) : address_(address) {}
  std::byte* data() const noexcept override { return reinterpret_cast<std::byte*>(address_); }

 private:
  std::uint64_t address_;
};

class FakeMark final : public device::Mark {
 public:
  explicit FakeMark(FakeStream& stream) : stream_(stream) {}
  bool reached(Status&) noexcept override { return stream_.reached; }

 private:
  FakeStream& stream_;
};

class FakeHold final : public device::Hold {
 public:
  explicit FakeHold(FakeStream& stream) : stream_(stream) { stream_.held = true; }
  void release() noexcept override { stream_.held = false; }

 private:
  FakeStream& stream_;
};

}  // namespace

void FakeGpus::adopt(int ordinal, std::span<std::byte> memory) {
  const std::lock_guard guard(mutex_);
  allocations_[reinterpret_cast<std::uintptr_t>(memory.data())] = {
      ordinal, next_buffer_++, {memory.begin(), memory.end()}};
  std::fill(memory.begin(), memory.end(), std::byte{0xee});
}

void FakeGpus::give_back(std::span<std::byte> memory) {
  const std::lock_guard guard(mutex_);
  const auto found = allocations_.find(reinterpret_cast<std::uintptr_t>(memory.data()));
  if (found == allocations_.end()) return;
  std::copy(found->second.bytes.begin(), found->second.bytes.end(), memory.begin());
  allocations_.erase(found);
}

std::byte* FakeGpus::bytes_at(std::uintptr_t address) {
  const std::lock_guard guard(mutex_);
  auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return reinterpret_cast<std::byte*>(address);
  auto& [begin, allocation] = *--after;
  return address - begin < allocation.bytes.size() ? allocation.bytes.data() + (address - begin)
                                                   : reinterpret_cast<std::byte*>(address);
}

device::Facts FakeGpus::look(const void* address) noexcept {
  const std::lock_guard guard(mutex_);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto after = allocations_.upper_bound(at);
  if (after == allocations_.begin()) return {};
  const auto& [begin, allocation] = *--after;
  if (at - begin >= allocation.bytes.size()) return {};
  return {device::Kind::device, allocation.ordinal, allocation.buffer};
}

std::unique_ptr<device::Queue> FakeGpus::make_queue(const device::Facts& facts) {
  const std::lock_guard guard(mutex_);
  return std::make_unique<FakeQueue>(*this, facts.ordinal, rng_.bits());
}

std::optional<device::IpcPlace> FakeGpus::export_place(const void* address, const device::Facts&) noexcept {
  if (faults_.no_export) return {};
  const std::lock_guard guard(mutex_);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto& [begin, allocation] = *--allocations_.upper_bound(at);
  device::IpcPlace place;
  place.base = begin;
  place.bytes = allocation.bytes.size();
  place.offset = static_cast<std::int64_t>(at - begin);
  return place;
}

std::shared_ptr<const device::Imported> FakeGpus::import(std::uint64_t, const device::IpcPlace& place) {
  if (faults_.no_import || (faults_.import_probes && place.base != 0))
    throw Error(Code::peer, "injected: nothing can be imported");
  return std::make_shared<FakeImported>(place.base + static_cast<std::uint64_t>(place.offset));
}

std::optional<device::IpcPlace> FakeGpus::probe(int) noexcept {
  if (faults_.no_export) return {};
  return device::IpcPlace();
}

std::unique_ptr<device::Mark> FakeGpus::mark(void* stream) {
  return std::make_unique<FakeMark>(*static_cast<FakeStream*>(stream));
}

std::unique_ptr<device::Hold> FakeGpus::hold(void* stream) {
  return std::make_unique<FakeHold>(*static_cast<FakeStream*>(stream));
}

}  // namespace mpix::test
