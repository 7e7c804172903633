// SPDX-License-Identifier: BSD-3-Clause
/// Move-only owners of UCP objects.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "base/status.hpp"

namespace mpix {

/// Owns one UCP object and gives it to `release` in the end.
template <typename Handle, void (*release)(Handle)>
class UcxOwner {
 public:
  UcxOwner() noexcept = default;
  explicit UcxOwner(Handle handle) noexcept : handle_(handle) {}
  UcxOwner(UcxOwner&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  UcxOwner& operator=(UcxOwner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~UcxOwner() {
    if (handle_ != nullptr) release(handle_);
  }

  Handle get() const noexcept { return handle_; }

 private:
  Handle handle_ = nullptr;
};

using UcxConfig = UcxOwner<ucp_config_t*, ucp_config_release>;
using UcxContext = UcxOwner<ucp_context_h, ucp_cleanup>;
using UcxWorkerHandle = UcxOwner<ucp_worker_h, ucp_worker_destroy>;
/// A request: releasing one that is not complete lets UCP free it when it is.
using UcxRequest = UcxOwner<void*, ucp_request_free>;

/// A Status that says that `what` failed and why; ok for UCS_OK.
Status ucx_status(ucs_status_t status, const char* what);

/// The configuration in UCX's own environment variables. These throw Error (internal, no_memory).
UcxConfig read_ucx_config();
void modify(const UcxConfig& config, const char* name, const char* value);
UcxContext create_ucx_context(const ucp_params_t& params, const UcxConfig& config);
UcxWorkerHandle create_ucx_worker(const UcxContext& context, const ucp_worker_params_t& params);

/// Kinds of memory that UCX handles, as bits of ucs_memory_type_t. Throws Error (internal).
std::uint64_t memory_types(const UcxContext& context);

/// Whether one of the network devices (as UCX_NET_DEVICES; empty for all) can be given memory of that kind
/// directly. Opens all devices to ask. Throws std::bad_alloc.
bool devices_reach(std::string_view devices, ucs_memory_type_t type);

/// Memory that UCP allocated and registered, or only registered.
class UcxMemory {
 public:
  UcxMemory() noexcept = default;
  /// Throws Error (internal, no_memory). `context` outlives the memory.
  UcxMemory(const UcxContext& context, std::size_t bytes);
  /// Registers memory that is there and outlives this.
  UcxMemory(const UcxContext& context, std::span<std::byte> memory, ucs_memory_type_t type);
  UcxMemory(UcxMemory&& other) noexcept
      : context_(other.context_), handle_(std::exchange(other.handle_, nullptr)), data_(other.data_) {}
  UcxMemory& operator=(UcxMemory&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~UcxMemory();

  std::byte* data() const noexcept { return data_; }
  ucp_mem_h get() const noexcept { return handle_; }

 private:
  ucp_context_h context_ = nullptr;
  ucp_mem_h handle_ = nullptr;
  std::byte* data_ = nullptr;
};

/// While it lives, UCX does not print what it considers errors of this thread.
class UcxErrorsExpected {
 public:
  UcxErrorsExpected() noexcept;
  ~UcxErrorsExpected();
  UcxErrorsExpected(const UcxErrorsExpected&) = delete;
  UcxErrorsExpected& operator=(const UcxErrorsExpected&) = delete;

 private:
  bool pushed_;
};

/// No device of a worker leads to a peer.
class UcxUnreachable : public Error {
 public:
  using Error::Error;
};

/// An endpoint that reports the loss of its peer.
class UcxEndpoint {
 public:
  UcxEndpoint() noexcept = default;
  /// Throws UcxUnreachable, Error (peer). `on_error` is called from progress, with `argument`.
  UcxEndpoint(const UcxWorkerHandle& worker, std::span<const std::byte> address,
              ucp_err_handler_cb_t on_error, void* argument);
  UcxEndpoint(UcxEndpoint&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  UcxEndpoint& operator=(UcxEndpoint&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~UcxEndpoint();

  ucp_ep_h get() const noexcept { return handle_; }
  /// Starts to close: after everything that was sent, or at once where `force`. The request is empty where
  /// that was done immediately, else to be asked for by ucp_request_check_status under progress.
  UcxRequest close(bool force) noexcept;

 private:
  ucp_ep_h handle_ = nullptr;
};

}  // namespace mpix
