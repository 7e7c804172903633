// SPDX-License-Identifier: BSD-3-Clause
/// The exchange in two stages, cut into messages of bounded size: while later pieces are on the wire, a
/// forwarder hands on those that have arrived, and between them its own.
#include <algorithm>
#include <vector>

#include "benchmarks/moe/forwarding.hpp"

namespace mpix::bench {
namespace {

constexpr int kBetween = 1;     ///< tag of messages between nodes
constexpr int kOutgoing = 8;    ///< messages between nodes that are being sent
constexpr int kFromOrigin = 4;  ///< messages that may arrive from one rank of another node
constexpr int kInside = 4;  ///< messages that are being sent to, and may arrive from, one rank of the node

/// A message between nodes.
struct Outgoing {
  int to;
  std::vector<RowCopy> gather;
};

/// A piece that this rank hands on: what to copy from where it lies.
struct Unit {
  int bytes;                                  ///< of the message in which it arrives
  std::vector<RowCopy> own;                   ///< to the receive buffer
  std::vector<std::vector<RowCopy>> gathers;  ///< [ranks of the node] to a message
};

/// A rank of another node whose forwarder this one is.
struct Origin {
  int rank;
  std::vector<std::size_t> units;
  std::size_t posted = 0;
};

/// What another rank of this node hands to this one. The message's tag is the number of the unit there.
struct Handed {
  int rank;
  std::vector<std::vector<RowCopy>> scatters;  ///< [units there]; empty: no message
  std::size_t messages = 0;
  std::size_t posted = 0;
};

/// Place of a message that is under way.
struct Slot {
  enum class Kind { outgoing, arriving, handing, handed };
  Kind kind;
  std::size_t peer;  ///< index of the origin or of the rank of the node
  std::size_t unit;  ///< arriving: which
  std::byte* data;
};

/// A unit of which some ranks of the node have not got their rows yet.
struct Ready {
  std::size_t unit;
  const std::byte* data;
  std::vector<std::size_t> left;  ///< ranks of the node
  int slot;                       ///< to free afterwards; below 0: none
};

class Chunked : public Method {
 public:
  Chunked(const DispatchCase& what, const Chunks& chunks)
      : row_(what.row),
        most_{std::max<std::int64_t>(chunks.inside / what.row, 1),
              std::max<std::int64_t>(chunks.between / what.row, 1)},
        slot_bytes_(to_int(std::max(most_.own, most_.arrived) * what.row, "a chunk")),
        me_(comm_rank(what.comm())),
        send_(what.buffers.send.data()),
        recv_(what.buffers.recv.data()) {
    duplicate(what.comm(), between_);
    duplicate(what.comm(), inside_);
    plan_outgoing(what);
    plan_units(what);
    plan_handed(what);
    make_slots(what.nodes.on(what.nodes.node(me_)));
  }

  const char* name() const override { return "chunked"; }

  void run() override {
    next_outgoing_ = next_own_ = 0;
    free_between_.clear();
    for (auto& slots : free_inside_) slots.clear();
    for (Origin& origin : origins_) origin.posted = 0;
    for (Handed& peer : handed_) peer.posted = 0;
    for (std::size_t s = 0; s < slots_.size(); ++s) release(s);
    for (;;) {
      send_between();
      hand_on_all();
      if (complete(false)) continue;
      if (ready_.size() < 2 && start_own_unit()) continue;
      if (!ready_.empty() || active_ > 0) {
        complete(true);
        continue;
      }
      return;
    }
  }

  MPI_Request start() override {
    run();
    return MPI_REQUEST_NULL;
  }

 private:
  static void duplicate(MPI_Comm comm, Comm& copy) {
    check(MPI_Comm_dup(comm, copy.out()), "MPI_Comm_dup");
    check(MPI_Comm_set_errhandler(copy.get(), MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }

  /// Nodes take turns, beginning behind one's own, so that senders spread over the receivers.
  void plan_outgoing(const DispatchCase& what) {
    const int nodes = what.nodes.count();
    const int home = what.nodes.node(me_);
    std::vector<std::vector<Piece>> pieces;
    std::size_t rounds = 0;
    for (int step = 1; step < nodes; ++step) {
      pieces.push_back(pieces_of(what.routing, what.nodes, me_, (home + step) % nodes, most_.arrived));
      rounds = std::max(rounds, pieces.back().size());
    }
    for (std::size_t round = 0; round < rounds; ++round) {
      for (int step = 1; step < nodes; ++step) {
        const auto& list = pieces[static_cast<std::size_t>(step) - 1];
        if (round >= list.size()) continue;
        Outgoing message{forwarder_of(what.nodes, me_, (home + step) % nodes), {}};
        for (const std::int64_t token : list[round].tokens) {
          message.gather.push_back({token * row_, static_cast<std::int64_t>(message.gather.size()) * row_});
        }
        outgoing_.push_back(std::move(message));
      }
    }
  }

  void plan_units(const DispatchCase& what) {
    const Places places(what.routing, me_);
    const auto& local = what.nodes.on(what.nodes.node(me_));
    for (const Piece& piece : pieces_of(what.routing, what.nodes, me_, most_)) {
      const bool mine = piece.origin == me_;
      if (!mine) {
        if (origins_.empty() || origins_.back().rank != piece.origin) origins_.push_back({piece.origin, {}});
        origins_.back().units.push_back(units_.size());
      }
      Unit unit{static_cast<int>(piece.tokens.size()) * static_cast<int>(row_), {}, {}};
      unit.gathers.resize(local.size());
      std::int64_t at = 0;
      for (const std::int64_t token : piece.tokens) {
        const std::int64_t from = mine ? token * row_ : at;
        at += row_;
        places.for_each(piece.origin, token, [&](std::int64_t place) {
          unit.own.push_back({from, place * row_});
        });
        for (std::size_t r = 0; r < local.size(); ++r) {
          if (local[r] == me_ || !needs(what.routing, local[r], piece.origin, token)) continue;
          unit.gathers[r].push_back({from, static_cast<std::int64_t>(unit.gathers[r].size()) * row_});
        }
      }
      own_units_ += mine ? 1 : 0;
      units_.push_back(std::move(unit));
    }
  }

  void plan_handed(const DispatchCase& what) {
    const Places places(what.routing, me_);
    for (const int peer : what.nodes.on(what.nodes.node(me_))) {
      Handed handed{peer, {}};
      if (peer != me_) {
        for (const Piece& piece : pieces_of(what.routing, what.nodes, peer, most_)) {
          handed.scatters.emplace_back();
          std::int64_t from = 0;
          for (const std::int64_t token : piece.tokens) {
            if (!needs(what.routing, me_, piece.origin, token)) continue;
            places.for_each(piece.origin, token, [&](std::int64_t place) {
              handed.scatters.back().push_back({from, place * row_});
            });
            from += row_;
          }
          handed.messages += from > 0 ? 1 : 0;
        }
      }
      handed_.push_back(std::move(handed));
    }
  }

  void make_slots(const std::vector<int>& local) {
    const auto add = [&](Slot::Kind kind, std::size_t peer, std::size_t wanted, int most) {
      for (std::size_t i = 0; i < std::min(wanted, static_cast<std::size_t>(most)); ++i) {
        memory_.emplace_back(slot_bytes_, Memory::malloc);
        slots_.push_back({kind, peer, 0, memory_.back().data()});
      }
    };
    add(Slot::Kind::outgoing, 0, outgoing_.size(), kOutgoing);
    for (std::size_t o = 0; o < origins_.size(); ++o)
      add(Slot::Kind::arriving, o, origins_[o].units.size(), kFromOrigin);
    for (std::size_t r = 0; r < local.size(); ++r) {
      const auto handing = static_cast<std::size_t>(std::count_if(
          units_.begin(), units_.end(), [r](const Unit& unit) { return !unit.gathers[r].empty(); }));
      add(Slot::Kind::handing, r, handing, kInside);
      add(Slot::Kind::handed, r, handed_[r].messages, kInside);
    }
    requests_.assign(slots_.size(), MPI_REQUEST_NULL);
    indices_.resize(slots_.size());
    statuses_.resize(slots_.size());
    free_inside_.resize(local.size());
  }

  /// Gives a slot back: receives take the next message, if there is one.
  void release(std::size_t s) {
    Slot& slot = slots_[s];
    switch (slot.kind) {
      case Slot::Kind::outgoing:
        free_between_.push_back(s);
        break;
      case Slot::Kind::handing:
        free_inside_[slot.peer].push_back(s);
        break;
      case Slot::Kind::arriving: {
        Origin& origin = origins_[slot.peer];
        if (origin.posted == origin.units.size()) break;
        slot.unit = origin.units[origin.posted++];
        receive(s, units_[slot.unit].bytes, origin.rank, kBetween, between_.get());
        break;
      }
      case Slot::Kind::handed: {
        Handed& peer = handed_[slot.peer];
        if (peer.posted == peer.messages) break;
        ++peer.posted;
        receive(s, slot_bytes_, peer.rank, MPI_ANY_TAG, inside_.get());
        break;
      }
    }
  }

  void receive(std::size_t s, int bytes, int from, int tag, MPI_Comm comm) {
    check(MPI_Irecv(slots_[s].data, bytes, MPI_BYTE, from, tag, comm, &requests_[s]), "MPI_Irecv");
    ++active_;
  }

  void send(std::size_t s, const std::vector<RowCopy>& gather, const std::byte* from, int to, int tag,
            MPI_Comm comm) {
    copy_rows(gather, row_, from, slots_[s].data);
    const int bytes = static_cast<int>(gather.size()) * static_cast<int>(row_);
    check(MPI_Isend(slots_[s].data, bytes, MPI_BYTE, to, tag, comm, &requests_[s]), "MPI_Isend");
    ++active_;
  }

  void send_between() {
    while (next_outgoing_ < outgoing_.size() && !free_between_.empty()) {
      const Outgoing& message = outgoing_[next_outgoing_++];
      send(free_between_.back(), message.gather, send_, message.to, kBetween, between_.get());
      free_between_.pop_back();
    }
  }

  /// Sends a unit's rows to those ranks for which there is room. Whether that were all.
  bool hand_on(Ready& ready) {
    std::erase_if(ready.left, [&](std::size_t r) {
      if (free_inside_[r].empty()) return false;
      send(free_inside_[r].back(), units_[ready.unit].gathers[r], ready.data, handed_[r].rank,
           static_cast<int>(ready.unit), inside_.get());
      free_inside_[r].pop_back();
      return true;
    });
    return ready.left.empty();
  }

  void hand_on_all() {
    std::erase_if(ready_, [&](Ready& ready) {
      if (!hand_on(ready)) return false;
      if (ready.slot >= 0) release(static_cast<std::size_t>(ready.slot));
      return true;
    });
  }

  /// Takes a unit whose rows lie at `data`; `slot` is given back when they are not needed any more.
  void take(std::size_t u, const std::byte* data, int slot) {
    Ready ready{u, data, {}, slot};
    for (std::size_t r = 0; r < units_[u].gathers.size(); ++r) {
      if (!units_[u].gathers[r].empty()) ready.left.push_back(r);
    }
    const bool finished = hand_on(ready);
    copy_rows(units_[u].own, row_, data, recv_);
    if (!finished) {
      ready_.push_back(std::move(ready));
    } else if (slot >= 0) {
      release(static_cast<std::size_t>(slot));
    }
  }

  bool start_own_unit() {
    if (next_own_ == own_units_) return false;
    take(next_own_++, send_, -1);
    return true;
  }

  /// Deals with messages that are complete; waits for one if it `may_wait`. Whether there were any.
  bool complete(bool may_wait) {
    int done = 0;
    const int all = static_cast<int>(requests_.size());
    if (may_wait) {
      check(MPI_Waitsome(all, requests_.data(), &done, indices_.data(), statuses_.data()), "MPI_Waitsome");
    } else {
      check(MPI_Testsome(all, requests_.data(), &done, indices_.data(), statuses_.data()), "MPI_Testsome");
    }
    if (done == MPI_UNDEFINED) return false;
    active_ -= done;
    for (int i = 0; i < done; ++i) {
      const int s = indices_[static_cast<std::size_t>(i)];
      const Slot& slot = slots_[static_cast<std::size_t>(s)];
      if (slot.kind == Slot::Kind::arriving) {
        take(slot.unit, slot.data, s);
        continue;
      }
      if (slot.kind == Slot::Kind::handed) {
        const int unit = statuses_[static_cast<std::size_t>(i)].MPI_TAG;
        copy_rows(handed_[slot.peer].scatters[static_cast<std::size_t>(unit)], row_, slot.data, recv_);
      }
      release(static_cast<std::size_t>(s));
    }
    return done > 0;
  }

  std::int64_t row_;
  PieceSizes most_;
  int slot_bytes_;
  int me_;
  const std::byte* send_;
  std::byte* recv_;
  Comm between_, inside_;

  std::vector<Outgoing> outgoing_;
  std::vector<Unit> units_;  ///< this rank's own ones first
  std::size_t own_units_ = 0;
  std::vector<Origin> origins_;
  std::vector<Handed> handed_;  ///< [ranks of the node]

  std::vector<Buffer> memory_;
  std::vector<Slot> slots_;
  std::vector<MPI_Request> requests_;  ///< [slots]
  std::vector<int> indices_;
  std::vector<MPI_Status> statuses_;

  int active_ = 0;  ///< messages under way
  std::size_t next_outgoing_ = 0;
  std::size_t next_own_ = 0;
  std::vector<std::size_t> free_between_;
  std::vector<std::vector<std::size_t>> free_inside_;  ///< [ranks of the node]
  std::vector<Ready> ready_;
};

}  // namespace

std::unique_ptr<Method> make_chunked(const DispatchCase& what, const Chunks& chunks) {
  return std::make_unique<Chunked>(what, chunks);
}

}  // namespace mpix::bench
