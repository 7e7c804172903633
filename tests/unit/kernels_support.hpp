// SPDX-License-Identifier: BSD-3-Clause
/// Random block descriptors, guarded memory and an oracle for the tests of the kernels. The oracle lists
/// every byte's place; it shares nothing with the kernels but the descriptor.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "kernels/blocks.hpp"

namespace mpix::kernels::testing {

using Random = std::mt19937_64;

/// MPIX_TEST_SEED, or a fresh seed; printed once, so that a failure can be repeated.
inline std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* text = std::getenv("MPIX_TEST_SEED");
    const std::uint64_t s = text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
    std::cout << "MPIX_TEST_SEED=" << s << std::endl;
    return s;
  }();
  return value;
}

inline std::int64_t pick(Random& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

template <class T>
void shuffle(std::vector<T>& list, Random& random) {
  for (std::size_t i = list.size(); i > 1; --i) {
    std::swap(list[i - 1], list[static_cast<std::size_t>(pick(random, 0, static_cast<std::int64_t>(i) - 1))]);
  }
}

/// Readable and writable memory of exactly `size` bytes whose last byte (or first) touches an inaccessible
/// page.
class Guarded {
 public:
  enum class Flush { front, back };

  Guarded(std::size_t size, Flush flush) : size_(size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t body = (size + page - 1) / page * page;
    mapped_ = body + 2 * page;
    map_ = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    std::byte* first = static_cast<std::byte*>(map_) + page;
    if (body > 0 && mprotect(first, body, PROT_READ | PROT_WRITE) != 0) {
      throw std::system_error(errno, std::generic_category(), "mprotect");
    }
    data_ = flush == Flush::front ? first : first + (body - size);
  }
  ~Guarded() { munmap(map_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::byte* data() const { return data_; }
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::size_t size_;
  std::size_t mapped_ = 0;
  void* map_ = nullptr;
  std::byte* data_ = nullptr;
};

inline Guarded::Flush either(Random& random) {
  return pick(random, 0, 1) == 0 ? Guarded::Flush::front : Guarded::Flush::back;
}

inline void fill(std::span<std::byte> bytes, Random& random) {
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
}

/// Blocks with the arrays that they look at.
struct Shape {
  Blocks blocks;
  std::vector<Dim> dims;
  std::vector<std::int64_t> offsets;
  std::vector<std::int64_t> lengths;

  Blocks view() const {
    Blocks b = blocks;
    b.dims = dims.data();
    b.offsets = offsets.data();
    b.lengths = lengths.data();
    return b;
  }
};

/// The runs of a shape as (place, length), by the definition in blocks.hpp.
inline std::vector<std::pair<std::int64_t, std::int64_t>> runs_of(const Shape& shape) {
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;
  const Blocks& b = shape.blocks;
  for (std::int64_t i = 0; i < b.nruns; ++i) {
    std::int64_t place = b.offset;
    if (b.form == Form::strided) {
      std::int64_t rest = i;
      for (std::size_t d = shape.dims.size(); d-- > 0;) {
        place += rest % shape.dims[d].count * shape.dims[d].stride;
        rest /= shape.dims[d].count;
      }
    } else {
      place += shape.offsets[static_cast<std::size_t>(i)];
    }
    runs.emplace_back(place, b.form == Form::segments ? shape.lengths[static_cast<std::size_t>(i)] : b.run);
  }
  return runs;
}

/// What the oracle knows of a shape: each byte's place in listing order, and each run's first byte.
struct Expanded {
  std::vector<std::int64_t> places;
  std::vector<std::int64_t> starts;  ///< [nruns + 1]: number of bytes before the run
  std::int64_t low = 0;              ///< lowest place
  std::int64_t high = 0;             ///< one past the highest place

  explicit Expanded(const Shape& shape) {
    bool first = true;
    for (const auto& [place, length] : runs_of(shape)) {
      starts.push_back(static_cast<std::int64_t>(places.size()));
      for (std::int64_t k = 0; k < length; ++k) places.push_back(place + k);
      if (first || place < low) low = place;
      if (first || place + length > high) high = place + length;
      first = false;
    }
    starts.push_back(static_cast<std::int64_t>(places.size()));
  }

  Cursor cursor_at(std::int64_t byte) const {
    std::size_t run = 0;
    while (run + 1 < starts.size() && starts[run + 1] <= byte) ++run;
    return {static_cast<std::int64_t>(run), byte - starts[run]};
  }
};

inline std::int64_t random_run(Random& random) {
  static constexpr std::int64_t common[] = {1, 4, 8, 16, 24, 32, 48, 64, 128, 192, 256, 512, 1024, 4096};
  switch (pick(random, 0, 3)) {
    case 0:
      return pick(random, 1, 70);
    case 1:
      return pick(random, 1, 700);
    default:
      return common[pick(random, 0, std::ssize(common) - 1)];
  }
}

/// Dimensions nested in a random order, so that transposed walks occur; strides of either sign.
inline Shape random_strided(Random& random) {
  Shape shape;
  Blocks& b = shape.blocks;
  b.form = Form::strided;
  b.run = random_run(random);
  b.ndims = static_cast<std::int32_t>(pick(random, 0, 4));
  b.offset = pick(random, -300, 300);
  b.nruns = 1;
  std::int64_t extent = b.run;
  for (std::int32_t d = 0; d < b.ndims; ++d) {
    const std::int64_t most =
        std::max<std::int64_t>(2, std::min<std::int64_t>(40, 60000 / (b.run * b.nruns)));
    const std::int64_t count = pick(random, 2, pick(random, 2, most));
    const std::int64_t stride = extent + (pick(random, 0, 2) == 0 ? 0 : pick(random, 0, 2 * b.run + 40));
    shape.dims.push_back({count, pick(random, 0, 3) == 0 ? -stride : stride});
    extent = (count - 1) * stride + extent;
    b.nruns *= count;
  }
  shuffle(shape.dims, random);
  b.bytes = b.nruns * b.run;
  return shape;
}

/// A matrix by columns: neighbouring runs are far apart in listing order. Often whole lines in the end.
inline Shape random_transpose(Random& random) {
  Shape shape;
  Blocks& b = shape.blocks;
  b.run = std::int64_t{4} << pick(random, 0, 4);
  const std::int64_t rows = pick(random, 2, 40), columns = pick(random, 2, 60), planes = pick(random, 1, 3);
  std::int64_t stride = rows * b.run + (pick(random, 0, 1) == 0 ? 0 : pick(random, 0, 100));
  if (pick(random, 0, 1) == 0) stride = (stride + 63) / 64 * 64;
  if (planes > 1) shape.dims.push_back({planes, stride * columns});
  shape.dims.push_back({rows, b.run});
  shape.dims.push_back({columns, stride});
  b.ndims = static_cast<std::int32_t>(shape.dims.size());
  b.nruns = rows * columns * planes;
  b.bytes = b.nruns * b.run;
  b.offset = pick(random, 0, 1) == 0 ? 0 : pick(random, -300, 300);
  return shape;
}

/// Slots in random order; neighbours may touch.
inline Shape random_listed(Random& random, Form form) {
  Shape shape;
  Blocks& b = shape.blocks;
  b.form = form;
  b.run = form == Form::indexed ? random_run(random) : 0;
  b.nruns = pick(random, 1, pick(random, 1, 200));
  b.offset = pick(random, -300, 300);
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;
  std::int64_t place = pick(random, -100, 100);
  const bool dense = pick(random, 0, 3) == 0;
  for (std::int64_t i = 0; i < b.nruns; ++i) {
    const std::int64_t length = form == Form::indexed ? b.run : random_run(random);
    runs.emplace_back(place, length);
    place += length + (dense ? 0 : pick(random, 0, 80));
    b.bytes += length;
  }
  if (pick(random, 0, 3) != 0) shuffle(runs, random);
  for (const auto& [at, length] : runs) {
    shape.offsets.push_back(at);
    if (form == Form::segments) shape.lengths.push_back(length);
  }
  return shape;
}

inline Shape random_shape(Random& random) {
  switch (pick(random, 0, 5)) {
    case 0:
      return random_listed(random, Form::indexed);
    case 1:
      return random_listed(random, Form::segments);
    case 2:
      return random_transpose(random);
    default:
      return random_strided(random);
  }
}

/// A few runs, most of which are as long as many of another shape; a whole number of 32-byte runs.
inline Shape random_long_runs(Random& random) {
  Shape shape;
  Blocks& b = shape.blocks;
  b.form = Form::segments;
  b.nruns = pick(random, 1, 4);
  std::int64_t place = 0;
  for (std::int64_t i = 0; i < b.nruns; ++i) {
    const std::int64_t length = 32 * pick(random, 1, pick(random, 0, 1) == 0 ? 500 : 5000);
    shape.offsets.push_back(place);
    shape.lengths.push_back(length);
    place += length + pick(random, 1, 80);
    b.bytes += length;
  }
  return shape;
}

/// A matrix by columns of exactly `bytes` bytes; of no runs where these do not divide.
inline Shape transpose_of(Random& random, std::int64_t bytes) {
  Shape shape;
  Blocks& b = shape.blocks;
  b.run = std::int64_t{4} << pick(random, 0, 3);
  const std::int64_t runs = bytes / b.run;
  std::int64_t columns = pick(random, 2, 60);
  while (columns > 1 && runs % columns != 0) --columns;
  if (bytes % b.run != 0 || columns < 2 || runs / columns < 2) return shape;
  const std::int64_t rows = runs / columns;
  shape.dims = {{rows, b.run}, {columns, (rows * b.run + 63) / 64 * 64}};
  b.ndims = 2;
  b.nruns = runs;
  b.bytes = bytes;
  return shape;
}

/// Like random_shape, of exactly `bytes` bytes; segments where nothing else fits.
inline Shape random_shape_of(Random& random, std::int64_t bytes) {
  if (pick(random, 0, 2) == 0) {
    Shape shape = transpose_of(random, bytes);
    if (shape.blocks.nruns > 0) return shape;
  }
  for (int attempt = 0; attempt < 20; ++attempt) {
    Shape shape = random_shape(random);
    Blocks& b = shape.blocks;
    if (b.form != Form::segments && bytes % b.run == 0) {
      const std::int64_t runs = bytes / b.run;
      if (b.form == Form::indexed && runs <= b.nruns) {
        shape.offsets.resize(static_cast<std::size_t>(runs));
        b.nruns = runs;
        b.bytes = bytes;
        return shape;
      }
      if (runs == b.nruns) return shape;
    }
  }
  Shape shape;
  shape.blocks.form = Form::segments;
  shape.blocks.bytes = bytes;
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;
  std::int64_t place = 0;
  while (bytes > 0) {
    const std::int64_t length = std::min(bytes, random_run(random));
    runs.emplace_back(place, length);
    place += length + pick(random, 0, 60);
    bytes -= length;
  }
  shuffle(runs, random);
  for (const auto& [at, length] : runs) {
    shape.offsets.push_back(at);
    shape.lengths.push_back(length);
  }
  shape.blocks.nruns = static_cast<std::int64_t>(runs.size());
  return shape;
}

/// Sizes in which a whole is moved: everything at once, or random pieces.
inline std::vector<std::int64_t> random_cuts(Random& random, std::int64_t bytes) {
  std::vector<std::int64_t> cuts;
  const std::int64_t most =
      pick(random, 0, 2) == 0 ? bytes : std::min<std::int64_t>(bytes, pick(random, 1, 20000));
  while (bytes > 0) {
    const std::int64_t n = most >= bytes && cuts.empty() && pick(random, 0, 1) == 0
                               ? bytes
                               : std::min(bytes, pick(random, 1, std::max<std::int64_t>(1, most)));
    cuts.push_back(n);
    bytes -= n;
  }
  return cuts;
}

}  // namespace mpix::kernels::testing
