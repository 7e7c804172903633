// SPDX-License-Identifier: BSD-3-Clause
/// Offsets, extents, counts and messages beyond 2^31 and 2^32.
#include <sys/mman.h>

#include <algorithm>

#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

/// Address space of which only the touched pages take memory.
class Reserved {
 public:
  explicit Reserved(std::int64_t bytes)
      : bytes_(static_cast<std::size_t>(bytes)),
        memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                     0)) {
    REQUIRE(memory_ != MAP_FAILED);
  }
  Reserved(const Reserved&) = delete;
  Reserved& operator=(const Reserved&) = delete;
  ~Reserved() { munmap(memory_, bytes_); }
  std::byte* data() const { return static_cast<std::byte*>(memory_); }

 private:
  std::size_t bytes_;
  void* memory_;
};

std::byte content(int from, int to, std::int64_t k) {
  return static_cast<std::byte>(from * 37 + to * 11 + k * 3 + 1);
}

}  // namespace

/// Few bytes over many GiB: blocks 600 MiB apart in one buffer, 1 GiB in the other, placed backwards.
MPI_TEST(extents_beyond_4_gib, {.sizes = {2, 3}}) {
  constexpr std::int64_t blocks = 9, block = 1000, send_stride = std::int64_t{600} << 20,
                         recv_stride = std::int64_t{1} << 30;
  const Reserved send(blocks * send_stride), recv(blocks * recv_stride);
  std::vector<ByteMap> out(static_cast<std::size_t>(t.size)), in(out.size());
  for (int p = 0; p < t.size; ++p)
    for (std::int64_t b = 0; b < blocks; ++b) {
      out[static_cast<std::size_t>(p)].push_back({b * send_stride + p * block, block});
      in[static_cast<std::size_t>(p)].push_back({(blocks - 1 - b) * recv_stride + p * 3 * block, block});
    }
  for (int p = 0; p < t.size; ++p)
    for (std::int64_t k = 0; k < blocks * block; ++k)
      send.data()[(k / block) * send_stride + p * block + k % block] = content(t.rank, p, k);
  const Side sends = side_of_maps(std::move(out), "send"), recvs = side_of_maps(std::move(in), "recv");
  OK(MPIX_Alltoallv_layout(send.data(), sends.layout(), recv.data(), recvs.layout(), t.comm));
  std::int64_t wrong = 0;
  for (int p = 0; p < t.size; ++p)
    for (std::int64_t k = 0; k < blocks * block; ++k)
      wrong += recv.data()[(blocks - 1 - k / block) * recv_stride + p * 3 * block + k % block] !=
               content(p, t.rank, k);
  EXPECT(wrong == 0, wrong, " wrong bytes");
}

/// The same by displacements of create_v and indices of create_indexed_block.
MPI_TEST(counts_beyond_2_31, {.sizes = {2}}) {
  constexpr MPI_Count far = (MPI_Count{1} << 32) + 12345;
  const Reserved send(far + (1 << 20)), recv(far * 2 + (1 << 20));
  const std::vector<MPI_Count> counts = {5000, 5000}, displs = {far, 17};
  const std::vector<MPI_Count> pairs = {2, 2}, indices = {0, far / 2500 * 2, far / 2500, 5};
  MPI_Datatype block = MPI_DATATYPE_NULL;
  OK(MPI_Type_contiguous(2500, MPI_BYTE, &block));
  OK(MPI_Type_commit(&block));
  MPIX_Layout sends = MPIX_LAYOUT_NULL, recvs = MPIX_LAYOUT_NULL;
  OK(MPIX_Layout_create_v(2, counts.data(), displs.data(), MPI_BYTE, &sends));
  OK(MPIX_Layout_create_indexed_block(2, pairs.data(), indices.data(), block, &recvs));
  OK(MPI_Type_free(&block));
  for (std::size_t p = 0; p < 2; ++p)
    for (std::int64_t k = 0; k < 5000; ++k)
      send.data()[displs[p] + k] = content(t.rank, static_cast<int>(p), k);
  OK(MPIX_Alltoallv_layout(send.data(), sends, recv.data(), recvs, t.comm));
  std::int64_t wrong = 0;
  for (std::size_t p = 0; p < 2; ++p)
    for (std::size_t k = 0; k < 5000; ++k)
      wrong += recv.data()[indices[2 * p + k / 2500] * 2500 + static_cast<std::int64_t>(k % 2500)] !=
               content(static_cast<int>(p), t.rank, static_cast<std::int64_t>(k));
  EXPECT(wrong == 0, wrong, " wrong bytes");
  OK(MPIX_Layout_free(&sends));
  OK(MPIX_Layout_free(&recvs));
}

/// Layouts whose sizes do not fit 32 bits are described right even where nobody has that memory.
MPI_TEST(sizes_beyond_2_32, {.sizes = {1}}) {
  const MPI_Count count = MPI_Count{3} << 31, displ = -(MPI_Count{1} << 40);
  MPI_Datatype pair = MPI_DATATYPE_NULL;
  OK(MPI_Type_vector(2, 1, 2, MPI_DOUBLE, &pair));
  OK(MPI_Type_commit(&pair));
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  OK(MPIX_Layout_create_v(1, &count, &displ, pair, &layout));
  OK(MPI_Type_free(&pair));
  MPI_Count bytes = 0;
  MPI_Aint lb = 0, extent = 0;
  OK(MPIX_Layout_get_size(layout, 0, &bytes));
  OK(MPIX_Layout_get_true_extent(layout, &lb, &extent));
  EXPECT(bytes == 16 * count, bytes);
  EXPECT(lb == 24 * displ && extent == 24 * count, lb, ' ', extent);
  OK(MPIX_Layout_free(&layout));
}

/// One message of more than 2^31 bytes each way, contiguous to strided, in ordinary memory and in shared
/// memory.
MPI_TEST(message_beyond_2_31, {.sizes = {2}, .timeout = 300, .long_running = true}) {
  constexpr std::int64_t row = 2200, rows = 1000003, bytes = row * rows, gap = 8;
  const std::size_t peer = static_cast<std::size_t>(1 - t.rank);
  for (const MemoryKind kind : {MemoryKind::ordinary, MemoryKind::mapped}) {
    std::vector<MPI_Count> counts(2), displs(2), row_counts(2);
    counts[peer] = bytes;
    row_counts[peer] = rows;
    MPI_Datatype line = MPI_DATATYPE_NULL, spaced = MPI_DATATYPE_NULL;
    OK(MPI_Type_contiguous(static_cast<int>(row), MPI_BYTE, &line));
    OK(MPI_Type_create_resized(line, 0, row + gap, &spaced));
    OK(MPI_Type_commit(&spaced));
    MPIX_Layout sends = MPIX_LAYOUT_NULL, recvs = MPIX_LAYOUT_NULL;
    OK(MPIX_Layout_create_v(2, counts.data(), displs.data(), MPI_BYTE, &sends));
    OK(MPIX_Layout_create_v(2, row_counts.data(), displs.data(), spaced, &recvs));
    OK(MPI_Type_free(&spaced));
    OK(MPI_Type_free(&line));
    Buffer out(t.own, kind, 0, bytes), in(t.own, kind, 0, rows * (row + gap));
    fill_pattern({out.base(), static_cast<std::size_t>(bytes)}, static_cast<std::uint64_t>(t.rank));
    OK(MPIX_Alltoallv_layout(out.base(), sends, in.base(), recvs, t.comm));
    // The other rank's pattern replaces this rank's, so that no third buffer is needed.
    fill_pattern({out.base(), static_cast<std::size_t>(bytes)}, peer);
    std::int64_t wrong = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      wrong += !std::equal(out.base() + r * row, out.base() + (r + 1) * row, in.base() + r * (row + gap));
    EXPECT(wrong == 0, wrong, " of ", rows, " rows are wrong, ", name_of(kind));
    OK(MPIX_Layout_free(&sends));
    OK(MPIX_Layout_free(&recvs));
  }
}

}  // namespace mpix::test
