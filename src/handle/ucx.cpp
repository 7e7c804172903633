// SPDX-License-Identifier: BSD-3-Clause
#include "handle/ucx.hpp"

#include <ucs/debug/log_def.h>

#include "base/log.hpp"
#include "base/text.hpp"

namespace mpix {
namespace {

void check(ucs_status_t status, const char* what) {
  const Status result = ucx_status(status, what);
  if (!result.ok()) throw Error(result);
}

thread_local bool errors_expected = false;

ucs_log_func_rc_t drop_errors(const char*, unsigned, const char*, ucs_log_level_t level,
                              const ucs_log_component_config_t*, const char*, va_list) {
  const bool expected = errors_expected && level == UCS_LOG_LEVEL_ERROR;
  return expected ? UCS_LOG_FUNC_RC_STOP : UCS_LOG_FUNC_RC_CONTINUE;
}

}  // namespace

UcxErrorsExpected::UcxErrorsExpected() noexcept {
  const unsigned before = ucs_log_num_handlers();
  ucs_log_push_handler(drop_errors);
  pushed_ = ucs_log_num_handlers() > before;  // there may be too many
  errors_expected = true;
}

UcxErrorsExpected::~UcxErrorsExpected() {
  errors_expected = false;
  if (pushed_) ucs_log_pop_handler();
}

Status ucx_status(ucs_status_t status, const char* what) {
  if (status == UCS_OK) return {};
  return {status == UCS_ERR_NO_MEMORY ? Code::no_memory : Code::internal,
          text(what, ": ", ucs_status_string(status))};
}

UcxConfig read_ucx_config() {
  ucp_config_t* config = nullptr;
  check(ucp_config_read(nullptr, nullptr, &config), "ucp_config_read");
  return UcxConfig(config);
}

void modify(const UcxConfig& config, const char* name, const char* value) {
  const ucs_status_t status = ucp_config_modify(config.get(), name, value);
  if (status != UCS_OK)
    throw Error(Code::argument,
                text("UCX does not accept ", name, "=", value, ": ", ucs_status_string(status)));
}

UcxContext create_ucx_context(const ucp_params_t& params, const UcxConfig& config) {
  ucp_context_h context = nullptr;
  check(ucp_init(&params, config.get(), &context), "ucp_init");
  return UcxContext(context);
}

UcxWorkerHandle create_ucx_worker(const UcxContext& context, const ucp_worker_params_t& params) {
  ucp_worker_h worker = nullptr;
  check(ucp_worker_create(context.get(), &params, &worker), "ucp_worker_create");
  return UcxWorkerHandle(worker);
}

std::uint64_t memory_types(const UcxContext& context) {
  ucp_context_attr_t attributes{};
  attributes.field_mask = UCP_ATTR_FIELD_MEMORY_TYPES;
  check(ucp_context_query(context.get(), &attributes), "ucp_context_query");
  return attributes.memory_types;
}

UcxMemory::UcxMemory(const UcxContext& context, std::size_t bytes) : context_(context.get()) {
  ucp_mem_map_params_t params{};
  params.field_mask =
      UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS | UCP_MEM_MAP_PARAM_FIELD_MEMORY_TYPE;
  params.length = bytes;
  params.flags = UCP_MEM_MAP_ALLOCATE;
  params.memory_type = UCS_MEMORY_TYPE_HOST;
  check(ucp_mem_map(context_, &params, &handle_), "ucp_mem_map");
  ucp_mem_attr_t attributes{};
  attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS;
  const ucs_status_t status = ucp_mem_query(handle_, &attributes);
  data_ = static_cast<std::byte*>(attributes.address);
  if (status == UCS_OK) return;
  UcxMemory released(std::move(*this));
  check(status, "ucp_mem_query");
}

UcxMemory::UcxMemory(const UcxContext& context, std::span<std::byte> memory, ucs_memory_type_t type)
    : context_(context.get()), data_(memory.data()) {
  ucp_mem_map_params_t params{};
  params.field_mask =
      UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_MEMORY_TYPE;
  params.address = memory.data();
  params.length = memory.size();
  params.memory_type = type;
  check(ucp_mem_map(context_, &params, &handle_), "ucp_mem_map");
}

UcxMemory::~UcxMemory() {
  if (handle_ == nullptr) return;
  const ucs_status_t status = ucp_mem_unmap(context_, handle_);
  if (status != UCS_OK) log::warn("ucp_mem_unmap: ", ucs_status_string(status));
}

UcxEndpoint::UcxEndpoint(const UcxWorkerHandle& worker, std::span<const std::byte> address,
                         ucp_err_handler_cb_t on_error, void* argument) {
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = on_error;
  params.err_handler.arg = argument;
  const ucs_status_t status = ucp_ep_create(worker.get(), &params, &handle_);
  if (status == UCS_OK) return;
  const std::string why = text("ucp_ep_create: ", ucs_status_string(status));
  if (status == UCS_ERR_UNREACHABLE) throw UcxUnreachable(Code::peer, why);
  throw Error(Code::peer, why);
}

UcxEndpoint::~UcxEndpoint() {
  if (handle_ != nullptr) close(true);
}

UcxRequest UcxEndpoint::close(bool force) noexcept {
  ucp_request_param_t param{};
  if (force) {
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  }
  ucs_status_ptr_t request = ucp_ep_close_nbx(std::exchange(handle_, nullptr), &param);
  if (!UCS_PTR_IS_ERR(request)) return UcxRequest(request);
  log::debug("ucp_ep_close_nbx: ", ucs_status_string(UCS_PTR_STATUS(request)));
  return {};
}

}  // namespace mpix
