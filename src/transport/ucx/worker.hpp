// SPDX-License-Identifier: BSD-3-Clause
/// What the channels of all communicators of this process share: one UCX worker, the endpoints, and the
/// staging memory of both directions.
///
/// Closing, collectively over all ranks that may be connected: UcxTransport::flush() and the end of each
/// communicator, then close_endpoints(), then the destructor. Never from a static destructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/config.hpp"
#include "base/status.hpp"
#include "handle/ucx.hpp"
#include "topology/nics.hpp"
#include "transport/ucx/budget.hpp"
#include "transport/ucx/early.hpp"
#include "transport/ucx/gpu_slots.hpp"
#include "transport/ucx/slots.hpp"

namespace mpix::transport::ucx {

class UcxTransport;

/// The way to one peer process; `error` once it is known to be gone.
struct Endpoint {
  UcxEndpoint handle;
  ucs_status_t error = UCS_OK;
  std::uint64_t in_flight = 0;  ///< messages that UCX has not sent yet, of all channels; those awaited
  std::uint64_t unread = 0;     ///< bytes of announcements and chunks that peers have not said to have read
  bool by_detour = false;
  bool unproven = false;  ///< the last message may not have left this process; see UcxChannel::flushed()
};

/// What a worker works with.
struct WorkerParts {
  topology::Devices devices;
  memory::Regions* regions = nullptr;  ///< where the staging memory is listed; null for nowhere
  memory::GpuMemory* gpus = nullptr;   ///< for chunks that GPUs write and read; null for none
};

/// Any thread may call any method; those that take a Lock are for channels and transports, which hold it.
class UcxWorker {
 public:
  using Lock = std::unique_lock<std::mutex>;

  /// Throws Error (internal, no_memory; argument for devices that UCX does not accept). What the parts point
  /// to outlives the worker.
  explicit UcxWorker(const Config& config, WorkerParts parts = {});
  UcxWorker(const UcxWorker&) = delete;
  UcxWorker& operator=(const UcxWorker&) = delete;
  ~UcxWorker();

  /// To be given to every rank that may connect. Its length differs between processes.
  std::span<const std::byte> address() const noexcept { return address_; }
  const topology::Devices& devices() const noexcept { return devices_; }
  /// Why chunks do not lie in memory of GPUs; empty where they may.
  const std::string& gpu_memory_unused() const noexcept { return gpu_memory_unused_; }
  /// UCX's version and the limits in force, for humans.
  std::string description() const;
  /// Closes all endpoints after what was sent through them, which needs the peers' progress: once this rank
  /// is done it calls `everybody_done` and progresses until that returns true (for MPI: MPI_Ibarrier, then
  /// MPI_Test). Waits a bounded time for its own endpoints. An endpoint that is left to the destructor is cut
  /// off.
  void close_endpoints(const std::function<bool()>& everybody_done) noexcept;

  Status progress(bool& happened) noexcept;

  Lock lock() noexcept { return Lock(mutex_); }
  std::size_t inline_limit() const noexcept { return inline_limit_; }
  std::size_t chunk_bytes() const noexcept { return chunk_bytes_; }

  // With the lock held:
  bool progress(const Lock& lock) noexcept;
  void add_transport(const Lock&, std::uint64_t communicator, UcxTransport& transport);
  void remove_transport(const Lock&, std::uint64_t communicator) noexcept;
  /// Prepares for one more channel, so that nothing that it does later allocates.
  void add_channel(const Lock&);
  /// Forgets a channel, whatever is under way for it.
  void remove_channel(const Lock&, UcxChannel& channel) noexcept;
  int early_source(const Lock&, std::uint64_t communicator) const noexcept {
    return early_.source(communicator);
  }
  std::vector<EarlyAnnouncement> take_early(const Lock&, std::uint64_t communicator, int source);

  /// Throws Error (peer).
  Endpoint& endpoint(const Lock&, std::span<const std::byte> address);
  memory::Regions* regions() const noexcept { return regions_; }
  SlotPool& announcements() noexcept { return announcements_; }
  /// Whether no chunk is being filled or on its way, in memory of the host.
  bool chunks_free() const noexcept { return chunks_.all_free(); }
  /// A slot for a chunk that `writer` fills, null while there is none; see SlotPool::take.
  Slot* take_chunk(const Lock&, UcxChannel& owner, By writer) noexcept;
  /// Puts into a slot of the host what lies in one of a GPU. False, and the slot as it was, if that fails.
  bool bring_to_host(const Lock&, UcxChannel& owner, Slot*& slot, std::size_t bytes) noexcept;
  SlotPool& credits() noexcept { return credits_; }
  ReceiveBudget& budget() noexcept { return budget_; }
  /// Sends a slot's header and the first `bytes` of its room; the slot goes back to its pool.
  Status send(const Lock&, Endpoint& endpoint, MessageId id, Slot& slot, std::size_t bytes) noexcept;
  /// Whether a message that UCX calls sent may wait in this process until somebody progresses UCX.
  bool writes_later() const noexcept { return writes_later_; }
  /// Whether UCX calls such a message sent only once that is done, because it writes it from where it lies.
  bool sent_is_written(const Slot& slot, std::size_t bytes) const noexcept {
    return bytes >= copied_below_ && slot.gpu == By::kNone;
  }
  /// Lets `channel` send its credits when it can.
  void tell_credits(const Lock&, UcxChannel& channel) noexcept { telling_.push_back(&channel); }
  void release(const Lock&, void* data) noexcept { ucp_am_data_release(worker_.get(), data); }

 private:
  /// Another worker, over other devices, by which this process sends to peers that its own devices do not
  /// reach. It has no address to give away: what those peers send comes to the worker that everybody knows.
  struct Detour {
    UcxContext context;
    UcxWorkerHandle worker;
  };

  UcxEndpoint connect(std::span<const std::byte> address, Endpoint& endpoint);
  void make_detour();
  UcxEndpoint connect_by_detour(std::span<const std::byte> address, Endpoint& endpoint);
  bool progress_workers() noexcept;
  bool own_devices_reach(ucs_memory_type_t type) const;
  void offer_gpu_memory(Choice choice, memory::GpuMemory* gpus);
  void set_handler(MessageId id, ucp_am_recv_callback_t callback);
  void query_limits();
  UcxChannel* find(const Prefix& prefix) const noexcept;
  template <typename Message>
  static bool read_header(Message& message, const void* header, std::size_t bytes) noexcept;
  ucs_status_t receive_announcement(const AnnouncementMessage& message, void* data,
                                    std::size_t bytes) noexcept;
  ucs_status_t receive_chunk(const ChunkMessage& message, void* data, std::size_t bytes,
                             bool rendezvous) noexcept;
  Slot* take_to_fetch(UcxChannel& channel, By reader, std::size_t bytes) noexcept;
  ucs_status_t fetch_chunk(UcxChannel& channel, const ChunkMessage& message, void* data,
                           std::size_t bytes) noexcept;
  void fetched(Slot& slot, ucs_status_t status) noexcept;
  std::vector<UcxRequest> start_closing() noexcept;

  static ucs_status_t on_announcement(void*, const void*, std::size_t, void*, std::size_t,
                                      const ucp_am_recv_param_t*);
  static ucs_status_t on_chunk(void*, const void*, std::size_t, void*, std::size_t,
                               const ucp_am_recv_param_t*);
  static ucs_status_t on_announced_chunk(void*, const void*, std::size_t, void*, std::size_t,
                                         const ucp_am_recv_param_t*);
  static ucs_status_t on_credit(void*, const void*, std::size_t, void*, std::size_t,
                                const ucp_am_recv_param_t*);
  static void finish(Slot& slot) noexcept;
  static void on_sent(void* request, ucs_status_t status, void* slot);
  static void on_fetched(void* request, ucs_status_t status, std::size_t bytes, void* slot);
  static void on_endpoint_error(void* endpoint, ucp_ep_h, ucs_status_t status);

  std::mutex mutex_;
  const topology::Devices devices_;
  memory::Regions* regions_;
  std::size_t chunk_bytes_, chunk_slots_;
  std::size_t inline_limit_ = 0;
  std::uint32_t chunk_flags_ = 0;
  bool writes_later_ = false;
  std::size_t copied_below_ = SIZE_MAX;  ///< bytes of a message from which on UCX does not copy it
  ucs_thread_mode_t thread_mode_ = UCS_THREAD_MODE_SINGLE;
  bool failed_ = false;  ///< a message could not be kept
  bool closed_ = false;
  std::size_t channels_ = 0;
  std::map<std::vector<std::byte>, std::unique_ptr<Endpoint>> endpoints_;  ///< outlive their messages
  UcxContext context_;
  SlotPool announcements_, chunks_, credits_;
  std::map<std::size_t, SlotPool> fetches_;  ///< by the cells of a slot
  GpuSlots gpu_slots_;
  std::string gpu_memory_unused_;
  ReceiveBudget budget_;
  UcxWorkerHandle worker_;
  std::unique_ptr<Detour> detour_;  ///< once it was needed
  Status no_detour_;                ///< why it could not be made
  std::vector<std::byte> address_;
  EarlyArrivals early_;
  std::unordered_map<std::uint64_t, UcxTransport*> transports_;
  std::vector<UcxChannel*> telling_;
};

}  // namespace mpix::transport::ucx
