// SPDX-License-Identifier: BSD-3-Clause
/// The ways to carry out an exchange that are compared: the library's and the baselines.
#pragma once

#include <mpi.h>

#include <memory>
#include <vector>

#include "benchmarks/common/buffer.hpp"
#include "benchmarks/common/exchange.hpp"
#include "benchmarks/common/options.hpp"

namespace mpix::bench {

/// The buffers of one case. `packed_*` hold the data laid end to end, for the baselines that need it.
struct Buffers {
  Buffer send;
  Buffer recv;
  Buffer packed_send;
  Buffer packed_recv;
};

bool needs_packed_buffers(const Options& options);
/// Bytes of all buffers of `exchange` on this rank.
std::int64_t buffer_bytes(const Options& options, const Exchange& exchange);
Buffers make_buffers(const Options& options, const Exchange& exchange);

class Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;

  virtual const char* name() const = 0;
  /// Whether the exchange's data arrives in the receive buffer; the limits move bytes only.
  virtual bool delivers() const { return true; }
  /// Seconds that it took on this rank to make layouts and plan; 0 for the baselines.
  virtual double setup_seconds() const { return 0; }
  /// One blocking exchange.
  virtual void run() = 0;
  /// Starts an exchange; the caller completes the request and calls finish().
  virtual MPI_Request start() = 0;
  virtual void finish() {}
};

using Methods = std::vector<std::unique_ptr<Method>>;

/// The library first, then the baselines in the order of the options. `exchange` and `buffers` must outlive
/// the methods. Collective over the exchange's communicator.
Methods make_methods(const Options& options, const Exchange& exchange, const Buffers& buffers);

// One function a method.
std::unique_ptr<Method> make_oneshot(const Exchange& exchange, const Buffers& buffers);
std::unique_ptr<Method> make_plan(const Exchange& exchange, const Buffers& buffers);
/// A plan that forwards nothing.
std::unique_ptr<Method> make_direct(const Exchange& exchange, const Buffers& buffers);
std::unique_ptr<Method> make_packed(const Exchange& exchange, const Buffers& buffers);
std::unique_ptr<Method> make_datatypes_method(const Exchange& exchange, const Buffers& buffers);
std::unique_ptr<Method> make_alltoallv(const Exchange& exchange, const Buffers& buffers);
std::unique_ptr<Method> make_copy(const Exchange& exchange, const Buffers& buffers);

}  // namespace mpix::bench
