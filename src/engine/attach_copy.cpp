// SPDX-License-Identifier: BSD-3-Clause
#include "engine/attach_copy.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "memory/attach.hpp"

namespace mpix::engine {
namespace {

using kernels::Blocks;
using kernels::Cursor;
using kernels::Form;

constexpr std::size_t kPieces = 256;  // well below IOV_MAX; more gains nothing

/// Offset of run number `run` from the buffer's address.
std::int64_t run_offset(const Blocks& blocks, std::int64_t run) noexcept {
  if (blocks.form != Form::strided) return blocks.offset + blocks.offsets[run];
  std::int64_t offset = blocks.offset;
  for (int d = blocks.ndims - 1; d >= 0; --d) {
    offset += run % blocks.dims[d].count * blocks.dims[d].stride;
    run /= blocks.dims[d].count;
  }
  return offset;
}

std::int64_t run_length(const Blocks& blocks, std::int64_t run) noexcept {
  return blocks.form == Form::segments ? blocks.lengths[run] : blocks.run;
}

/// The pieces of one side's next bytes.
struct Pieces {
  std::array<iovec, kPieces> list;
  std::size_t count = 0;
  std::int64_t bytes = 0;

  /// Takes up to `limit` bytes from the cursor's position on and moves `cursor` past them.
  void collect(std::byte* base, const Blocks& blocks, Cursor& cursor, std::int64_t limit) noexcept {
    while (bytes < limit && count < kPieces) {
      const std::int64_t length = run_length(blocks, cursor.run);
      const std::int64_t take = std::min(length - cursor.within, limit - bytes);
      list[count++] = {base + run_offset(blocks, cursor.run) + cursor.within, static_cast<std::size_t>(take)};
      bytes += take;
      cursor.within += take;
      if (cursor.within == length) cursor = {cursor.run + 1, 0};
    }
  }
};

}  // namespace

Status attach_copy(pid_t pid, AttachSide target, AttachSide source, std::int64_t bytes,
                   std::int64_t& copied) noexcept {
  Pieces remote, local;
  const Cursor source_start = source.cursor;
  remote.collect(source.base, source.blocks, source.cursor, bytes);
  local.collect(target.base, target.blocks, target.cursor, remote.bytes);
  if (local.bytes < remote.bytes) {  // the target's pieces ran out first: take that much of the source only
    remote.count = 0;
    remote.bytes = 0;
    source.cursor = source_start;
    remote.collect(source.base, source.blocks, source.cursor, local.bytes);
  }
  copied = local.bytes;
  return memory::attach_read(pid, {local.list.data(), local.count}, {remote.list.data(), remote.count},
                             static_cast<std::size_t>(copied));
}

}  // namespace mpix::engine
