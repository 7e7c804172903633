// SPDX-License-Identifier: BSD-3-Clause
#include "api/network.hpp"

#include <numeric>
#include <vector>

#include "api/agree.hpp"
#include "api/errors.hpp"
#include "api/process.hpp"
#include "handle/mpi.hpp"

namespace mpix::api {
namespace {

namespace ucx = transport::ucx;

/// The worker addresses of all ranks of a communicator, one after the other.
struct Addresses {
  std::vector<std::byte> bytes;
  std::vector<int> lengths, begins;

  std::span<const std::byte> of(int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return std::span(bytes).subspan(static_cast<std::size_t>(begins[r]),
                                    static_cast<std::size_t>(lengths[r]));
  }
};

std::shared_ptr<const Addresses> exchange_addresses(MPI_Comm comm, std::span<const std::byte> mine) {
  int size = 0;
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  auto all = std::make_shared<Addresses>();
  all->lengths.resize(static_cast<std::size_t>(size));
  all->begins.resize(static_cast<std::size_t>(size));
  const int length = static_cast<int>(mine.size());
  check_mpi(MPI_Allgather(&length, 1, MPI_INT, all->lengths.data(), 1, MPI_INT, comm), "MPI_Allgather");
  std::exclusive_scan(all->lengths.begin(), all->lengths.end(), all->begins.begin(), 0);
  all->bytes.resize(static_cast<std::size_t>(all->begins.back() + all->lengths.back()));
  check_mpi(MPI_Allgatherv(mine.data(), length, MPI_BYTE, all->bytes.data(), all->lengths.data(),
                           all->begins.data(), MPI_BYTE, comm),
            "MPI_Allgatherv");
  return all;
}

/// The same number on all ranks, with near certainty never used before.
std::uint64_t agree_on_number(MPI_Comm comm) {
  std::uint64_t number = Process::get().next_number();
  check_mpi(MPI_Bcast(&number, 1, MPI_UINT64_T, 0, comm), "MPI_Bcast");
  return number;
}

}  // namespace

std::unique_ptr<ucx::UcxTransport> make_network(MPI_Comm comm) {
  Status status;
  std::shared_ptr<ucx::UcxWorker> worker;
  try {
    worker = Process::get().network();
  } catch (...) {
    status = current_exception_status();
  }
  throw_together(comm, status);
  std::shared_ptr<const Addresses> addresses = exchange_addresses(comm, worker->address());
  int rank = 0;
  check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  return std::make_unique<ucx::UcxTransport>(std::move(worker), rank, agree_on_number(comm),
                                             [addresses](int peer) { return addresses->of(peer); });
}

}  // namespace mpix::api
