// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_Layout_*: making, reading and freeing layouts.
#include <algorithm>
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

/// Indices where the host finds them.
class HostIndices {
 public:
  /// The arguments have not been checked: with wrong ones the indices stay where they are.
  HostIndices(int npeers, const MPI_Count counts[], const MPI_Count indices[]) : indices_(indices) {
    mpix::device::Gpus* const gpus = Process::get().gpus();
    if (gpus == nullptr || counts == nullptr || indices == nullptr) return;
    const mpix::device::Facts facts = gpus->look(indices);
    if (facts.kind != mpix::device::Kind::device) return;
    std::size_t entries = 0;
    for (int peer = 0; peer < npeers; ++peer)
      entries += static_cast<std::size_t>(std::max<MPI_Count>(counts[peer], 0));
    if (entries == 0) return;
    copy_.resize(entries);
    gpus->read(copy_.data(), indices, entries * sizeof(MPI_Count), facts);
    indices_ = copy_.data();
  }
  const MPI_Count* get() const noexcept { return indices_; }

 private:
  const MPI_Count* indices_;
  std::vector<MPI_Count> copy_;
};

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
  return create(layout, [&] {
    const HostIndices host(npeers, counts, indices);
    return mpix::build_indexed_block(npeers, counts, host.get(), block);
  });
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
