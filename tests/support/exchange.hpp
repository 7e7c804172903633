// SPDX-License-Identifier: BSD-3-Clause
/// A random exchange on a communicator with what must come out of it, found by plain MPI on bytes.
#pragma once

#include <mpi.h>
#include <mpix_layout.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/memory.hpp"
#include "tests/support/mpi_test.hpp"
#include "tests/support/side.hpp"

namespace mpix::test {

/// How many bytes go between ranks; the same on all ranks of a communicator.
struct Volume {
  std::int64_t unit = 1;     ///< every size is a multiple of it
  std::int64_t most = 2000;  ///< bytes between two ranks
  int density = 80;          ///< pairs of a hundred that have traffic
  bool symmetric = false;    ///< as much there as back: for MPI_IN_PLACE
  bool exact = false;        ///< always `most` where there is traffic
};

/// Bytes from one rank to another.
std::int64_t bytes_between(std::uint64_t seed, const Volume& volume, int from, int to);

/// The two layouts of one rank.
struct Layouts {
  Side send;
  Side recv;
};

/// Random layouts for `volume`. `seed` is the same on all ranks; `rng` is the rank's own.
Layouts random_layouts(MPI_Comm comm, std::uint64_t seed, Rng& rng, const Volume& volume, bool nested = true);

enum class InPlace { no, yes };

/// The buffers of one exchange, and what the receive buffer must hold afterwards. Construction is collective.
class Data {
 public:
  Data(MPI_Comm comm, Rng& rng, const Layouts& layouts, InPlace in_place = InPlace::no);
  Data(MPI_Comm comm, Rng& rng, const Layouts& layouts, InPlace in_place, MemoryKind send, MemoryKind recv);

  const void* sendbuf() const { return in_place_ == InPlace::yes ? MPI_IN_PLACE : send_.base(); }
  void* recvbuf() const { return recv_.base(); }
  /// New contents and expectations; collective.
  void refresh();
  /// Checks every byte of both buffers, gaps and guards included; records a failure that begins with `what`.
  void verify(const std::string& what);
  /// Checks that nothing outside the receive layout's blocks has changed, whatever is in the blocks.
  void verify_outside(const std::string& what);
  /// Whether the receive buffer holds what it must by now.
  bool complete() const;
  /// What is sent, what has been received, and what must be; the places of both where the library finds them.
  std::span<const std::byte> sent() const { return send_.bytes(); }
  std::span<const std::byte> received() const { return recv_.bytes(); }
  std::span<const std::byte> expected() const { return expected_; }
  std::byte* sent_there() const { return send_.there(); }
  std::byte* received_there() const { return recv_.there(); }
  /// Writes other bytes to the send buffer.
  void overwrite_sent(std::span<const std::byte> bytes) { send_.write(bytes); }
  /// Gives the receive buffer its contents from before the exchange again; not in place.
  void reset();

 private:
  std::string place_of(std::int64_t offset) const;
  bool compare(std::span<const std::byte> found, std::span<const std::byte> expected,
               const std::string& what) const;

  MPI_Comm comm_;
  InPlace in_place_;
  std::uint64_t seed_;
  const Layouts& layouts_;
  Buffer send_, recv_;
  std::vector<std::byte> expected_;
};

/// A random exchange with its buffers and a request, to be started and verified.
struct Running {
  Running(Case& t, MPI_Comm comm, const Volume& volume, bool nested = false);
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// MPIX_Ialltoallv_layout.
  void start();
  /// MPIX_Alltoallv_layout.
  void run();
  void verify(const std::string& what) { data.verify(what); }

  MPI_Comm comm;
  Layouts layouts;
  Data data;
  MPI_Request request = MPI_REQUEST_NULL;
};

/// The oracle: what arrives when `out`[p] goes to p, as contiguous bytes of each rank in order.
std::vector<std::byte> exchange_bytes(MPI_Comm comm, const std::vector<std::vector<std::byte>>& out);

}  // namespace mpix::test
