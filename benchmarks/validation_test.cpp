// SPDX-License-Identifier: BSD-3-Clause
/// The benchmarks' validation finds every kind of damage, and none where there is none. Any number of ranks.
/// In memory of a GPU as well, where MPIX_LAYOUT_CUDA_DRIVER names a driver.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "benchmarks/common/patterns.hpp"
#include "benchmarks/common/timing.hpp"
#include "benchmarks/common/validate.hpp"
#include "benchmarks/gpu/gpu.hpp"
#include "benchmarks/moe/verify.hpp"

namespace {

using namespace mpix::bench;

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "FAILED: %s\n", what);
}

void flip(const Buffer& buffer, std::int64_t at) {
  buffer.fetch();
  buffer.host()[at] ^= std::byte{4};
  buffer.store();
}

/// A case whose exchange has been carried out correctly on values of salt 1.
struct Fixture {
  Options options;
  Exchange exchange;
  Buffers buffers;
  Validator validator;

  Fixture(const Options& chosen, const Case& what)
      : options(chosen),
        exchange(make_exchange(options, what, MPI_COMM_WORLD)),
        buffers(make_buffers(options, exchange)),
        validator(exchange, buffers) {
    exchange_again();
  }

  void exchange_again() {
    validator.fill(1);
    make_packed(exchange, buffers)->run();
  }

  /// What is found after byte `at` of `buffer` has changed; the byte is put back.
  bool finds_flip(const Buffer& buffer, std::int64_t at) const {
    flip(buffer, at);
    const bool found = validator.find_error(1).has_value();
    flip(buffer, at);
    return found;
  }
};

bool is_named(const Side& side, std::int64_t at) {
  bool named = false;
  for_each_run(side, [&](int, std::int64_t offset, std::int64_t length) {
    named = named || (offset <= at && at < offset + length);
  });
  return named;
}

/// On a GPU a part of the bytes: each look takes several calls of the driver.
void check_bytes(const Fixture& fixture) {
  const std::int64_t step = fixture.options.on_gpu.any() ? 13 : 1;
  int gaps = 0;
  for (std::int64_t at = 0; at < fixture.buffers.recv.size(); ++at) {
    gaps += is_named(fixture.exchange.recv, at) ? 0 : 1;
    if (at % step != 0) continue;
    expect(fixture.finds_flip(fixture.buffers.recv, at), "a changed byte of the receive buffer is found");
  }
  expect(gaps > 0, "the pattern has bytes that must stay untouched");
  for (std::int64_t at = 0; at < fixture.buffers.send.size(); at += step) {
    expect(fixture.finds_flip(fixture.buffers.send, at), "a changed byte of the send buffer is found");
  }
}

void check_pattern(const Options& options, const Case& what) {
  Fixture fixture(options, what);
  expect(!fixture.validator.find_error(1).has_value(), "a correct exchange is accepted");
  expect(fixture.validator.find_error(2).has_value(), "data of an earlier exchange is refused");
  check_bytes(fixture);
  fixture.validator.fill(1);
  expect(fixture.validator.find_error(1).has_value() == (total_bytes(fixture.exchange.recv) > 0),
         "an exchange that moved nothing is refused");
}

void check_swapped_rows() {
  Options options;
  Fixture fixture(options, {26, 13, {}, {}});
  std::byte* recv = fixture.buffers.recv.data();
  const auto& rows = fixture.exchange.recv.indices;
  std::swap_ranges(recv + rows[0] * 13, recv + rows[0] * 13 + 13, recv + rows[1] * 13);
  const auto error = fixture.validator.find_error(1);
  expect(error.has_value(), "rows of one sender in the wrong order are found");
  expect(error.has_value() && error->find("of rank 0's send buffer") != std::string::npos,
         "the message names the sender");
}

/// Rows of MoE dispatch are found to be in the wrong places, whatever the lists of blocks say.
void check_routed(const Options& chosen) {
  Options options = chosen;
  options.tokens = 5;
  options.experts = 6;
  options.topk = 2;
  constexpr std::int64_t row = 11;
  const Routing routing = make_routing(options, Traffic::uniform, discover_nodes({}, MPI_COMM_WORLD));
  const Exchange exchange = make_dispatch(routing, row, MPI_COMM_WORLD);
  const Buffers buffers = make_buffers(options, exchange);
  const RoutedValidator validator(routing, row, exchange, buffers);
  validator.fill(1);
  make_packed(exchange, buffers)->run();
  expect(!validator.find_error(1).has_value(), "a correct dispatch is accepted");
  if (exchange.recv.indices.size() < 2) return;
  buffers.recv.fetch();
  std::swap_ranges(buffers.recv.host(), buffers.recv.host() + row, buffers.recv.host() + row);
  buffers.recv.store();
  const auto error = validator.find_error(1);
  expect(error.has_value() && error->find("place 0 does not hold the row of token") == 0,
         "swapped rows of a dispatch are found");
}

void check_random_rows() {
  Options options;
  const Exchange exchange = make_exchange(options, {64, 8, {}, {}}, MPI_COMM_WORLD);
  for (const Side* side : {&exchange.send, &exchange.recv}) {
    auto rows = side->indices;
    std::sort(rows.begin(), rows.end());
    expect(std::adjacent_find(rows.begin(), rows.end()) == rows.end(), "no row is listed twice");
    expect(rows.back() * 8 + 8 <= side->buffer_bytes, "rows lie inside the buffer");
  }
}

void check_median() {
  expect(median({3, 1, 2}) == 2, "median of three");
  expect(median({4, 1, 2, 3}) == 2.5, "median of four");
}

void check_patterns(OnGpu on_gpu) {
  Options options;
  options.on_gpu = on_gpu;
  check_pattern(options, {52, 13, {}, {}});
  check_routed(options);
  options.pattern = Pattern::skewed;
  check_pattern(options, {40, 8, {}, {}});
  options.pattern = Pattern::moe;
  options.experts = 8;
  options.topk = 3;
  check_pattern(options, {120, 10, {}, {}});
  options.pattern = Pattern::fft;
  check_pattern(options, {0, 0, {3, 4, 2}, {false, 0, 1}});
  check_pattern(options, {0, 0, {3, 4, 5}, {true, 1, 2}});
}

}  // namespace

int main(int argc, char* argv[]) {
  check(MPI_Init(&argc, &argv), "MPI_Init");
  check_patterns({false, false});
  if (std::getenv("MPIX_LAYOUT_CUDA_DRIVER") != nullptr) {
    gpu::start(MPI_COMM_WORLD);
    for (const OnGpu on_gpu : {OnGpu{true, true}, OnGpu{true, false}, OnGpu{false, true}})
      check_patterns(on_gpu);
  }
  check_swapped_rows();
  check_random_rows();
  check_median();
  int all = 0;
  check(MPI_Allreduce(&failures, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD), "MPI_Allreduce");
  check(MPI_Finalize(), "MPI_Finalize");
  return all == 0 ? 0 : 1;
}
