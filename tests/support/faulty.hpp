// SPDX-License-Identifier: BSD-3-Clause
/// A transport around another one that misbehaves by a seed: within the contract (refuses, hides and cuts),
/// and beyond it (loses messages, reports errors).
#pragma once

#include <map>
#include <memory>

#include "tests/support/rng.hpp"
#include "transport/transport.hpp"

namespace mpix::test {

struct Faults {
  std::uint64_t seed = 1;
  // Within the contract, times out of a hundred.
  int refuse = 0;     ///< no room for an announcement or a chunk now
  int hide = 0;       ///< what has arrived is not seen now
  int cut = 0;        ///< less room for a chunk than asked for
  int unflushed = 0;  ///< payloads have not left the buffers yet
  // Beyond it: the n-th of all the transport's calls, from 1; 0 for never.
  int lose_announcement = 0;
  int lose_chunk = 0;
  int fail_announcement = 0;  ///< Status (peer)
  int fail_chunk = 0;
  int fail_progress = 0;
};

class FaultyChannel;

class FaultyTransport final : public transport::Transport {
 public:
  FaultyTransport(transport::Transport& inner, const Faults& faults);
  ~FaultyTransport() override;

  const char* name() const noexcept override { return "faulty"; }
  transport::Channel& connect(int peer) override;
  Status progress(bool& happened) noexcept override;

  Rng& rng() { return rng_; }
  const Faults& faults() const { return faults_; }

  int announcements = 0, chunks = 0, progresses = 0;  ///< calls so far

 private:
  transport::Transport& inner_;
  Faults faults_;
  Rng rng_;
  std::map<int, std::unique_ptr<FaultyChannel>> channels_;
};

}  // namespace mpix::test
