// SPDX-License-Identifier: BSD-3-Clause
/// Every instruction set of this processor against a byte-by-byte oracle: random blocks, random cuts, random
/// alignment, guard pages around all memory.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/host.hpp"
#include "tests/unit/kernels_support.hpp"

namespace mpix::kernels::testing {
namespace {

constexpr int kRounds = 250;
constexpr int kLongRounds = 40;

class KernelsHost : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    kernels_ = host_kernels(GetParam());
    if (kernels_ == nullptr) GTEST_SKIP() << "this processor or build lacks " << GetParam();
    random_.seed(seed());
  }

  void copy_and_compare(const Shape& to, const Shape& from, int round);
  Stores random_stores() { return pick(random_, 0, 1) == 0 ? Stores::cached : Stores::streaming; }

  const HostKernels* kernels_ = nullptr;
  Random random_;
};

std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

void expect_same(std::span<const std::byte> got, const std::vector<std::byte>& want,
                 const std::string& what) {
  const auto at = std::mismatch(got.begin(), got.end(), want.begin(), want.end());
  ASSERT_TRUE(at.first == got.end()) << what << ": first difference at byte " << at.first - got.begin()
                                     << " of " << got.size() << ", seed " << seed();
}

void expect_cursor(const Cursor& got, const Cursor& want, const std::string& what) {
  ASSERT_EQ(got.run, want.run) << what << ", seed " << seed();
  ASSERT_EQ(got.within, want.within) << what << ", seed " << seed();
}

/// A buffer that holds exactly what a shape spans, and the address to hand to the kernels.
struct Buffer {
  Expanded expanded;
  Guarded memory;
  std::byte* base;

  Buffer(const Shape& shape, Random& random)
      : expanded(shape),
        memory(static_cast<std::size_t>(expanded.high - expanded.low), either(random)),
        base(memory.data() - expanded.low) {
    fill(memory.bytes(), random);
  }
  std::size_t index(std::int64_t byte) const {
    return static_cast<std::size_t>(expanded.places[static_cast<std::size_t>(byte)] - expanded.low);
  }
  std::int64_t bytes() const { return std::ssize(expanded.places); }
};

std::string describe(const char* what, const Blocks& b, int round) {
  return std::string(what) + " round " + std::to_string(round) + " form " +
         std::to_string(static_cast<int>(b.form)) + " ndims " + std::to_string(b.ndims) + " run " +
         std::to_string(b.run) + " nruns " + std::to_string(b.nruns);
}

TEST_P(KernelsHost, GathersWhatTheOracleGathers) {
  for (int round = 0; round < kRounds; ++round) {
    const Shape shape = random_shape(random_);
    const Blocks blocks = shape.view();
    const std::string what = describe("gather", blocks, round);
    const Buffer source(shape, random_);
    const Guarded out(static_cast<std::size_t>(source.bytes()), either(random_));
    fill(out.bytes(), random_);
    std::vector<std::byte> want = copy_of(out.bytes());
    const std::vector<std::byte> before = copy_of(source.memory.bytes());
    Cursor cursor;
    std::int64_t done = 0;
    for (const std::int64_t n : random_cuts(random_, source.bytes())) {
      kernels_->gather(source.base, blocks, cursor, out.data() + done, static_cast<std::size_t>(n),
                       random_stores());
      for (std::int64_t k = done; k < done + n; ++k) {
        want[static_cast<std::size_t>(k)] = source.memory.bytes()[source.index(k)];
      }
      done += n;
      expect_cursor(cursor, source.expanded.cursor_at(done), what);
      ASSERT_NO_FATAL_FAILURE(expect_same(out.bytes(), want, what));
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(source.memory.bytes(), before, what + " source"));
  }
}

TEST_P(KernelsHost, ScattersWhatTheOracleScatters) {
  for (int round = 0; round < kRounds; ++round) {
    const Shape shape = random_shape(random_);
    const Blocks blocks = shape.view();
    const std::string what = describe("scatter", blocks, round);
    const Buffer target(shape, random_);
    const Guarded in(static_cast<std::size_t>(target.bytes()), either(random_));
    fill(in.bytes(), random_);
    std::vector<std::byte> want = copy_of(target.memory.bytes());
    Cursor cursor;
    std::int64_t done = 0;
    for (const std::int64_t n : random_cuts(random_, target.bytes())) {
      kernels_->scatter(target.base, blocks, cursor, in.data() + done, static_cast<std::size_t>(n),
                        random_stores());
      for (std::int64_t k = done; k < done + n; ++k) {
        want[target.index(k)] = in.bytes()[static_cast<std::size_t>(k)];
      }
      done += n;
      expect_cursor(cursor, target.expanded.cursor_at(done), what);
      ASSERT_NO_FATAL_FAILURE(expect_same(target.memory.bytes(), want, what));
    }
  }
}

/// Copies in random cuts, and compares after each.
void KernelsHost::copy_and_compare(const Shape& to, const Shape& from, int round) {
  const Blocks to_blocks = to.view();
  const Blocks from_blocks = from.view();
  const std::string what = describe("copy to", to_blocks, round) + describe(" from", from_blocks, round);
  const Buffer target(to, random_);
  const Buffer source(from, random_);
  std::vector<std::byte> want = copy_of(target.memory.bytes());
  Cursor to_cursor, from_cursor;
  std::int64_t done = 0;
  for (const std::int64_t n : random_cuts(random_, target.bytes())) {
    kernels_->copy(target.base, to_blocks, to_cursor, source.base, from_blocks, from_cursor,
                   static_cast<std::size_t>(n), random_stores());
    for (std::int64_t k = done; k < done + n; ++k) {
      want[target.index(k)] = source.memory.bytes()[source.index(k)];
    }
    done += n;
    expect_cursor(to_cursor, target.expanded.cursor_at(done), what);
    expect_cursor(from_cursor, source.expanded.cursor_at(done), what);
    ASSERT_NO_FATAL_FAILURE(expect_same(target.memory.bytes(), want, what));
  }
}

TEST_P(KernelsHost, CopiesBetweenLayouts) {
  for (int round = 0; round < kRounds; ++round) {
    Shape to = random_shape(random_);
    Shape from = random_shape_of(random_, to.blocks.bytes);
    if (pick(random_, 0, 1) == 0) std::swap(to, from);
    ASSERT_NO_FATAL_FAILURE(copy_and_compare(to, from, round));
  }
}

TEST_P(KernelsHost, CopiesBetweenLongRunsAndShortOnes) {
  for (int round = 0; round < kLongRounds; ++round) {
    Shape to = random_long_runs(random_);
    Shape from = random_shape_of(random_, to.blocks.bytes);
    if (pick(random_, 0, 1) == 0) std::swap(to, from);
    ASSERT_NO_FATAL_FAILURE(copy_and_compare(to, from, round));
  }
}

TEST_P(KernelsHost, MovesNothingForNoBytes) {
  const Blocks none;
  Cursor a, b;
  kernels_->gather(nullptr, none, a, nullptr, 0, Stores::streaming);
  kernels_->scatter(nullptr, none, a, nullptr, 0, Stores::cached);
  kernels_->copy(nullptr, none, a, nullptr, none, b, 0, Stores::streaming);
  EXPECT_EQ(a.run, 0);
  EXPECT_EQ(a.within, 0);
}

TEST_P(KernelsHost, TakesAbsoluteOffsetsFromNull) {
  std::vector<std::byte> source(640), out(320);
  fill(source, random_);
  Shape shape;
  shape.blocks = {.bytes = 320,
                  .offset = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(source.data())),
                  .run = 32,
                  .nruns = 10};
  shape.blocks.ndims = 1;
  shape.dims = {{10, 64}};
  Cursor cursor;
  kernels_->gather(nullptr, shape.view(), cursor, out.data(), 320, Stores::cached);
  for (std::size_t k = 0; k < 320; ++k) ASSERT_EQ(out[k], source[k / 32 * 64 + k % 32]);
}

/// Runs that end where an accessible page ends and runs that begin where one begins, inaccessible pages
/// between them: a kernel that reads or writes one byte beside a run dies here.
class Islands {
 public:
  Islands(std::int64_t count, Random& random) : page_(sysconf(_SC_PAGESIZE)), count_(count) {
    size_ = static_cast<std::size_t>((2 * count + 1) * page_);
    map_ = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    for (std::int64_t i = 0; i < count; ++i) {
      if (mprotect(island(i), static_cast<std::size_t>(page_), PROT_READ | PROT_WRITE) != 0) {
        throw std::system_error(errno, std::generic_category(), "mprotect");
      }
      fill({island(i), static_cast<std::size_t>(page_)}, random);
    }
  }
  ~Islands() { munmap(map_, size_); }
  Islands(const Islands&) = delete;
  Islands& operator=(const Islands&) = delete;

  std::byte* base() const { return static_cast<std::byte*>(map_); }
  std::byte* island(std::int64_t i) const { return base() + (2 * i + 1) * page_; }

  /// One run an island, flush with its front or back.
  Shape shape(Form form, std::int64_t run, bool back) const {
    Shape s;
    s.blocks.form = form;
    s.blocks.run = run;
    s.blocks.nruns = count_;
    s.blocks.bytes = count_ * run;
    s.blocks.offset = page_ + (back ? page_ - run : 0);
    if (form == Form::strided) {
      s.blocks.ndims = 1;
      s.dims = {{count_, 2 * page_}};
    }
    for (std::int64_t i = 0; i < count_; ++i) {
      s.offsets.push_back(i * 2 * page_);
      s.lengths.push_back(run);
    }
    return s;
  }

 private:
  std::int64_t page_;
  std::int64_t count_;
  std::size_t size_ = 0;
  void* map_ = nullptr;
};

TEST_P(KernelsHost, TouchesNothingBesideRuns) {
  constexpr std::int64_t kCount = 5;
  const Islands from(kCount, random_), to(kCount, random_);
  for (std::int64_t run = 1; run <= 600; run += run < 270 ? 1 : 37) {
    std::vector<std::byte> flat(static_cast<std::size_t>(kCount * run));
    for (const Form form : {Form::strided, Form::indexed, Form::segments}) {
      for (const bool back : {false, true}) {
        for (const Stores stores : {Stores::cached, Stores::streaming}) {
          const Shape source = from.shape(form, run, back), target = to.shape(form, run, !back);
          Cursor a, b, c, d;
          kernels_->gather(from.base(), source.view(), a, flat.data(), flat.size(), stores);
          kernels_->scatter(to.base(), target.view(), b, flat.data(), flat.size(), stores);
          kernels_->copy(to.base(), target.view(), c, from.base(), source.view(), d, flat.size(), stores);
          EXPECT_EQ(a.run + b.run + c.run + d.run, 4 * kCount);
        }
      }
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<const char*>& info) {
  return info.param;
}

INSTANTIATE_TEST_SUITE_P(All, KernelsHost, ::testing::Values("portable", "avx2", "avx512"), name_of);

TEST(KernelsHostTable, NamesWhatItHas) {
  ASSERT_NE(host_kernels("auto"), nullptr);
  ASSERT_NE(host_kernels("portable"), nullptr);
  EXPECT_STREQ(host_kernels("portable")->name, "portable");
  EXPECT_EQ(host_kernels("sse9"), nullptr);
  EXPECT_EQ(host_kernels(""), nullptr);
}

}  // namespace
}  // namespace mpix::kernels::testing
