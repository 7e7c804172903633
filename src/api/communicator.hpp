// SPDX-License-Identifier: BSD-3-Clause
/// What the library keeps for one MPI communicator, as its attribute.
#pragma once

#include <mpi.h>

#include <memory>
#include <vector>

#include "api/routes.hpp"
#include "engine/engine.hpp"
#include "handle/mpi.hpp"

namespace mpix::api {

class Request;

class Communicator {
 public:
  /// The state of `comm`, made on the communicator's first use, which is collective. Throws Error: comm
  /// (null, or an intercommunicator), mpi, no_memory, peer.
  static const std::shared_ptr<Communicator>& get(MPI_Comm comm);
  explicit Communicator(MPI_Comm comm);
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  /// The application's communicator; MPI_COMM_NULL once it was freed.
  MPI_Comm comm() const noexcept { return comm_; }
  /// A communicator of the library's own with the same ranks.
  MPI_Comm own_comm() const noexcept { return own_comm_.get(); }
  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }
  engine::Engine& engine() noexcept { return *engine_; }
  /// Agreed between the ranks: compare sizes before every exchange.
  bool checks_sizes() const noexcept { return checks_sizes_; }

  /// Hands a request to progress(); with the engine's lock held.
  void add(Request* request) { requests_.push_back(request); }
  /// Progresses exchanges, unless another thread is at it, and moves requests that are done to `completed`.
  void progress(std::vector<Request*>& completed) noexcept;
  /// The same without looking at requests; makes no call of MPI.
  void progress_alone() noexcept;

  /// Completes what is under way; ends at the latest when it times out.
  void complete_all() noexcept;
  bool uses_network() const noexcept { return routes_.network != nullptr; }
  /// Has the network send what it still holds.
  void flush_network() noexcept;
  void close_transports() noexcept;
  /// Lets go of own_comm(). Requests that are still held by the application stay valid.
  void close() noexcept;

 private:
  MPI_Comm comm_;
  CommOwner own_comm_;
  int rank_ = 0, size_ = 0;
  bool checks_sizes_ = false;
  Routes routes_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<Request*> requests_;
};

}  // namespace mpix::api
