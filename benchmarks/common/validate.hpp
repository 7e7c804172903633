// SPDX-License-Identifier: BSD-3-Clause
/// Checks what an exchange delivered, byte by byte, without using the library: the senders tell by plain MPI
/// where they listed what, and every byte's value says which rank and which place it comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/common/exchange.hpp"
#include "benchmarks/common/methods.hpp"

namespace mpix::bench {

class Validator {
 public:
  /// Collective over the exchange's communicator. Both arguments must outlive the validator.
  Validator(const Exchange& exchange, const Buffers& buffers);
  Validator(const Validator&) = delete;
  Validator& operator=(const Validator&) = delete;
  virtual ~Validator() = default;

  /// Fills the send buffer with values of their own for each `salt`, the receive buffer with others.
  void fill(std::uint64_t salt) const;

  /// After an exchange since fill(salt): a text about the first wrong byte, or none. Looks at every byte of
  /// the receive buffer, of the gaps between its blocks, and of the send buffer. Local.
  virtual std::optional<std::string> find_error(std::uint64_t salt) const;

 private:
  struct Run {
    std::int64_t offset, length;
  };
  std::vector<std::byte> expected_image(std::uint64_t salt) const;
  std::string describe_recv(std::uint64_t salt, std::int64_t at, std::byte expected) const;
  template <class Visit>
  void for_each_piece(Visit visit) const;

  const Exchange& exchange_;
  const Buffers& buffers_;
  int rank_;
  std::vector<std::vector<Run>> sources_;  ///< [peers] what each lists for this rank in its send buffer
};

/// Runs every method that delivers data, each on buffers filled anew, and prints the first wrong byte of each
/// to stderr. Gives the number of ranks and methods with errors. Collective over `comm`.
int validate(const Methods& methods, const Validator& validator, const std::string& label, MPI_Comm comm,
             std::uint64_t salt);

}  // namespace mpix::bench
