// SPDX-License-Identifier: BSD-3-Clause
// Memory of a GPU in two processes. They are forked before either has touched CUDA.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <numeric>

#include "tests/support/processes.hpp"
#include "tests/unit/device_support.hpp"

namespace mpix::device::testing {
namespace {

/// One end of a connection between the two.
class Channel {
 public:
  explicit Channel(int fd) : fd_(fd) {}
  template <typename T>
  void send(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (::write(fd_, &value, sizeof value) != static_cast<ssize_t>(sizeof value))
      throw std::runtime_error("write");
  }
  template <typename T>
  T receive() {
    T value{};
    for (std::size_t have = 0; have < sizeof value;) {
      const ssize_t more = ::read(fd_, reinterpret_cast<std::byte*>(&value) + have, sizeof value - have);
      if (more <= 0) throw std::runtime_error("the other process is gone");
      have += static_cast<std::size_t>(more);
    }
    return value;
  }

 private:
  int fd_;
};

using Part = std::function<void(Channel&)>;

pid_t start(const Part& part, int fd, int other) {
  return test::start_process([&] {
    ::close(other);
    application();
    Channel channel(fd);
    part(channel);
  });
}

void run(const Part& owner, const Part& user) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const pid_t children[] = {start(owner, fds[0], fds[1]), start(user, fds[1], fds[0])};
  ::close(fds[0]);
  ::close(fds[1]);
  for (const pid_t child : children) EXPECT_EQ(test::end_of(child), 0);
}

std::vector<std::byte> pattern(std::size_t bytes, int seed) {
  std::vector<std::byte> content(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    content[i] = static_cast<std::byte>(i * 7 + i / 251 + static_cast<std::size_t>(seed));
  return content;
}

/// What either process has.
struct Process {
  memory::Regions regions;
  std::unique_ptr<Gpus> gpus = find(regions);
  Memory memory{Kind::device, 1 << 16};
  std::unique_ptr<Queue> queue = gpus->make_queue(gpus->look(memory.data()));
};

/// `bytes` bytes of flat memory as blocks.
BlocksPlace flat(std::int64_t bytes) {
  BlocksPlace place;
  place.blocks.bytes = place.blocks.run = bytes;
  place.blocks.nruns = 1;
  place.alignment = static_cast<std::uint64_t>(bytes);
  return place;
}

/// What the first `bytes` bytes at `data`, in memory of any process, hold.
std::vector<std::byte> read(Queue& queue, const std::byte* data, std::size_t bytes) {
  std::vector<std::byte> content(bytes);
  const BlocksPlace place = flat(static_cast<std::int64_t>(bytes));
  Side side;
  side.base = data;
  side.blocks = &place;
  EXPECT_TRUE(queue.gather(side, content.data(), bytes));
  queue.wait();
  EXPECT_TRUE(queue.error().ok()) << queue.error().message();
  return content;
}

TEST(DeviceIpc, CopiesByTheListsOfTheOtherProcess) {
  constexpr std::int64_t kRuns = 100;
  const auto owner = [](Channel& channel) {
    Process self;
    self.memory.write(pattern(self.memory.bytes(), 1));
    std::vector<std::int64_t> offsets, lengths;
    for (std::int64_t i = 0; i < kRuns; ++i) {
      offsets.push_back((kRuns - 1 - i) * 64);
      lengths.push_back(8 + i % 5 * 4);
    }
    kernels::Blocks blocks;
    blocks.form = kernels::Form::segments;
    blocks.nruns = kRuns;
    blocks.bytes = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    blocks.offsets = offsets.data();
    blocks.lengths = lengths.data();
    const kernels::Blocks* const list[] = {&blocks};
    const auto mirror = self.queue->mirror(list);
    self.queue->wait();
    ASSERT_TRUE(mirror->place());
    channel.send(*mirror->place());
    channel.send((*mirror)[0]);
    channel.send(*self.gpus->export_place(self.memory.data(), self.gpus->look(self.memory.data())));
    channel.receive<int>();
    auto expected = pattern(self.memory.bytes(), 1);
    std::size_t position = 0;
    const auto sent = pattern(static_cast<std::size_t>(blocks.bytes), 9);
    for (std::size_t i = 0; i < kRuns; ++i)
      for (std::int64_t k = 0; k < lengths[i]; ++k)
        expected[static_cast<std::size_t>(offsets[i] + k)] = sent[position++];
    EXPECT_TRUE(self.memory.read() == expected);
    channel.send(0);
  };
  const auto user = [](Channel& channel) {
    Process self;
    const auto lists = self.gpus->import(number_of_gpu(*self.gpus), channel.receive<IpcPlace>());
    const auto blocks = channel.receive<BlocksPlace>();
    const auto base = self.gpus->import(number_of_gpu(*self.gpus), channel.receive<IpcPlace>());
    self.memory.write(pattern(static_cast<std::size_t>(blocks.blocks.bytes), 9));
    Side to, from;
    to.base = base->data();
    to.blocks = &blocks;
    to.lists = lists->data();
    const BlocksPlace own = flat(blocks.blocks.bytes);
    from.base = self.memory.data();
    from.blocks = &own;
    EXPECT_TRUE(self.queue->copy(to, from, blocks.blocks.bytes));
    self.queue->wait();
    EXPECT_TRUE(self.queue->error().ok()) << self.queue->error().message();
    channel.send(0);
    channel.receive<int>();
  };
  run(owner, user);
}

TEST(DeviceIpc, NoticesMemoryThatWasFreedAndAllocatedAgain) {
  constexpr int kRounds = 8;
  constexpr std::size_t kBytes = 3 << 20;
  const auto owner = [](Channel& channel) {
    Process self;
    for (int round = 0; round < kRounds; ++round) {
      const Memory memory(Kind::device, kBytes);
      memory.write(pattern(kBytes, round));
      channel.send(*self.gpus->export_place(memory.data(), self.gpus->look(memory.data())));
      channel.receive<int>();
    }
  };
  const auto user = [](Channel& channel) {
    Process self;
    for (int round = 0; round < kRounds; ++round) {
      const auto place = channel.receive<IpcPlace>();
      {
        const auto imported = self.gpus->import(number_of_gpu(*self.gpus), place);
        EXPECT_EQ(self.gpus->import(number_of_gpu(*self.gpus), place)->data(), imported->data());
        EXPECT_TRUE(read(*self.queue, imported->data(), kBytes) == pattern(kBytes, round)) << round;
      }
      channel.send(0);
    }
  };
  run(owner, user);
}

TEST(DeviceIpc, ManyAllocations) {
  static constexpr int kMany = 150;
  static constexpr std::size_t kBytes = 5000;
  const auto owner = [](Channel& channel) {
    Process self;
    std::vector<std::unique_ptr<Memory>> memories;
    for (int i = 0; i < kMany; ++i) {
      memories.push_back(std::make_unique<Memory>(Kind::device, kBytes));
      memories.back()->write(pattern(kBytes, i));
      const std::byte* const inside = memories.back()->data() + 100;
      channel.send(*self.gpus->export_place(inside, self.gpus->look(inside)));
    }
    channel.receive<int>();
  };
  const auto user = [](Channel& channel) {
    Process self;
    std::vector<IpcPlace> places;
    for (int i = 0; i < kMany; ++i) places.push_back(channel.receive<IpcPlace>());
    for (int again = 0; again < 2; ++again)
      for (int i = 0; i < kMany; ++i) {
        const auto imported =
            self.gpus->import(number_of_gpu(*self.gpus), places[static_cast<std::size_t>(i)]);
        EXPECT_TRUE(read(*self.queue, imported->data() - 100, kBytes) == pattern(kBytes, i)) << i;
      }
    channel.send(0);
  };
  run(owner, user);
}

TEST(DeviceIpc, ProbesTellWhetherMemoryCanBeMapped) {
  const auto owner = [](Channel& channel) {
    Process self;
    const auto probe = self.gpus->probe(0);
    ASSERT_TRUE(probe);
    channel.send(*probe);
    channel.receive<int>();
  };
  const auto user = [](Channel& channel) {
    Process self;
    auto probe = channel.receive<IpcPlace>();
    EXPECT_NE(self.gpus->import(number_of_gpu(*self.gpus), probe)->data(), nullptr);
    probe.handle.fill(std::byte{0x5a});
    try {
      self.gpus->import(number_of_gpu(*self.gpus), probe);
      ADD_FAILURE() << "nonsense was mapped";
    } catch (const Error& error) {
      EXPECT_EQ(error.status().code(), Code::peer);
    }
    channel.send(0);
  };
  run(owner, user);
}

}  // namespace
}  // namespace mpix::device::testing
