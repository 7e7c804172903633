// SPDX-License-Identifier: BSD-3-Clause
/// Expansion of layouts byte by byte, and the properties of canonical blocks, for the tests of src/layout.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "kernels/blocks.hpp"
#include "layout/build.hpp"
#include "layout/layout.hpp"

namespace mpix::test {

struct PlainRun {
  std::int64_t at, length;
  bool operator==(const PlainRun&) const = default;
};

inline std::vector<PlainRun> runs_of(const kernels::Blocks& blocks) {
  std::vector<PlainRun> runs;
  for (std::int64_t i = 0; i < blocks.nruns; ++i) {
    if (blocks.form != kernels::Form::strided) {
      const bool equal = blocks.form == kernels::Form::indexed;
      runs.push_back({blocks.offset + blocks.offsets[i], equal ? blocks.run : blocks.lengths[i]});
      continue;
    }
    std::int64_t at = blocks.offset, rest = i;
    for (int dim = blocks.ndims - 1; dim >= 0; --dim) {
      at += rest % blocks.dims[dim].count * blocks.dims[dim].stride;
      rest /= blocks.dims[dim].count;
    }
    runs.push_back({at, blocks.run});
  }
  return runs;
}

/// Offset of every byte in order; empty for a peer without any.
inline std::vector<std::int64_t> bytes_of(const Layout& layout, int peer) {
  std::vector<std::int64_t> bytes;
  const kernels::Blocks* blocks = layout.find(peer);
  if (blocks == nullptr) return bytes;
  for (const PlainRun& run : runs_of(*blocks))
    for (std::int64_t i = 0; i < run.length; ++i) bytes.push_back(run.at + i);
  return bytes;
}

/// What every part of a layout promises, whatever it was built from.
inline void expect_canonical(const kernels::Blocks& blocks) {
  EXPECT_GT(blocks.bytes, 0);
  const std::vector<PlainRun> runs = runs_of(blocks);
  std::int64_t bytes = 0;
  for (const PlainRun& run : runs) {
    EXPECT_GT(run.length, 0);
    bytes += run.length;
  }
  EXPECT_EQ(bytes, blocks.bytes);
  if (blocks.form == kernels::Form::strided) {
    std::int64_t product = 1, inner = blocks.run;
    for (int dim = blocks.ndims - 1; dim >= 0; --dim) {
      EXPECT_GT(blocks.dims[dim].count, 1);
      EXPECT_NE(blocks.dims[dim].stride, inner) << "dimension " << dim << " can be merged";
      inner = blocks.dims[dim].stride * blocks.dims[dim].count;
      product *= blocks.dims[dim].count;
    }
    EXPECT_EQ(product, blocks.nruns);
    return;
  }
  EXPECT_GT(blocks.nruns, 1);
  std::int64_t merged = 1;
  bool regular = true, equal = true;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    merged += runs[i].at != runs[i - 1].at + runs[i - 1].length;
    regular = regular && runs[i].at - runs[i - 1].at == runs[1].at - runs[0].at;
    equal = equal && runs[i].length == runs[0].length;
  }
  EXPECT_FALSE(regular && equal) << "a progression is strided";
  if (blocks.form == kernels::Form::segments) {
    EXPECT_FALSE(equal);
    EXPECT_EQ(merged, blocks.nruns);
  } else {
    EXPECT_GE(2 * merged, blocks.nruns) << "segments would be smaller";
  }
}

/// Runs `build` and gives the Status of the Error that it throws.
template <typename Build>
Status error_of(Build build) {
  try {
    build();
  } catch (const Error& error) {
    return error.status();
  }
  return {};
}

#define EXPECT_ERROR(expression, wanted_code, wanted_text)                                            \
  do {                                                                                                \
    const ::mpix::Status found_status = ::mpix::test::error_of([&] { (void)(expression); });          \
    EXPECT_EQ(found_status.code(), wanted_code) << found_status.message();                            \
    EXPECT_NE(found_status.message().find(wanted_text), std::string::npos) << found_status.message(); \
  } while (false)

/// A committed datatype that frees itself.
class OwnedType {
 public:
  explicit OwnedType(MPI_Datatype type) : type_(type) { EXPECT_EQ(MPI_Type_commit(&type_), MPI_SUCCESS); }
  OwnedType(const OwnedType&) = delete;
  OwnedType& operator=(const OwnedType&) = delete;
  ~OwnedType() { MPI_Type_free(&type_); }
  operator MPI_Datatype() const { return type_; }

 private:
  MPI_Datatype type_;
};

}  // namespace mpix::test
