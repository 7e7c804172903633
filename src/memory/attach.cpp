// SPDX-License-Identifier: BSD-3-Clause
#include "memory/attach.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>

#include "base/text.hpp"

namespace mpix::memory {
namespace {

std::uint64_t random_word() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

/// Drops the first `bytes` bytes from `pieces`.
void advance(std::span<iovec>& pieces, std::size_t bytes) noexcept {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (bytes == 0) return;
  pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + bytes;
  pieces.front().iov_len -= bytes;
}

/// Shortest of a few runs, in seconds.
template <typename Action>
double shortest(Action&& action) noexcept {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const Clock::time_point begin = Clock::now();
    action();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace

AttachProbe attach_probe() noexcept {
  static const std::uint64_t word = random_word();
  return {reinterpret_cast<std::uintptr_t>(&word), word};
}

bool attach_works(pid_t pid, const AttachProbe& probe) noexcept {
  std::uint64_t word = 0;
  iovec local{&word, sizeof word};
  iovec remote{reinterpret_cast<void*>(probe.address), sizeof word};
  return attach_read(pid, {&local, 1}, {&remote, 1}, sizeof word).ok() && word == probe.value;
}

bool attach_wins(pid_t pid, std::uint64_t remote, const std::byte* mapped, std::byte* scratch,
                 std::size_t bytes) noexcept {
  Status status;
  const double attached = shortest([&] {
    iovec to{scratch, bytes};
    iovec from{reinterpret_cast<void*>(remote), bytes};
    if (status.ok()) status = attach_read(pid, {&to, 1}, {&from, 1}, bytes);
  });
  const double copied = shortest([&] {
    std::memcpy(scratch, mapped, bytes);
    std::memcpy(scratch + bytes, scratch, bytes);
  });
  return status.ok() && attached < copied;
}

Status attach_read(pid_t pid, std::span<iovec> local, std::span<iovec> remote, std::size_t bytes) noexcept {
  while (bytes > 0) {
    const ssize_t got = ::process_vm_readv(pid, local.data(), local.size(), remote.data(), remote.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      return {Code::peer,
              text("cannot read the memory of process ", pid, ": ", errno_text(got == 0 ? EIO : errno))};
    advance(local, static_cast<std::size_t>(got));
    advance(remote, static_cast<std::size_t>(got));
    bytes -= static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace mpix::memory
