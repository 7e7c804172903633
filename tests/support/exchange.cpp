// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/exchange.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace mpix::test {
namespace {

void must(int code, const char* what) {
  if (code != MPI_SUCCESS) throw std::runtime_error(text(what, ": ", error_text(code)));
}

Range reach(const Side& side) {
  return range_of(side.maps());
}

Buffer make_buffer(Rng& rng, MemoryKind kind, const Side& side, bool wanted) {
  const Range range = wanted ? reach(side) : Range{};
  return Buffer(rng, kind, range.low, range.high);
}

std::vector<std::int64_t> totals_of(MPI_Comm comm, std::uint64_t seed, const Volume& volume, bool sending) {
  int rank = 0, size = 0;
  must(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  must(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  std::vector<std::int64_t> totals;
  for (int p = 0; p < size; ++p)
    totals.push_back(sending ? bytes_between(seed, volume, rank, p) : bytes_between(seed, volume, p, rank));
  return totals;
}

}  // namespace

std::int64_t bytes_between(std::uint64_t seed, const Volume& volume, int from, int to) {
  if (volume.symmetric && from > to) std::swap(from, to);
  Rng rng(mix(mix(seed, static_cast<std::uint64_t>(from)), static_cast<std::uint64_t>(to)));
  if (!rng.chance(volume.density)) return 0;
  if (volume.exact) return volume.most;
  return volume.unit * rng.magnitude(volume.most / volume.unit);
}

Layouts random_layouts(MPI_Comm comm, std::uint64_t seed, Rng& rng, const Volume& volume, bool nested) {
  Layouts layouts;
  SideOptions options;
  options.nested = nested;
  layouts.send = random_side(rng, totals_of(comm, seed, volume, true), options);
  options.receive = true;
  layouts.recv = random_side(rng, totals_of(comm, seed, volume, false), options);
  if (overlaps(layouts.recv.maps())) throw std::logic_error("the test made overlapping receive blocks");
  return layouts;
}

std::vector<std::byte> exchange_bytes(MPI_Comm comm, const std::vector<std::vector<std::byte>>& out) {
  const std::size_t n = out.size();
  std::vector<int> send_counts(n), send_displs(n), recv_counts(n), recv_displs(n);
  std::vector<std::byte> flat, in;
  for (std::size_t p = 0; p < n; ++p) {
    send_counts[p] = static_cast<int>(out[p].size());
    send_displs[p] = static_cast<int>(flat.size());
    flat.insert(flat.end(), out[p].begin(), out[p].end());
  }
  if (flat.size() > std::numeric_limits<int>::max()) throw std::length_error("too much for the oracle");
  must(MPI_Alltoall(send_counts.data(), 1, MPI_INT, recv_counts.data(), 1, MPI_INT, comm), "MPI_Alltoall");
  std::partial_sum(recv_counts.begin(), recv_counts.end() - 1, recv_displs.begin() + 1);
  in.resize(static_cast<std::size_t>(recv_displs.back()) + static_cast<std::size_t>(recv_counts.back()));
  must(MPI_Alltoallv(flat.data(), send_counts.data(), send_displs.data(), MPI_BYTE, in.data(),
                     recv_counts.data(), recv_displs.data(), MPI_BYTE, comm),
       "MPI_Alltoallv");
  return in;
}

Data::Data(MPI_Comm comm, Rng& rng, const Layouts& layouts, InPlace in_place)
    : Data(comm, rng, layouts, in_place, random_kind(rng), random_kind(rng)) {}

Data::Data(MPI_Comm comm, Rng& rng, const Layouts& layouts, InPlace in_place, MemoryKind send,
           MemoryKind recv)
    : comm_(comm),
      in_place_(in_place),
      seed_(rng.bits()),
      layouts_(layouts),
      send_(make_buffer(rng, send, layouts.send, in_place == InPlace::no)),
      recv_(make_buffer(rng, recv, layouts.recv, true)) {
  refresh();
}

void Data::refresh() {
  seed_ = mix(seed_, 1);
  const bool in_place = in_place_ == InPlace::yes;
  send_.fill(mix(seed_, 2));
  reset();
  std::vector<std::vector<std::byte>> out;
  for (const ByteMap& map : in_place ? layouts_.recv.maps() : layouts_.send.maps())
    pack(in_place ? recv_.host_base() : send_.host_base(), map, out.emplace_back());
  const std::vector<std::byte> in = exchange_bytes(comm_, out);
  expected_.assign(recv_.bytes().begin(), recv_.bytes().end());
  std::span<const std::byte> rest(in);
  for (const ByteMap& map : layouts_.recv.maps()) rest = unpack(recv_.base_in(expected_.data()), map, rest);
  if (!rest.empty()) throw std::logic_error("the test's two sides differ in size");
}

bool Data::complete() const {
  return std::memcmp(recv_.bytes().data(), expected_.data(), expected_.size()) == 0;
}

void Data::reset() {
  recv_.fill(mix(seed_, 3));
}

std::string Data::place_of(std::int64_t offset) const {
  for (std::size_t p = 0; p < layouts_.recv.maps().size(); ++p) {
    std::int64_t before = 0;
    for (const Segment& s : layouts_.recv.maps()[p]) {
      if (offset >= s.offset && offset < s.offset + s.length)
        return text("byte ", before + offset - s.offset, " of ", total(layouts_.recv.maps()[p]),
                    " from rank ", p);
      before += s.length;
    }
  }
  return "in no block";
}

bool Data::compare(std::span<const std::byte> found, std::span<const std::byte> expected,
                   const std::string& what) const {
  if (found.empty() || std::memcmp(found.data(), expected.data(), found.size()) == 0) return true;
  const auto at = std::mismatch(found.begin(), found.end(), expected.begin()).first - found.begin();
  const std::byte* const copy = found.data();
  const std::int64_t offset = at - (recv_.base_in(const_cast<std::byte*>(copy)) - copy);
  const auto bad = std::inner_product(found.begin(), found.end(), expected.begin(), std::int64_t{0},
                                      std::plus<>(), [](std::byte a, std::byte b) { return a != b ? 1 : 0; });
  EXPECT(false, what, ": receive buffer (", name_of(recv_.kind()), ") differs in ", bad,
         " bytes, first at offset ", offset, ", ", place_of(offset), "; send buffer ", name_of(send_.kind()),
         "; send layout ", layouts_.send.description(), "; receive layout ", layouts_.recv.description());
  return false;
}

void Data::verify(const std::string& what) {
  compare(recv_.bytes(), expected_, what);
  std::vector<std::byte> sent(send_.bytes().size());
  fill_pattern(sent, mix(seed_, 2));
  EXPECT(std::memcmp(sent.data(), send_.bytes().data(), sent.size()) == 0, what,
         ": the send buffer was changed");
}

void Data::verify_outside(const std::string& what) {
  const std::span<const std::byte> now = recv_.bytes();
  std::vector<std::byte> before(now.size());
  fill_pattern(before, mix(seed_, 3));
  for (const ByteMap& map : layouts_.recv.maps())
    for (const Segment& s : map)
      std::memcpy(recv_.base_in(before.data()) + s.offset, recv_.host_base() + s.offset,
                  static_cast<std::size_t>(s.length));
  compare(now, before, what + ", outside the blocks");
}

Running::Running(Case& t, MPI_Comm communicator, const Volume& volume, bool nested)
    : comm(communicator),
      layouts(random_layouts(communicator, t.shared.bits(), t.own, volume, nested)),
      data(communicator, t.own, layouts) {}

void Running::start() {
  OK(MPIX_Ialltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                            comm, &request));
}

void Running::run() {
  OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                           comm));
}

}  // namespace mpix::test
