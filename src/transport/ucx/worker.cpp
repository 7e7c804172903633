// SPDX-License-Identifier: BSD-3-Clause
#include "transport/ucx/worker.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "base/log.hpp"
#include "base/text.hpp"
#include "transport/ucx/channel.hpp"
#include "transport/ucx/transport.hpp"

namespace mpix::transport::ucx {
namespace {

constexpr std::size_t kLeastSlots = 4;
constexpr std::size_t kAnnouncementSlots = 64;
constexpr std::size_t kMostInline = std::size_t{8} << 10;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSegmentHeaders = std::size_t{4} << 10;  // of UCX and of this library, generously
constexpr int kProgressRounds = 4;
constexpr std::chrono::seconds kClosingTime{10};

std::size_t align_down(std::size_t bytes) {
  return bytes / kAlignment * kAlignment;
}

std::size_t largest_chunk(const Config& config) {
  const std::int64_t share = config.net_staging / static_cast<std::int64_t>(kLeastSlots);
  return std::max(align_down(static_cast<std::size_t>(std::min(config.net_chunk, share))), kAlignment);
}

/// Without such devices messages go over TCP, where rendezvous costs more than the copies that it saves.
bool has_rdma_devices() {
  std::error_code error;
  return std::filesystem::directory_iterator("/sys/class/infiniband", error) !=
         std::filesystem::directory_iterator();
}

/// Whether UCX is free to use TCP; a setting for a transport that it does not use makes it warn.
bool may_use_tcp() {
  const char* const transports = std::getenv("UCX_TLS");
  if (transports == nullptr) return true;
  const std::string_view names(transports);
  return !names.starts_with('^') &&
         (names.find("tcp") != std::string_view::npos || names.find("all") != std::string_view::npos);
}

/// Of the UCX that runs.
bool is_at_least(unsigned major, unsigned minor) {
  unsigned is_major = 0, is_minor = 0, release = 0;
  ucp_get_version(&is_major, &is_minor, &release);
  return is_major > major || (is_major == major && is_minor >= minor);
}

/// Over TCP a chunk that does not fit one segment is put together in memory that UCX allocates for it.
void set_segments(const UcxConfig& settings, std::size_t chunk_bytes) {
  if (std::getenv("UCX_TCP_RX_SEG_SIZE") != nullptr || has_rdma_devices() || !may_use_tcp()) return;
  const bool prefixed = is_at_least(1, 17);  // names of transports' settings changed
  modify(settings, prefixed ? "TCP_RX_SEG_SIZE" : "RX_SEG_SIZE", text(chunk_bytes + kSegmentHeaders).c_str());
}

/// Bytes from which on UCX does not copy what it sends over TCP; SIZE_MAX where somebody else has said when.
std::size_t copied_below() {
  return std::getenv("UCX_ZCOPY_THRESH") == nullptr && !has_rdma_devices() ? kMostInline : SIZE_MAX;
}

UcxContext make_context(const std::string& devices, std::size_t chunk_bytes) {
  const UcxConfig settings = read_ucx_config();
  set_segments(settings, chunk_bytes);
  if (copied_below() != SIZE_MAX) modify(settings, "ZCOPY_THRESH", text(copied_below()).c_str());
  if (!devices.empty()) modify(settings, "NET_DEVICES", devices.c_str());
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM;
  params.name = "mpix-layout";
  return create_ucx_context(params, settings);
}

UcxWorkerHandle make_worker(const UcxContext& context) {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;  // by the mutex
  return create_ucx_worker(context, params);
}

}  // namespace

UcxWorker::UcxWorker(const Config& config, WorkerParts parts)
    : devices_(std::move(parts.devices)),
      regions_(parts.regions),
      chunk_bytes_(largest_chunk(config)),
      chunk_slots_(std::max(static_cast<std::size_t>(config.net_staging) / chunk_bytes_, kLeastSlots)),
      chunk_flags_(has_rdma_devices() ? 0 : UCP_AM_SEND_FLAG_EAGER),
      writes_later_(!has_rdma_devices()),
      copied_below_(copied_below()),
      context_(make_context(devices_.own, chunk_bytes_)),
      budget_(chunk_slots_ * chunk_bytes_, chunk_bytes_, kWindow - 2 * ReceiveBudget::kStanding),
      worker_(make_worker(context_)) {
  query_limits();
  offer_gpu_memory(config.net_gpu_memory, parts.gpus);
  announcements_.add(*this, context_, kAnnouncementSlots, inline_limit_);
  set_handler(kAnnouncement, on_announcement);
  set_handler(kChunk, on_chunk);
  set_handler(kAnnouncedChunk, on_announced_chunk);
  set_handler(kCredit, on_credit);
  log::info(description());
}

UcxWorker::~UcxWorker() {
  for (auto& [address, endpoint] : endpoints_) endpoint->handle = {};
  for (const EarlyAnnouncement& arrival : early_.take_all())
    if (arrival.data != nullptr) release(lock(), arrival.data);
}

void UcxWorker::query_limits() {
  ucp_worker_attr_t attributes{};
  attributes.field_mask =
      UCP_WORKER_ATTR_FIELD_ADDRESS | UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER | UCP_WORKER_ATTR_FIELD_THREAD_MODE;
  const Status status = ucx_status(ucp_worker_query(worker_.get(), &attributes), "ucp_worker_query");
  if (!status.ok()) throw Error(status);
  const auto* const bytes = reinterpret_cast<const std::byte*>(attributes.address);
  address_.assign(bytes, bytes + attributes.address_length);
  ucp_worker_release_address(worker_.get(), attributes.address);
  if (attributes.max_am_header < 2 * sizeof(AnnouncedChunkMessage))
    throw Error(Code::internal, text("UCX's headers have at most ", attributes.max_am_header, " bytes here"));
  // An announcement that fits where a header would fit is sent in one piece.
  inline_limit_ = align_down(std::min(attributes.max_am_header - sizeof(AnnouncementMessage), kMostInline));
  thread_mode_ = attributes.thread_mode;
  if (thread_mode_ == UCS_THREAD_MODE_SINGLE)
    log::info("this UCX serves one thread; exchanges from several threads are not safe between nodes");
}

bool UcxWorker::own_devices_reach(ucs_memory_type_t type) const {
  const char* const set = std::getenv("UCX_NET_DEVICES");
  return devices_reach(devices_.own.empty() && set != nullptr ? set : devices_.own, type);
}

void UcxWorker::offer_gpu_memory(Choice choice, memory::GpuMemory* gpus) {
  if (gpus == nullptr)
    gpu_memory_unused_ = "there are no GPUs";
  else if (choice == Choice::off)
    gpu_memory_unused_ = "switched off by MPIX_LAYOUT_NET_GPU_MEMORY";
  else if (gpus->is_cuda() && (memory_types(context_) & (1U << UCS_MEMORY_TYPE_CUDA)) == 0)
    gpu_memory_unused_ = "this UCX handles no memory of GPUs";
  else if (gpus->is_cuda() && !is_at_least(1, 21))
    gpu_memory_unused_ = "UCX before 1.21 needs the application's CUDA context in every thread";
  else if (choice == Choice::automatic && !own_devices_reach(UCS_MEMORY_TYPE_CUDA))
    gpu_memory_unused_ = "no network device reaches memory of GPUs, so UCX would copy it to the host";
  else
    gpu_slots_ = GpuSlots(*gpus, context_, chunk_slots_, chunk_bytes_);
}

std::string UcxWorker::description() const {
  return text("UCX ", ucp_get_version_string(), ": ", chunk_slots_, " chunks of ", chunk_bytes_,
              " bytes each way, ", inline_limit_, " bytes inline, ",
              chunk_flags_ == 0 ? "rendezvous where UCX prefers it" : "eager", ", ",
              thread_mode_ == UCS_THREAD_MODE_SINGLE ? "one thread" : "any thread");
}

void UcxWorker::set_handler(MessageId id, ucp_am_recv_callback_t callback) {
  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                     UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  param.id = id;
  param.flags = UCP_AM_FLAG_WHOLE_MSG;
  if (id != kCredit) param.flags |= UCP_AM_FLAG_PERSISTENT_DATA;
  param.cb = callback;
  param.arg = this;
  const Status status =
      ucx_status(ucp_worker_set_am_recv_handler(worker_.get(), &param), "ucp_worker_set_am_recv_handler");
  if (!status.ok()) throw Error(status);
}

Status UcxWorker::progress(bool& happened) noexcept {
  Lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) {  // another thread does it
    happened = false;
    return {};
  }
  happened = progress(lock);
  if (failed_) return {Code::no_memory, "no memory for a message from another node"};
  return {};
}

bool UcxWorker::progress(const Lock& lock) noexcept {
  bool happened = false;
  for (int round = 0; round < kProgressRounds && progress_workers(); ++round) happened = true;
  budget_.grant([&](Demand& demand) { demand.owner->credits_due(lock); });
  if (!telling_.empty())
    std::erase_if(telling_, [&](UcxChannel* channel) { return channel->send_credits(lock); });
  return happened;
}

bool UcxWorker::progress_workers() noexcept {
  const bool happened = ucp_worker_progress(worker_.get()) != 0;
  return (detour_ != nullptr && ucp_worker_progress(detour_->worker.get()) != 0) || happened;
}

void UcxWorker::add_transport(const Lock&, std::uint64_t communicator, UcxTransport& transport) {
  transports_.emplace(communicator, &transport);
}

void UcxWorker::remove_transport(const Lock& lock, std::uint64_t communicator) noexcept {
  transports_.erase(communicator);
  for (const EarlyAnnouncement& arrival : early_.close(communicator))
    if (arrival.data != nullptr) release(lock, arrival.data);
}

void UcxWorker::add_channel(const Lock&) {
  if (chunks_.size() == 0) chunks_.add(*this, context_, chunk_slots_, chunk_bytes_);
  telling_.reserve(channels_ + 1);
  budget_.reserve(channels_ + 1);
  while (credits_.size() < channels_ + 1) credits_.add(*this, context_, 8, 0);
  ++channels_;
}

void UcxWorker::remove_channel(const Lock&, UcxChannel& channel) noexcept {
  --channels_;
  std::erase(telling_, &channel);
  for (SlotPool* pool : {&announcements_, &chunks_, &credits_}) pool->disown(channel);
  for (auto& [cells, pool] : fetches_) pool.disown(channel);
  gpu_slots_.disown(channel);
}

Slot* UcxWorker::take_chunk(const Lock&, UcxChannel& owner, By writer) noexcept {
  Slot* const slot = gpu_slots_.take_to_send(*this, owner, writer);
  return slot != nullptr ? slot : chunks_.take(owner, writer.unmet);
}

std::vector<EarlyAnnouncement> UcxWorker::take_early(const Lock&, std::uint64_t communicator, int source) {
  return early_.take(communicator, static_cast<std::uint64_t>(source));
}

Endpoint& UcxWorker::endpoint(const Lock&, std::span<const std::byte> address) {
  if (address.empty()) throw Error(Code::peer, "it has no UCX address");
  if (closed_) throw Error(Code::peer, "UCX is closed");
  std::vector<std::byte> key(address.begin(), address.end());
  const auto known = endpoints_.find(key);
  if (known != endpoints_.end()) return *known->second;
  auto made = std::make_unique<Endpoint>();
  made->handle = connect(address, *made);
  return *endpoints_.emplace(std::move(key), std::move(made)).first->second;
}

UcxEndpoint UcxWorker::connect(std::span<const std::byte> address, Endpoint& endpoint) {
  if (devices_.others.empty()) return {worker_, address, on_endpoint_error, &endpoint};
  try {
    const UcxErrorsExpected quiet;
    return {worker_, address, on_endpoint_error, &endpoint};
  } catch (const UcxUnreachable&) {
    return connect_by_detour(address, endpoint);
  }
}

void UcxWorker::make_detour() {
  try {
    UcxContext context = make_context(devices_.others, chunk_bytes_);
    UcxWorkerHandle worker = make_worker(context);
    detour_ = std::make_unique<Detour>(std::move(context), std::move(worker));
  } catch (const Error& error) {
    no_detour_ = {Code::peer, text("by ", devices_.others, ": ", error.what())};
    throw Error(no_detour_);
  }
  log::info(devices_.own, " does not reach every rank; to those that it does not, this one sends by ",
            devices_.others);
}

UcxEndpoint UcxWorker::connect_by_detour(std::span<const std::byte> address, Endpoint& endpoint) {
  if (!no_detour_.ok()) throw Error(no_detour_);
  if (detour_ == nullptr) make_detour();
  endpoint.by_detour = true;
  return {detour_->worker, address, on_endpoint_error, &endpoint};
}

void UcxWorker::on_endpoint_error(void* endpoint, ucp_ep_h, ucs_status_t status) {
  static_cast<Endpoint*>(endpoint)->error = status;
  log::debug("a UCX endpoint failed: ", ucs_status_string(status));
}

std::vector<UcxRequest> UcxWorker::start_closing() noexcept {
  std::vector<UcxRequest> closing;
  for (auto& [address, endpoint] : endpoints_) {
    if (endpoint->handle.get() == nullptr) continue;
    UcxRequest request = endpoint->handle.close(endpoint->error != UCS_OK);
    if (request.get() != nullptr) closing.push_back(std::move(request));
  }
  return closing;
}

void UcxWorker::close_endpoints(const std::function<bool()>& everybody_done) noexcept {
  std::vector<UcxRequest> closing;
  {
    const Lock held = lock();
    closed_ = true;
    closing = start_closing();
  }
  const auto deadline = std::chrono::steady_clock::now() + kClosingTime;
  while (true) {
    {
      const Lock held = lock();
      if (progress(held)) continue;
      std::erase_if(closing, [](const UcxRequest& request) {
        return ucp_request_check_status(request.get()) != UCS_INPROGRESS;
      });
    }
    if (!closing.empty() && std::chrono::steady_clock::now() > deadline) {
      log::warn(closing.size(), " UCX endpoints did not close in time");
      closing.clear();
    }
    if (closing.empty() && everybody_done()) return;
    sched_yield();
  }
}

}  // namespace mpix::transport::ucx
