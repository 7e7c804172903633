// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_Layout_*: making, reading and freeing layouts.
#include <algorithm>
#include <span>
#include <vector>

#include "api/errors.hpp"
#include "api/handles.hpp"
#include "api/process.hpp"
#include "base/text.hpp"
#include "layout/build.hpp"

using mpix::Code;
using mpix::Error;
using mpix::LayoutRef;
using mpix::Status;
using namespace mpix::api;

namespace {

template <typename Build>
int create(MPIX_Layout* layout, Build&& build) noexcept {
  return guarded([&]() -> Status {
    Process::get();
    make_error_classes();
    require(layout, "layout");
    *layout = MPIX_LAYOUT_NULL;
    *layout = make_handle(build());
    return {};
  });
}

/// The GPU whose memory has `indices`; host where none has.
mpix::device::Facts look(const MPI_Count indices[]) {
  mpix::device::Gpus* const gpus = Process::get().gpus();
  return gpus != nullptr && indices != nullptr ? gpus->look(indices) : mpix::device::Facts{};
}

/// `indices` times `extent`, in the memory of the GPU.
mpix::GpuList list_on_gpu(const MPI_Count indices[], const mpix::device::Facts& facts, std::int64_t count,
                          std::int64_t extent) {
  static_assert(sizeof(MPI_Count) == sizeof(std::int64_t));
  const auto made = Process::get().gpus()->make_offsets(reinterpret_cast<const std::int64_t*>(indices), count,
                                                        extent, facts);
  return {made->place(), made->least(), made->most(), [made](std::span<std::int64_t> to) { made->read(to); }};
}

/// A copy of the indices of the GPU. The arguments have not been checked; where they are wrong it may be
/// empty.
std::vector<MPI_Count> copy_to_host(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                                    const mpix::device::Facts& facts) {
  std::size_t entries = 0;
  for (int peer = 0; counts != nullptr && peer < npeers; ++peer)
    entries += static_cast<std::size_t>(std::max<MPI_Count>(counts[peer], 0));
  std::vector<MPI_Count> copy(entries);
  if (entries > 0) Process::get().gpus()->read(copy.data(), indices, entries * sizeof(MPI_Count), facts);
  return copy;
}

LayoutRef indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[], MPI_Datatype block) {
  const mpix::device::Facts facts = look(indices);
  if (facts.kind != mpix::device::Kind::device)
    return mpix::build_indexed_block(npeers, counts, indices, block);
  LayoutRef layout = mpix::build_indexed_on_gpu(
      npeers, counts, block,
      [&](std::int64_t count, std::int64_t extent) { return list_on_gpu(indices, facts, count, extent); });
  if (layout != nullptr) return layout;
  const std::vector<MPI_Count> copy = copy_to_host(npeers, counts, indices, facts);
  return mpix::build_indexed_block(npeers, counts, copy.data(), block);
}

}  // namespace

int MPIX_Layout_create_v(int npeers, const MPI_Count counts[], const MPI_Count displs[], MPI_Datatype type,
                         MPIX_Layout* layout) {
  return create(layout, [&] { return mpix::build_v(npeers, counts, displs, type); });
}

int MPIX_Layout_create_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[],
                         const MPI_Datatype types[], MPIX_Layout* layout) {
  return create(layout, [&] { return mpix::build_w(npeers, counts, displs, types); });
}

int MPIX_Layout_create_indexed_block(int npeers, const MPI_Count counts[], const MPI_Count indices[],
                                     MPI_Datatype block, MPIX_Layout* layout) {
  return create(layout, [&] { return indexed_block(npeers, counts, indices, block); });
}

int MPIX_Layout_create_hindexed(int npeers, const MPI_Count counts[], const MPI_Count lengths[],
                                const MPI_Aint displs[], MPIX_Layout* layout) {
  return create(layout, [&] { return mpix::build_hindexed(npeers, counts, lengths, displs); });
}

int MPIX_Layout_free(MPIX_Layout* layout) {
  return guarded([&]() -> Status {
    make_error_classes();
    require(layout, "layout");
    layout_of(*layout, "layout");
    free_handle(*layout);
    *layout = MPIX_LAYOUT_NULL;
    return {};
  });
}

int MPIX_Layout_get_size(MPIX_Layout layout, int peer, MPI_Count* bytes) {
  return guarded([&]() -> Status {
    make_error_classes();
    const LayoutRef& found = layout_of(layout, "layout");
    require(bytes, "bytes");
    if (peer < 0 || peer >= found->npeers())
      return {Code::argument, mpix::text("peer is ", peer, "; the layout has ", found->npeers(), " peers")};
    const auto* const blocks = found->find(peer);
    *bytes = blocks != nullptr ? blocks->bytes : 0;
    return {};
  });
}

int MPIX_Layout_get_true_extent(MPIX_Layout layout, MPI_Aint* true_lb, MPI_Aint* true_extent) {
  return guarded([&]() -> Status {
    make_error_classes();
    const LayoutRef& found = layout_of(layout, "layout");
    require(true_lb, "true_lb");
    require(true_extent, "true_extent");
    *true_lb = found->true_lb();
    *true_extent = found->true_ub() - found->true_lb();
    return {};
  });
}
