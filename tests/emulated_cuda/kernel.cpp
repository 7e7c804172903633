// SPDX-License-Identifier: BSD-3-Clause
// The kernels. A walk of its own looks at every access of the copy kernel first; then the kernel's threads
// run, in any order.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "emulator.hpp"
#include "kernel.hpp"
#include "kernels/device/copy.hpp"

namespace emulated {
namespace {

namespace kd = mpix::kernels::device;
using mpix::kernels::Form;

std::uintptr_t number(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

/// Where the emulator finds `count` entries of a list. Throws where a kernel would fail.
template <typename T>
const T* list_at(const T* list, std::int64_t count, const char* what) {
  if (count == 0) return nullptr;
  const std::lock_guard guard(driver().mutex);
  const std::byte* const found =
      driver().resolve(number(list), static_cast<std::size_t>(count) * sizeof(T), working());
  if (found == nullptr) throw std::runtime_error(what);
  return reinterpret_cast<const T*>(found);
}

/// A View with lists that the host can read; its base is still the kernel's.
kd::View readable(kd::View view, std::int64_t bytes) {
  if (view.form == Form::strided) {
    view.dims = list_at(view.dims, view.ndims, "dims");
    return view;
  }
  view.offsets = list_at(view.offsets, view.nruns, "offsets");
  if (view.form != Form::segments) return view;
  view.ends = list_at(view.ends, view.nruns, "ends");
  const std::int64_t total = view.ends[view.nruns - 1];
  view.coarse = list_at(view.coarse, 1 + total / kd::kCoarse, "coarse");
  for (std::int64_t i = 0; i * kd::kCoarse < total; ++i) {
    const std::int64_t run = std::upper_bound(view.ends, view.ends + view.nruns, i * kd::kCoarse) - view.ends;
    if (view.coarse[i] != run) throw std::runtime_error("coarse, which contradicts ends");
  }
  if (bytes > total) throw std::runtime_error("positions beyond the blocks");
  return view;
}

/// The address of a position and how much of its run is left, run by run from the start.
std::pair<std::uintptr_t, std::int64_t> place(const kd::View& view, std::int64_t position) {
  if (view.form == Form::segments) {
    const std::int64_t run = std::upper_bound(view.ends, view.ends + view.nruns, position) - view.ends;
    if (run == view.nruns) throw std::runtime_error("a position beyond the segments");
    const std::int64_t begin = run > 0 ? view.ends[run - 1] : 0;
    return {number(view.base) + static_cast<std::uintptr_t>(view.offsets[run] + position - begin),
            view.ends[run] - position};
  }
  const auto length = static_cast<std::int64_t>(view.run.divisor);
  const std::int64_t run = position / length, within = position % length;
  if (run >= view.nruns) throw std::runtime_error("a position beyond the runs");
  std::int64_t offset = 0;
  if (view.form == Form::indexed) {
    offset = view.offsets[run];
  } else {
    std::int64_t rest = run;
    for (int d = view.ndims - 1; d >= 0; --d) {
      const auto count = static_cast<std::int64_t>(view.dims[d].count.divisor);
      offset += rest % count * view.dims[d].stride;
      rest /= count;
    }
  }
  return {number(view.base) + static_cast<std::uintptr_t>(offset + within), length - within};
}

/// How far the emulator's view of memory lies from the kernel's, if that is the same everywhere.
struct Shift {
  bool any = false, same = true;
  std::uintptr_t by = 0;
};

std::byte* access(std::uintptr_t address, std::int64_t bytes, std::uint32_t width, Shift& shift) {
  if (address % width != 0 || bytes % width != 0) throw std::runtime_error("a word that is not aligned");
  const std::lock_guard guard(driver().mutex);
  std::byte* const found = driver().resolve(address, static_cast<std::size_t>(bytes), working());
  if (found == nullptr) throw std::runtime_error("memory that no GPU reaches");
  const std::uintptr_t by = number(found) - address;
  shift.same &= !shift.any || shift.by == by;
  shift.by = by;
  shift.any = true;
  return found;
}

/// The job with lists that the host can read.
kd::Job readable(kd::Job job) {
  job.pieces = job.pieces != nullptr ? list_at(job.pieces, job.npieces, "pieces") : nullptr;
  std::int64_t source = job.source_start + job.bytes, target = job.target_start + job.bytes;
  for (std::int64_t i = 0, begin = 0; i < job.npieces && job.pieces != nullptr; begin = job.pieces[i++].end) {
    source = std::max(source, job.source_start + job.pieces[i].source + job.pieces[i].end - begin);
    target = std::max(target, job.target_start + job.pieces[i].target + job.pieces[i].end - begin);
  }
  if (job.pieces != nullptr) source = target = 0;  // pieces are looked at one by one
  job.source = readable(job.source, source);
  job.target = readable(job.target, target);
  return job;
}

/// Visits what is contiguous on both sides.
template <typename Visit>
void walk(const kd::Job& job, Visit visit) {
  std::int64_t piece = 0;
  for (std::int64_t at = 0; at < job.bytes;) {
    std::int64_t source = job.source_start + at, target = job.target_start + at, rest = job.bytes - at;
    if (job.pieces != nullptr) {
      while (job.pieces[piece].end <= at) ++piece;
      const std::int64_t begin = piece > 0 ? job.pieces[piece - 1].end : 0;
      source = job.source_start + job.pieces[piece].source + at - begin;
      target = job.target_start + job.pieces[piece].target + at - begin;
      rest = job.pieces[piece].end - at;
    }
    const auto [from, from_rest] = place(job.source, source);
    const auto [to, to_rest] = place(job.target, target);
    const std::int64_t bytes = std::min({rest, from_rest, to_rest});
    visit(to, from, bytes);
    at += bytes;
  }
}

/// All threads of one job, blocks in any order.
void run_threads(const kd::Job& job, std::uint64_t seed) {
  auto batch = std::make_unique<kd::Batch>();
  batch->njobs = 1;
  batch->inline_jobs[0] = job;
  std::vector<std::int64_t> blocks(
      static_cast<std::size_t>((job.bytes + kd::kTileBytes - 1) / kd::kTileBytes));
  std::iota(blocks.begin(), blocks.end(), std::int64_t{0});
  std::mt19937_64 random(seed);
  std::shuffle(blocks.begin(), blocks.end(), random);
  for (const std::int64_t block : blocks)
    for (int thread = 0; thread < kd::kThreads; ++thread) kd::run_thread(*batch, block, thread);
}

void run_job(kd::Job job, std::uint64_t seed) {
  job = readable(job);
  Shift source, target;
  walk(job, [&](std::uintptr_t to, std::uintptr_t from, std::int64_t bytes) {
    access(from, bytes, job.width, source);
    access(to, bytes, job.width, target);
  });
  if (source.same && target.same) {
    job.source.base = reinterpret_cast<std::byte*>(number(job.source.base) + source.by);
    job.target.base = reinterpret_cast<std::byte*>(number(job.target.base) + target.by);
    return run_threads(job, seed);
  }
  walk(job, [&](std::uintptr_t to, std::uintptr_t from, std::int64_t bytes) {
    std::memcpy(access(to, bytes, job.width, target), access(from, bytes, job.width, source),
                static_cast<std::size_t>(bytes));
  });
}

std::uint64_t next_seed() {
  const std::lock_guard guard(driver().mutex);
  return driver().random();
}

}  // namespace

void run_copy(const kd::Batch& batch, std::int64_t grid) {
  try {
    const kd::Job* const jobs =
        batch.jobs != nullptr ? list_at(batch.jobs, batch.njobs, "jobs") : batch.inline_jobs;
    const std::int64_t* const first =
        batch.first_tile != nullptr ? list_at(batch.first_tile, batch.njobs, "tiles") : batch.inline_first;
    std::vector<std::int64_t> order(static_cast<std::size_t>(batch.njobs));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::mt19937_64 random(next_seed());
    std::shuffle(order.begin(), order.end(), random);
    std::int64_t tiles = 0;
    for (std::int64_t i = 0; i < batch.njobs; ++i) {
      if (first[i] != tiles) throw std::runtime_error("tiles that do not follow one another");
      tiles += (jobs[i].bytes + kd::kTileBytes - 1) / kd::kTileBytes;
    }
    if (tiles != grid) throw std::runtime_error("a grid that does not fit the jobs");
    for (const std::int64_t i : order) run_job(jobs[i], random());
  } catch (const std::runtime_error& error) {
    const std::lock_guard guard(driver().mutex);
    driver().illegal(std::string("the copy kernel: ") + error.what());
  }
}

void run_offsets(kd::OffsetsTask task, std::int64_t grid) {
  try {
    task.indices = list_at(task.indices, task.count, "indices");
    task.offsets = const_cast<std::int64_t*>(list_at(task.offsets, task.count, "offsets"));
    task.facts = const_cast<kd::IndexFacts*>(list_at(task.facts, 1, "facts"));
    std::vector<std::int64_t> threads(static_cast<std::size_t>(grid * kd::kThreads));
    std::iota(threads.begin(), threads.end(), std::int64_t{0});
    std::mt19937_64 random(next_seed());
    std::shuffle(threads.begin(), threads.end(), random);
    for (const std::int64_t thread : threads)
      kd::run_offsets_thread(task, thread / kd::kThreads, grid, static_cast<int>(thread % kd::kThreads));
  } catch (const std::runtime_error& error) {
    const std::lock_guard guard(driver().mutex);
    driver().illegal(std::string("the kernel that makes offsets: misses its ") + error.what());
  }
}

}  // namespace emulated
