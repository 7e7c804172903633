// SPDX-License-Identifier: BSD-3-Clause
/// Exchanges of memory of GPUs: what they cost, in the order of streams, and beside what the application
/// does. The other programs exchange memory of all kinds as well, where MPIX_TEST_GPU says so.
#include <chrono>
#include <thread>

#include "tests/support/exchange.hpp"
#include "tests/support/gpu.hpp"

namespace mpix::test {
namespace {

constexpr Volume kLarge{.unit = 64, .most = 400000, .density = 100};

void need_gpu() {
  if (gpu::share() == 0) skip("MPIX_TEST_GPU is not set");
}

MPIX_Layout_plan make_plan(const Case& t, const Layouts& layouts) {
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  OK(MPIX_Alltoallv_layout_init(layouts.send.layout(), layouts.recv.layout(), t.comm, MPI_INFO_NULL, &plan));
  REQUIRE(plan != MPIX_LAYOUT_PLAN_NULL);
  return plan;
}

void run(MPIX_Layout_plan plan, Data& data) {
  MPI_Request request = MPI_REQUEST_NULL;
  OK(MPIX_Layout_plan_start(plan, data.sendbuf(), data.recvbuf(), &request));
  OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
}

MPIX_Layout_stats stats_of(MPIX_Layout_plan plan) {
  MPIX_Layout_stats stats = {};
  stats.size = sizeof stats;
  OK(MPIX_Layout_plan_get_stats(plan, &stats));
  return stats;
}

/// Rows of `bytes` for every rank and from every rank, `rows` each.
Layouts rows_of(const Case& t, std::int64_t rows, std::int64_t bytes) {
  std::vector<ByteMap> send(static_cast<std::size_t>(t.size)), recv(send.size());
  for (std::size_t p = 0; p < send.size(); ++p)
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto peer = static_cast<std::int64_t>(p);
      send[p].push_back({(row * t.size + peer) * (bytes + 16), bytes});
      recv[p].push_back({(peer * rows + (rows - 1 - row)) * (bytes + 32), bytes});
    }
  Layouts layouts;
  layouts.send = side_of_maps(std::move(send), "rows");
  layouts.recv = side_of_maps(std::move(recv), "rows");
  return layouts;
}

/// Ranks of the case on this node.
int ranks_here(const Case& t) {
  MPI_Comm node = MPI_COMM_NULL;
  int size = 0;
  OK(MPI_Comm_split_type(t.comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
  OK(MPI_Comm_size(node, &size));
  OK(MPI_Comm_free(&node));
  return size;
}

}  // namespace

MPI_TEST(every_pair_of_memory_kinds, {.sizes = {1, 2, 3}}) {
  need_gpu();
  const std::vector<MemoryKind> kinds = {MemoryKind::ordinary, MemoryKind::mapped,  MemoryKind::device,
                                         MemoryKind::pooled,   MemoryKind::managed, MemoryKind::pinned,
                                         MemoryKind::elsewhere};
  for (const std::int64_t most : {100, 40000, 1500000})
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

/// What a destroyed context had is gone for the library too, and the next one is a new one.
MPI_TEST(contexts_come_and_go, {.sizes = {1, 2, 3}}) {
  need_gpu();
  for (int round = 0; round < 4; ++round) {
    for (const MemoryKind send : {MemoryKind::elsewhere, MemoryKind::device}) {
      const Layouts layouts =
          random_layouts(t.comm, t.shared.bits(), t.own, {.unit = 20, .most = 300000}, false);
      Data data(t.comm, t.own, layouts, InPlace::no, send, MemoryKind::elsewhere);
      for (int again = 0; again < 2; ++again) {
        OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                                 t.comm));
        data.verify("contexts");
      }
    }
    gpu::drop_other_context();
  }
}

/// Inside a node GPUs read each other's memory; kernels do not become more with more rows.
MPI_TEST(imports_and_launches, {.sizes = {2, 3, 5}}) {
  need_gpu();
  const int here = ranks_here(t);
  std::int64_t launches[2] = {};
  for (const std::int64_t rows : {8, 800}) {
    const Layouts layouts = rows_of(t, rows, 1024);
    MPIX_Layout_plan plan = make_plan(t, layouts);
    Data data(t.comm, t.own, layouts, InPlace::no, MemoryKind::device, MemoryKind::device);
    run(plan, data);
    data.verify("first");
    OK(MPI_Barrier(t.comm));  // all have left word how to import
    const MPIX_Layout_stats before = stats_of(plan);
    data.refresh();
    run(plan, data);
    data.verify("imported");
    const MPIX_Layout_stats after = stats_of(plan);
    EXPECT(after.gpu_imported_bytes - before.gpu_imported_bytes == (here - 1) * rows * 1024,
           after.gpu_imported_bytes - before.gpu_imported_bytes);
    EXPECT(after.shm_ring_bytes == before.shm_ring_bytes);
    EXPECT(after.gpu_plan_bytes > 0);
    if (here == t.size) {
      EXPECT(after.gpu_bounced_bytes == before.gpu_bounced_bytes);
      EXPECT(after.chunks - before.chunks == t.size - 1, after.chunks - before.chunks);
      launches[rows > 8] = after.gpu_launches - before.gpu_launches;
    }
    OK(MPIX_Layout_plan_free(&plan));
  }
  EXPECT(launches[0] <= t.size + 1 && launches[1] <= t.size + 1, launches[0], " and ", launches[1]);
}

/// Where memory cannot be imported it goes through pinned staging memory, without further copies on the host.
MPI_TEST(staging, {.sizes = {2, 3}}) {
  need_gpu();
  const Layouts layouts = rows_of(t, 500, 2048);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  for (int round = 0; round < 3; ++round) {
    Data data(t.comm, t.own, layouts, InPlace::no, MemoryKind::pooled, MemoryKind::device);
    run(plan, data);
    data.verify("staged");
  }
  const MPIX_Layout_stats stats = stats_of(plan);
  EXPECT(stats.gpu_imported_bytes == 0);
  EXPECT(stats.shm_ring_bytes + stats.net_bytes == 3 * (t.size - 1) * 500 * 2048, stats.shm_ring_bytes);
  if (stats.net_bytes == 0) EXPECT(stats.gpu_bounced_bytes == 0, stats.gpu_bounced_bytes);
  OK(MPIX_Layout_plan_free(&plan));
}

/// Memory is freed and allocated again between exchanges, at the same addresses as a rule.
MPI_TEST(reused_addresses, {.sizes = {2, 3}}) {
  need_gpu();
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  for (int round = 0; round < 12; ++round) {
    const MemoryKind kind = round % 4 == 3 ? MemoryKind::managed : MemoryKind::device;
    Data data(t.comm, t.own, layouts, InPlace::no, kind, kind);
    OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                             t.comm));
    data.verify(text("round ", round));
  }
}

namespace {

constexpr std::int64_t kIndexedRows = 700;  // for each peer

/// Rows of `bytes` in a random order, of which a sender repeats some, by indices in memory of a GPU.
Side rows_by_gpu_indices(Case& t, std::int64_t bytes, bool sends) {
  const auto peers = static_cast<std::size_t>(t.size);
  const std::vector<MPI_Count> counts(peers, kIndexedRows);
  std::vector<MPI_Count> indices(peers * kIndexedRows);
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<MPI_Count>(sends ? i / 2 : i);
  t.own.shuffle(indices);
  std::vector<ByteMap> maps(peers);
  for (std::size_t i = 0; i < indices.size(); ++i)
    maps[i / kIndexedRows].push_back({indices[i] * (bytes + 16), bytes});
  const std::size_t length = indices.size() * sizeof(MPI_Count);
  void* const there = gpu::allocate(gpu::Memory::device, length);
  gpu::upload(there, indices.data(), length);
  MPI_Datatype run = MPI_DATATYPE_NULL, row = MPI_DATATYPE_NULL;
  OK(MPI_Type_contiguous(static_cast<int>(bytes), MPI_BYTE, &run));
  OK(MPI_Type_create_resized(run, 0, bytes + 16, &row));
  OK(MPI_Type_commit(&row));
  MPIX_Layout made = MPIX_LAYOUT_NULL;
  OK(MPIX_Layout_create_indexed_block(t.size, counts.data(), static_cast<const MPI_Count*>(there), row,
                                      &made));
  OK(MPI_Type_free(&row));
  OK(MPI_Type_free(&run));
  gpu::release(gpu::Memory::device, there);
  return Side(made, maps, text("rows of ", bytes, " bytes by indices on a GPU"));
}

}  // namespace

/// Indices in memory of a GPU say the same as on the host, whoever uses them.
MPI_TEST(indices_on_the_gpu, {.sizes = {1, 2, 3, 5}}) {
  need_gpu();
  const std::vector<MemoryKind> kinds = {MemoryKind::device, MemoryKind::ordinary, MemoryKind::managed};
  for (const std::int64_t bytes : {8, 96, 1000})
    for (const MemoryKind send : kinds)
      for (const MemoryKind recv : kinds) {
        Layouts layouts;
        layouts.send = rows_by_gpu_indices(t, bytes, true);
        layouts.recv = rows_by_gpu_indices(t, bytes, false);
        for (int round = 0; round < 2; ++round) {
          // The second time the layouts are used by the other side's memory as well.
          Data data(t.comm, t.own, layouts, InPlace::no, round == 0 ? send : recv, round == 0 ? recv : send);
          OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(),
                                   layouts.recv.layout(), t.comm));
          data.verify("indices on a GPU");
        }
      }
}

/// The host has no copy of the lists where the exchange is between GPUs of one node.
MPI_TEST(indices_stay_on_the_gpu, {.sizes = {1, 2, 3}}) {
  need_gpu();
  Layouts layouts;
  layouts.send = rows_by_gpu_indices(t, 96, true);
  layouts.recv = rows_by_gpu_indices(t, 96, false);
  MPI_Aint low = -1, extent = -1;
  OK(MPIX_Layout_get_true_extent(layouts.recv.layout(), &low, &extent));
  EXPECT(low == 0 && extent == (t.size * kIndexedRows - 1) * 112 + 96, low, " and ", extent);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  const std::int64_t lists = 2 * t.size * kIndexedRows * 8;
  for (const MemoryKind kind : {MemoryKind::device, MemoryKind::ordinary}) {
    Data data(t.comm, t.own, layouts, InPlace::no, kind, kind);
    run(plan, data);
    data.verify("planned by indices on a GPU");
    const MPIX_Layout_stats stats = stats_of(plan);
    if (kind == MemoryKind::ordinary) EXPECT(stats.plan_bytes > lists, stats.plan_bytes);
    if (kind == MemoryKind::device && ranks_here(t) == t.size)
      EXPECT(stats.plan_bytes < lists / 2, stats.plan_bytes);
  }
  OK(MPIX_Layout_plan_free(&plan));
}

/// Operations on a stream, an exchange, operations on what has come: nobody waits on the host in between.
MPI_TEST(on_stream) {
  need_gpu();
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  gpu::Stream stream;
  for (int round = 0; round < 4; ++round) {
    Data data(t.comm, t.own, layouts, InPlace::no, MemoryKind::device, MemoryKind::device);
    const std::span<const std::byte> before = data.received();
    const std::vector<std::byte> sent(data.sent().begin(), data.sent().end());
    const std::vector<std::byte> nothing(sent.size());
    std::vector<std::byte> after(before.size());
    data.overwrite_sent(nothing);
    stream.copy(data.sent_there(), sent.data(), sent.size());
    MPI_Request request = MPI_REQUEST_NULL;
    OK(MPIX_Layout_plan_start_on_stream(plan, data.sendbuf(), data.recvbuf(), stream.get(), &request));
    stream.copy(after.data(), data.received_there(), after.size());
    if (round % 2 == 0) {  // outside of MPI
      stream.synchronize();
      EXPECT(std::equal(after.begin(), after.end(), data.expected().begin()), "what followed on the stream");
      OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
    } else {
      OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
      stream.synchronize();
      EXPECT(std::equal(after.begin(), after.end(), data.expected().begin()), "what followed on the stream");
    }
    data.verify("on a stream");
  }
  OK(MPIX_Layout_plan_free(&plan));
}

/// What has to be set up for a GPU may wait for streams, which wait for exchanges.
MPI_TEST(first_use_behind_a_stream_that_waits, {.sizes = {2, 3}}) {
  need_gpu();
  MPI_Comm comms[2];
  for (MPI_Comm& comm : comms) OK(MPI_Comm_dup(t.comm, &comm));
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  const Layouts few = rows_of(t, 1, 8);
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  OK(MPIX_Alltoallv_layout_init(layouts.send.layout(), layouts.recv.layout(), comms[0], MPI_INFO_NULL,
                                &plan));
  gpu::Stream streams[2];
  Data host(t.comm, t.own, layouts, InPlace::no, MemoryKind::ordinary, MemoryKind::ordinary);
  Data device(t.comm, t.own, layouts, InPlace::no, MemoryKind::device, MemoryKind::device);
  Data small(t.comm, t.own, few, InPlace::no, MemoryKind::device, MemoryKind::device);
  MPI_Request requests[2];
  const auto start = [&](Data& data, int k) {
    if (t.rank == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the others' streams wait
    OK(MPIX_Layout_plan_start_on_stream(plan, data.sendbuf(), data.recvbuf(), streams[k].get(),
                                        &requests[k]));
  };
  start(host, 0);
  OK(MPIX_Alltoallv_layout(small.sendbuf(), few.send.layout(), small.recvbuf(), few.recv.layout(), comms[1]));
  start(device, 1);
  OK(MPI_Waitall(2, requests, MPI_STATUSES_IGNORE));
  host.verify("host memory");
  small.verify("a few bytes");
  device.verify("device memory");
  OK(MPIX_Layout_plan_free(&plan));
  for (MPI_Comm& comm : comms) OK(MPI_Comm_free(&comm));
}

/// Some ranks follow streams, others do not, and several exchanges are under way.
MPI_TEST(streams_of_some_ranks, {.sizes = {2, 3, 5}}) {
  need_gpu();
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  gpu::Stream streams[2];
  for (int round = 0; round < 3; ++round) {
    Data one(t.comm, t.own, layouts), two(t.comm, t.own, layouts);
    MPI_Request requests[2];
    Data* const data[2] = {&one, &two};
    for (int k = 0; k < 2; ++k)
      OK(t.own.chance(50)
             ? MPIX_Layout_plan_start_on_stream(plan, data[k]->sendbuf(), data[k]->recvbuf(),
                                                streams[k].get(), &requests[k])
             : MPIX_Layout_plan_start(plan, data[k]->sendbuf(), data[k]->recvbuf(), &requests[k]));
    OK(MPI_Waitall(2, requests, MPI_STATUSES_IGNORE));
    one.verify("first");
    two.verify("second");
  }
  OK(MPIX_Layout_plan_free(&plan));
}

/// A stream that waits for an exchange which fails goes on.
MPI_TEST(failing_exchange_lets_the_stream_go, {.sizes = {2}}) {
  need_gpu();
  std::vector<ByteMap> send(2), recv(2);
  send[static_cast<std::size_t>(1 - t.rank)] = {{0, 1000}};
  recv[static_cast<std::size_t>(1 - t.rank)] = {{0, 1000}};
  Layouts layouts;
  layouts.send = side_of_maps(send, "send");
  layouts.recv = side_of_maps(recv, "recv");
  MPIX_Layout_plan plan = make_plan(t, layouts);
  gpu::Stream stream;
  MPI_Request request = MPI_REQUEST_NULL;
  EXPECT_ERROR(MPIX_Layout_plan_start_on_stream(plan, nullptr, nullptr, stream.get(), &request),
               MPI_ERR_BUFFER);
  stream.synchronize();
  EXPECT(stream.idle());
  OK(MPIX_Layout_plan_free(&plan));
}

/// Without a GPU such a start is refused, and nothing is lost.
MPI_TEST(no_stream_without_a_gpu, {.sizes = {1, 2}}) {
  if (gpu::share() > 0) skip("there is a GPU");
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  Data data(t.comm, t.own, layouts);
  MPI_Request request = MPI_REQUEST_NULL;
  EXPECT_ERROR(MPIX_Layout_plan_start_on_stream(plan, data.sendbuf(), data.recvbuf(), nullptr, &request),
               MPI_ERR_ARG);
  EXPECT(request == MPI_REQUEST_NULL);
  run(plan, data);
  data.verify("afterwards");
  OK(MPIX_Layout_plan_free(&plan));
}

}  // namespace mpix::test
