// SPDX-License-Identifier: BSD-3-Clause
// Copies on a GPU against an oracle that lists every byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <thread>

#include "tests/unit/device_support.hpp"
#include "tests/unit/kernels_support.hpp"

namespace mpix::device::testing {
namespace {

using kernels::testing::Expanded;
using kernels::testing::pick;
using kernels::testing::Random;
using kernels::testing::random_shape;
using kernels::testing::random_shape_of;
using kernels::testing::Shape;
using Bytes = std::vector<std::byte>;

constexpr int kRounds = 60;

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  kernels::testing::fill(bytes, random);
  return bytes;
}

/// A buffer that a shape fits, and the mirror of its lists.
struct Buffer {
  Buffer(Queue& queue, Random& random, Shape from, Kind kind = Kind::device)
      : shape(std::move(from)),
        view(shape.view()),
        expanded(shape),
        // Single runs fill their memory, which tests of large ones compare as a whole.
        shift(view.nruns > 1 && pick(random, 0, 3) == 0 ? pick(random, 0, 20) : 0),
        memory(kind, static_cast<std::size_t>(expanded.high - expanded.low + shift)),
        content(random_bytes(random, memory.bytes())) {
    memory.write(content);
    const kernels::Blocks* const list[] = {nullptr, &view};
    mirror = queue.mirror(list);
  }
  Side side(std::int64_t start = 0) const {
    Side side;
    side.base = memory.data() + origin();
    side.blocks = &(*mirror)[1];
    side.mirror = mirror.get();
    side.start = start;
    return side;
  }
  std::int64_t origin() const { return shift - expanded.low; }
  std::int64_t bytes() const { return view.bytes; }
  /// The byte at `position` in what the buffer is expected to hold.
  std::byte& at(std::int64_t position) {
    return content[static_cast<std::size_t>(origin() + expanded.places[static_cast<std::size_t>(position)])];
  }
  void expect_content(const char* what) const { EXPECT_TRUE(memory.read() == content) << what; }

  Shape shape;
  kernels::Blocks view;
  Expanded expanded;
  std::int64_t shift;
  Memory memory;
  Bytes content;
  std::shared_ptr<const Mirror> mirror;
};

class DeviceQueue : public ::testing::Test {
 protected:
  void SetUp() override {
    application();
    random.seed(kernels::testing::seed());
    gpus = find(regions);
    Memory memory(Kind::device, 16);
    queue = gpus->make_queue(gpus->look(memory.data()));
  }
  void TearDown() override {
    if (queue == nullptr) return;  // SetUp failed
    EXPECT_TRUE(queue->error().ok()) << queue->error().message();
    CUcontext current = nullptr;
    EXPECT_EQ(application().cuCtxGetCurrent(&current), CUDA_SUCCESS);
    EXPECT_EQ(current, application().context);
    queue.reset();
    gpus.reset();
  }
  /// Repeats `add` until the queue takes it.
  template <typename Add>
  Ticket insist(Add add) {
    for (;;) {
      if (const std::optional<Ticket> ticket = add()) return *ticket;
      queue->progress();
    }
  }
  void await(Ticket ticket) {
    while (!queue->done(ticket)) {
      queue->progress();
      std::this_thread::yield();
    }
  }

  Random random;
  memory::Regions regions;
  std::unique_ptr<Gpus> gpus;
  std::unique_ptr<Queue> queue;
};

TEST_F(DeviceQueue, GathersAndScattersPartsOfAllShapes) {
  const Kind kinds[] = {Kind::device, Kind::managed};
  for (int round = 0; round < kRounds; ++round) {
    Buffer buffer(*queue, random, random_shape(random), kinds[round % 2]);
    const std::int64_t start = pick(random, 0, buffer.bytes() - 1);
    const auto bytes = static_cast<std::size_t>(pick(random, 1, buffer.bytes() - start));
    Bytes out(bytes);
    const Ticket gathered = insist([&] { return queue->gather(buffer.side(start), out.data(), bytes); });
    queue->flush();
    await(gathered);
    for (std::size_t i = 0; i < bytes; ++i)
      ASSERT_EQ(out[i], buffer.at(start + static_cast<std::int64_t>(i))) << "round " << round;
    const Bytes in = random_bytes(random, bytes);
    const Ticket scattered = insist([&] { return queue->scatter(buffer.side(start), in.data(), bytes); });
    queue->flush();
    await(scattered);
    for (std::size_t i = 0; i < bytes; ++i) buffer.at(start + static_cast<std::int64_t>(i)) = in[i];
    buffer.expect_content("scatter");
  }
}

TEST_F(DeviceQueue, CopiesBetweenShapes) {
  for (int round = 0; round < kRounds; ++round) {
    Buffer from(*queue, random, random_shape(random));
    Buffer to(*queue, random, random_shape_of(random, from.bytes()));
    const std::int64_t bytes = pick(random, 1, from.bytes());
    const std::int64_t source = pick(random, 0, from.bytes() - bytes);
    const std::int64_t target = pick(random, 0, from.bytes() - bytes);
    insist([&] { return queue->copy(to.side(target), from.side(source), bytes); });
    queue->wait();
    for (std::int64_t i = 0; i < bytes; ++i) to.at(target + i) = from.at(source + i);
    to.expect_content("copy");
    from.expect_content("source of a copy");
  }
}

/// Pieces of [0, bytes) of blocks in random order, some empty, in flat memory with gaps.
std::vector<Entry> random_entries(Random& random, std::int64_t bytes) {
  std::vector<Entry> entries;
  for (const std::int64_t cut : kernels::testing::random_cuts(random, bytes)) {
    const std::int64_t offset = entries.empty() ? 0 : entries.back().offset + entries.back().bytes;
    entries.push_back({0, cut, offset});
    if (pick(random, 0, 9) == 0) entries.push_back({0, 0, offset + cut});
  }
  if (pick(random, 0, 1) == 0) kernels::testing::shuffle(entries, random);
  std::int64_t data = pick(random, 0, 50);
  for (Entry& entry : entries) {
    entry.data = data;
    data += entry.bytes + (pick(random, 0, 2) == 0 ? pick(random, 0, 30) : 0);
  }
  return entries;
}

TEST_F(DeviceQueue, ScattersEntries) {
  for (int round = 0; round < kRounds; ++round) {
    Buffer to(*queue, random, random_shape(random));
    const std::int64_t start = pick(random, 0, to.bytes() - 1);
    const std::vector<Entry> entries = random_entries(random, to.bytes() - start);
    const std::int64_t end = entries.back().data + entries.back().bytes;
    const Bytes in = random_bytes(random, static_cast<std::size_t>(end));
    const Ticket ticket = insist([&] { return queue->scatter_entries(to.side(start), in.data(), entries); });
    queue->flush();
    await(ticket);
    for (const Entry& entry : entries)
      for (std::int64_t i = 0; i < entry.bytes; ++i)
        to.at(start + entry.offset + i) = in[static_cast<std::size_t>(entry.data + i)];
    to.expect_content("entries");
  }
}

/// Indices in device memory, of `parts` lists of blocks one after the other.
struct IndexLists {
  std::vector<std::int64_t> indices;
  std::vector<std::size_t> lengths;
  std::int64_t extent = 0;
  std::shared_ptr<const Offsets> made;

  IndexLists(Gpus& gpus, Random& random, int parts) : extent(pick(random, -40, 40) * 8) {
    for (int part = 0; part < parts; ++part)
      lengths.push_back(static_cast<std::size_t>(pick(random, 1, 700)));
    indices.resize(std::accumulate(lengths.begin(), lengths.end(), std::size_t{0}));
    for (std::int64_t& index : indices) index = 3 * pick(random, -1000, 1000);
    const std::size_t bytes = indices.size() * sizeof(std::int64_t);
    Memory memory(Kind::device, bytes);
    const auto* const data = reinterpret_cast<const std::byte*>(indices.data());
    memory.write(Bytes(data, data + bytes));
    made = gpus.make_offsets(reinterpret_cast<const std::int64_t*>(memory.data()),
                             static_cast<std::int64_t>(indices.size()), extent, gpus.look(memory.data()));
  }
};

TEST_F(DeviceQueue, MakesOffsetsOfIndices) {
  for (int round = 0; round < kRounds; ++round) {
    const IndexLists lists(*gpus, random, 1);
    const kernels::GpuOffsets place = lists.made->place();
    std::vector<std::int64_t> offsets(lists.indices.size());
    lists.made->read(offsets);
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      ASSERT_EQ(offsets[i], lists.indices[i] * lists.extent) << i;
      const auto alignment = static_cast<std::int64_t>(place.alignment);
      EXPECT_EQ(alignment > 0 ? offsets[i] % alignment : offsets[i], 0);
    }
    EXPECT_EQ(place.gpu, queue->number());
    EXPECT_EQ(lists.made->least(), *std::min_element(lists.indices.begin(), lists.indices.end()));
    EXPECT_EQ(lists.made->most(), *std::max_element(lists.indices.begin(), lists.indices.end()));
  }
}

/// Beside lists of the host; some follow one another in device memory and in the mirror, others do not.
TEST_F(DeviceQueue, MirrorsListsThatTheGpuHas) {
  for (int round = 0; round < kRounds; ++round) {
    const IndexLists lists(*gpus, random, static_cast<int>(pick(random, 1, 5)));
    const std::int64_t run = pick(random, 1, 100);
    const std::int64_t low = std::min(lists.made->least() * lists.extent, lists.made->most() * lists.extent);
    const std::int64_t high = std::max(lists.made->least() * lists.extent, lists.made->most() * lists.extent);
    Memory memory(Kind::device, static_cast<std::size_t>(high - low + run));
    const Bytes content = random_bytes(random, memory.bytes());
    memory.write(content);
    std::vector<kernels::Blocks> blocks;
    std::vector<kernels::GpuOffsets> places;
    kernels::GpuOffsets next = lists.made->place();
    for (const std::size_t length : lists.lengths) {
      kernels::Blocks listed;
      listed.form = kernels::Form::indexed;
      listed.offset = -low;
      listed.run = run;
      listed.nruns = static_cast<std::int64_t>(length);
      listed.bytes = listed.nruns * run;
      blocks.push_back(listed);
      places.push_back(next);
      next.offsets += length;
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].on_gpu = &places[i];
    const Shape shape = random_shape(random);
    const kernels::Blocks on_host = shape.view();
    std::vector<const kernels::Blocks*> all = {nullptr, &on_host};
    for (const kernels::Blocks& listed : blocks) all.push_back(&listed);
    kernels::testing::shuffle(all, random);
    const std::shared_ptr<const Mirror> mirror = queue->mirror(all);
    std::size_t first = 0;
    for (std::size_t i = 0; i < blocks.size(); first += lists.lengths[i++]) {
      const auto at = static_cast<std::size_t>(std::find(all.begin(), all.end(), &blocks[i]) - all.begin());
      Bytes out(static_cast<std::size_t>(blocks[i].bytes));
      const Side side{memory.data(), &(*mirror)[at], mirror.get(), nullptr, 0};
      insist([&] { return queue->gather(side, out.data(), out.size()); });
      queue->wait();
      for (std::size_t k = 0; k < out.size(); ++k) {
        const std::int64_t offset = lists.indices[first + k / static_cast<std::size_t>(run)] * lists.extent;
        ASSERT_EQ(out[k],
                  content[static_cast<std::size_t>(offset - low) + k % static_cast<std::size_t>(run)]);
      }
    }
  }
}

TEST_F(DeviceQueue, OneLaunchDoesAllThatWasCollected) {
  for (const std::int64_t jobs : {1, 16, 17, 300}) {
    Shape shape;
    shape.blocks = {kernels::Form::strided, 1, jobs * 24, 0, 24, jobs};
    shape.dims = {{jobs, 40}};
    if (jobs == 1) shape.dims.clear(), shape.blocks.ndims = 0;
    Buffer buffer(*queue, random, shape);
    const std::int64_t before = queue->traffic().launches;
    Bytes out(static_cast<std::size_t>(buffer.bytes()));
    std::optional<Ticket> last;
    for (std::int64_t i = 0; i < jobs; ++i) {
      last = queue->gather(buffer.side(i * 24), out.data() + i * 24, 24);
      ASSERT_TRUE(last);
      EXPECT_FALSE(queue->done(*last));
    }
    EXPECT_TRUE(queue->collected());
    queue->flush();
    EXPECT_FALSE(queue->collected());
    await(*last);
    EXPECT_EQ(queue->traffic().launches, before + 1);
    for (std::int64_t i = 0; i < buffer.bytes(); ++i)
      ASSERT_EQ(out[static_cast<std::size_t>(i)], buffer.at(i)) << jobs << " jobs";
  }
}

TEST_F(DeviceQueue, ManyFlushesWithoutProgressAreDoneInOrder) {
  Shape shape;
  shape.blocks = {kernels::Form::strided, 0, 64, 0, 64, 1};
  Buffer buffer(*queue, random, shape);
  std::vector<Bytes> ins;
  for (int round = 0; round < 300; ++round) {
    ins.push_back(random_bytes(random, 64));
    while (!queue->scatter(buffer.side(), ins.back().data(), 64)) queue->progress();
    queue->flush();
    if (pick(random, 0, 99) == 0) queue->progress();
  }
  queue->wait();
  // What was collected while no launch could be started went together, in any order.
  EXPECT_TRUE(std::find(ins.begin(), ins.end(), buffer.memory.read()) != ins.end());
  insist([&] { return queue->scatter(buffer.side(), ins.front().data(), 64); });
  queue->wait();
  EXPECT_TRUE(buffer.memory.read() == ins.front());
}

TEST_F(DeviceQueue, PinnedMemoryIsUsedInPlace) {
  Buffer buffer(*queue, random, random_shape(random));
  const auto bytes = static_cast<std::size_t>(buffer.bytes());
  Memory out(Kind::pinned, bytes);
  insist([&] { return queue->gather(buffer.side(), out.data(), bytes); });
  queue->wait();
  EXPECT_EQ(queue->traffic().bounced, 0);
  for (std::int64_t i = 0; i < buffer.bytes(); ++i) ASSERT_EQ(out.data()[i], buffer.at(i));
}

TEST_F(DeviceQueue, StagingMemoryIsPinnedOnFirstUseAndReleasedBeforeItGoes) {
  Buffer buffer(*queue, random, random_shape(random));
  const auto bytes = static_cast<std::size_t>(buffer.bytes());
  const std::size_t size = (bytes + 8191) / 4096 * 4096;
  const auto staging = std::unique_ptr<std::byte, decltype(&std::free)>(
      static_cast<std::byte*>(std::aligned_alloc(4096, size)), std::free);
  memory::Regions::Entry entry = regions.add({staging.get(), size});
  EXPECT_EQ(gpus->look(staging.get()).kind, Kind::host);
  insist([&] { return queue->gather(buffer.side(), staging.get() + 3, bytes); });
  queue->wait();
  EXPECT_EQ(queue->traffic().bounced, 0);
  EXPECT_EQ(gpus->look(staging.get()).kind, Kind::pinned);
  for (std::int64_t i = 0; i < buffer.bytes(); ++i) ASSERT_EQ(staging.get()[3 + i], buffer.at(i));
  entry = {};
  EXPECT_EQ(gpus->look(staging.get()).kind, Kind::host);
}

TEST_F(DeviceQueue, RefusesWhatHasNoRoomUntilProgress) {
  Shape shape;
  shape.blocks = {kernels::Form::strided, 0, 1 << 20, 0, 1 << 20, 1};
  Buffer buffer(*queue, random, shape);
  const auto bytes = static_cast<std::size_t>(buffer.bytes());
  std::vector<Bytes> outs(12, Bytes(bytes));
  std::vector<Ticket> tickets;
  int refusals = 0;
  for (Bytes& out : outs) {
    std::optional<Ticket> ticket;
    while (!(ticket = queue->gather(buffer.side(), out.data(), bytes))) {
      ++refusals;
      queue->progress();
    }
    tickets.push_back(*ticket);
  }
  EXPECT_GT(refusals, 0);
  queue->wait();
  EXPECT_EQ(queue->traffic().bounced, std::ssize(outs) * buffer.bytes());
  for (const Bytes& out : outs) EXPECT_TRUE(out == buffer.content);
}

TEST_F(DeviceQueue, TakesChunksOfAnySize) {
  Shape shape;
  shape.blocks = {kernels::Form::strided, 0, 9 << 20, 0, 9 << 20, 1};
  Buffer buffer(*queue, random, shape);
  for (int round = 0; round < 3; ++round) {
    buffer.content = random_bytes(random, buffer.content.size());
    insist([&] { return queue->scatter(buffer.side(), buffer.content.data(), buffer.content.size()); });
    queue->wait();
    buffer.expect_content("a large chunk");
  }
}

TEST_F(DeviceQueue, BlocksWithoutListsNeedNoMemory) {
  kernels::Blocks run;
  run.bytes = run.run = 100;
  run.nruns = 1;
  const kernels::Blocks* const list[] = {&run, nullptr};
  const auto mirror = queue->mirror(list);
  EXPECT_FALSE(mirror->has_lists());
  EXPECT_FALSE(mirror->place());
  EXPECT_EQ(mirror->memory(), 0);
  EXPECT_EQ(mirror->ordinal(), queue->ordinal());
}

TEST_F(DeviceQueue, NothingToCopyIsDoneAtOnce) {
  Buffer buffer(*queue, random, random_shape(random));
  const auto ticket = queue->gather(buffer.side(), nullptr, 0);
  ASSERT_TRUE(ticket);
  EXPECT_TRUE(queue->done(*ticket));
  EXPECT_FALSE(queue->collected());
}

}  // namespace
}  // namespace mpix::device::testing
