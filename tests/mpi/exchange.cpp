// SPDX-License-Identifier: BSD-3-Clause
/// Blocking exchanges of random layouts, whose shapes differ between the two sides, every byte compared.
#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

void exchange_once(Case& t, const Layouts& layouts, InPlace in_place, const char* what) {
  Data data(t.comm, t.own, layouts, in_place);
  watchdog_phase(what);
  OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                           t.comm));
  watchdog_phase("comparing");
  data.verify(what);
}

void random_exchanges(Case& t, int rounds, const Volume& volume, bool nested, const char* what) {
  for (int round = 0; round < rounds; ++round) {
    const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, nested);
    exchange_once(t, layouts, InPlace::no, what);
  }
}

/// Layouts where rank r of t.comm sends `send[p]` and receives `recv[p]`, all by hindexed.
Layouts layouts_of(std::vector<ByteMap> send, std::vector<ByteMap> recv) {
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "send");
  layouts.recv = side_of_maps(std::move(recv), "recv");
  return layouts;
}

std::vector<ByteMap> no_bytes(const Case& t) {
  return std::vector<ByteMap>(static_cast<std::size_t>(t.size));
}

}  // namespace

MPI_TEST(small_nested_types) {
  random_exchanges(t, 12, {.unit = 1, .most = 300}, true, "small nested");
}

MPI_TEST(common_units) {
  for (const std::int64_t unit : {4, 8, 24, 48, 144, 720})
    random_exchanges(t, 2, {.unit = unit, .most = 20000}, true, "units");
}

MPI_TEST(byte_granularity) {
  random_exchanges(t, 6, {.unit = 1, .most = 5000}, true, "bytes");
}

MPI_TEST(medium_sizes) {
  random_exchanges(t, 3, {.unit = 16, .most = 300000}, false, "medium");
}

MPI_TEST(around_the_inline_limit) {
  for (std::int64_t most : {1, 16, 40, 64, 120, 128, 136, 256, 448, 512, 1024, 2048, 4096})
    random_exchanges(t, 1, {.unit = most < 4 ? 1 : most / 4, .most = most, .density = 100}, false, "inline");
}

MPI_TEST(sizes_next_to_powers_of_two) {
  for (int power = 12; power <= 19; ++power)
    for (const int delta : {-1, 0, 1}) {
      const std::int64_t bytes = (std::int64_t{1} << power) + delta;
      const Volume volume{.unit = bytes, .most = bytes, .density = 60, .exact = true};
      random_exchanges(t, 1, volume, false, "powers of two");
    }
}

MPI_TEST(several_megabytes, {.sizes = {1, 2, 3}}) {
  random_exchanges(t, 2, {.unit = 256, .most = 6 << 20, .density = 90}, false, "megabytes");
}

MPI_TEST(sparse_traffic) {
  random_exchanges(t, 8, {.unit = 8, .most = 4000, .density = 15}, true, "sparse");
}

MPI_TEST(nothing_at_all) {
  for (int round = 0; round < 5; ++round)
    random_exchanges(t, 1, {.unit = 1, .most = 100, .density = 0}, true, "nothing");
}

MPI_TEST(only_to_self) {
  std::vector<ByteMap> send = no_bytes(t), recv = no_bytes(t);
  const auto me = static_cast<std::size_t>(t.rank);
  send[me] = {{40, 100000}, {-7, 3}};
  recv[me] = {{100003, 50000}, {0, 50003}};
  exchange_once(t, layouts_of(std::move(send), std::move(recv)), InPlace::no, "self");
}

MPI_TEST(one_large_contiguous_block, {.sizes = {2, 3}}) {
  std::vector<ByteMap> send = no_bytes(t), recv = no_bytes(t);
  const auto next = static_cast<std::size_t>((t.rank + 1) % t.size);
  const auto last = static_cast<std::size_t>((t.rank + t.size - 1) % t.size);
  constexpr std::int64_t bytes = (24 << 20) + 13;
  send[next] = {{0, bytes}};
  recv[last] = {{0, bytes}};
  exchange_once(t, layouts_of(std::move(send), std::move(recv)), InPlace::no, "large contiguous");
}

MPI_TEST(rows_of_one_byte) {
  std::vector<ByteMap> send = no_bytes(t), recv = no_bytes(t);
  constexpr std::int64_t rows = 20000;
  for (int p = 0; p < t.size; ++p)
    for (std::int64_t row = 0; row < rows; ++row) {
      send[static_cast<std::size_t>(p)].push_back({(row * 7919 % rows) * t.size + p, 1});
      recv[static_cast<std::size_t>(p)].push_back({(p * rows + row) * 3 - 1000, 1});
    }
  exchange_once(t, layouts_of(std::move(send), std::move(recv)), InPlace::no, "one-byte rows");
}

/// Everybody sends the same block to everybody: blocks of a send layout may overlap.
MPI_TEST(one_block_to_all) {
  std::vector<ByteMap> send = no_bytes(t), recv = no_bytes(t);
  constexpr std::int64_t bytes = 70000;
  for (std::size_t p = 0; p < send.size(); ++p) {
    send[p] = {{static_cast<std::int64_t>(p), bytes}};
    recv[p] = {{static_cast<std::int64_t>(p) * (bytes + 1), bytes}};
  }
  exchange_once(t, layouts_of(std::move(send), std::move(recv)), InPlace::no, "one block to all");
}

/// One rank to all, then all to one: loads that differ much between ranks.
MPI_TEST(one_sided_loads) {
  for (const bool from_root : {true, false}) {
    std::vector<ByteMap> send = no_bytes(t), recv = no_bytes(t);
    constexpr std::int64_t bytes = 400000;
    for (int p = 0; p < t.size; ++p) {
      if ((from_root ? t.rank : p) == 0) send[static_cast<std::size_t>(p)] = {{p * bytes, bytes}};
      if ((from_root ? p : t.rank) == 0) recv[static_cast<std::size_t>(p)] = {{p * bytes, bytes}};
    }
    exchange_once(t, layouts_of(std::move(send), std::move(recv)), InPlace::no,
                  from_root ? "scatter" : "gather");
  }
}

MPI_TEST(in_place) {
  for (int round = 0; round < 8; ++round) {
    const Volume volume{
        .unit = round % 2 == 0 ? 1 : 48, .most = round < 6 ? 3000 : 200000, .symmetric = true};
    const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, round < 6);
    Data data(t.comm, t.own, layouts, InPlace::yes);
    OK(MPIX_Alltoallv_layout(MPI_IN_PLACE, round % 2 == 0 ? MPIX_LAYOUT_NULL : layouts.send.layout(),
                             data.recvbuf(), layouts.recv.layout(), t.comm));
    data.verify("in place");
  }
}

MPI_TEST(in_place_megabytes, {.sizes = {2, 3}}) {
  const Volume volume{.unit = 1000, .most = 5 << 20, .density = 100, .symmetric = true};
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, false);
  exchange_once(t, layouts, InPlace::yes, "in place, megabytes");
}

/// As much to every rank: all staging memory may be held by peers that wait for others.
MPI_TEST(in_place_dense) {
  const Volume volume{.most = 300000, .density = 100, .symmetric = true, .exact = true};
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, false);
  for (int round = 0; round < 3; ++round) exchange_once(t, layouts, InPlace::yes, "in place, dense");
}

/// The same layouts and buffers again and again, with new contents.
MPI_TEST(repeated) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, {.unit = 8, .most = 60000}, true);
  Data data(t.comm, t.own, layouts);
  for (int round = 0; round < 6; ++round) {
    OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                             t.comm));
    data.verify("repeated");
    data.refresh();
  }
}

/// Every pair of memory kinds, and every pair of constructors.
MPI_TEST(memory_kinds_and_constructors, {.sizes = {2, 3}}) {
  const std::vector<MemoryKind> kinds = {MemoryKind::ordinary, MemoryKind::mapped, MemoryKind::inside};
  for (const std::int64_t most : {500, 50000, 1500000})
    for (const MemoryKind send : kinds)
      for (const MemoryKind recv : kinds) {
        const Layouts layouts =
            random_layouts(t.comm, t.shared.bits(), t.own, {.unit = 20, .most = most}, false);
        Data data(t.comm, t.own, layouts, InPlace::no, send, recv);
        OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                                 t.comm));
        data.verify("memory kinds");
      }
}

}  // namespace mpix::test
