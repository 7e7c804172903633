// SPDX-License-Identifier: BSD-3-Clause
#include "benchmarks/common/methods.hpp"

#include <algorithm>

#include "benchmarks/gpu/gpu.hpp"

namespace mpix::bench {

bool needs_packed_buffers(const Options& options) {
  return std::any_of(options.baselines.begin(), options.baselines.end(), [](Baseline b) {
    return b == Baseline::packed || b == Baseline::alltoallv || b == Baseline::ipc;
  });
}

std::int64_t buffer_bytes(const Options& options, const Exchange& exchange) {
  const std::int64_t own = exchange.send.buffer_bytes + exchange.recv.buffer_bytes;
  if (!needs_packed_buffers(options)) return own;
  return own + total_bytes(exchange.send) + total_bytes(exchange.recv);
}

Buffers make_buffers(const Options& options, const Exchange& exchange) {
  const bool packed = needs_packed_buffers(options);
  return {Buffer(exchange.send.buffer_bytes, options.send_memory()),
          Buffer(exchange.recv.buffer_bytes, options.recv_memory()),
          Buffer(packed ? total_bytes(exchange.send) : 0, options.send_memory()),
          Buffer(packed ? total_bytes(exchange.recv) : 0, options.recv_memory())};
}

Methods make_methods(const Options& options, const Exchange& exchange, const Buffers& buffers) {
  Methods methods;
  methods.push_back(options.api == Api::plan ? make_plan(exchange, buffers)
                                             : make_oneshot(exchange, buffers));
  for (const Baseline baseline : options.baselines) {
    switch (baseline) {
      case Baseline::packed:
        methods.push_back(make_packed(exchange, buffers));
        break;
      case Baseline::datatypes:
        methods.push_back(make_datatypes_method(exchange, buffers));
        break;
      case Baseline::copy:
        methods.push_back(options.on_gpu.both() ? gpu::make_copy(exchange, buffers)
                                                : make_copy(exchange, buffers));
        break;
      case Baseline::alltoallv:
        methods.push_back(make_alltoallv(exchange, buffers));
        break;
      case Baseline::ipc:
        methods.push_back(gpu::make_ipc(exchange, buffers));
        break;
      case Baseline::direct:
        methods.push_back(make_direct(exchange, buffers));
        break;
    }
  }
  return methods;
}

}  // namespace mpix::bench
