// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/type_generator.hpp"

#include <functional>
#include <numeric>

namespace mpix::test {

namespace {

/// Calls `visit` with the index in each dimension for every element of an array, in memory order.
template <typename Visit>
void for_each_element(const std::vector<std::int64_t>& sizes, int order, Visit visit) {
  const std::int64_t total =
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
  std::vector<std::int64_t> index(sizes.size());
  for (std::int64_t linear = 0; linear < total; ++linear) {
    std::int64_t rest = linear;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const std::size_t dim = order == MPI_ORDER_C ? sizes.size() - 1 - i : i;  // fastest first
      index[dim] = rest % sizes[dim];
      rest /= sizes[dim];
    }
    visit(linear, index);
  }
}

}  // namespace

Node Generator::subarray(int depth) {
  const Node old = child(depth);
  const auto dims = static_cast<std::size_t>(pick(1, 4));
  const int order = chance(50) ? MPI_ORDER_C : MPI_ORDER_FORTRAN;
  std::vector<std::int64_t> sizes, subsizes, starts;
  std::int64_t fit = many(old, 60);
  for (std::size_t i = 0; i < dims; ++i) {
    subsizes.push_back(pick(1, std::min<std::int64_t>(4, fit)));
    fit = std::max<std::int64_t>(1, fit / subsizes.back());
    sizes.push_back(subsizes.back() + (chance(40) ? 0 : pick(0, 2)));
    starts.push_back(pick(0, sizes.back() - subsizes.back()));
  }
  TypeMap map;
  map.lb_marker = 0;
  map.ub_marker =
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()) * old.extent();
  TypeMap data = old.map;
  data.lb_marker.reset();
  data.ub_marker.reset();
  for_each_element(sizes, order, [&](std::int64_t linear, const std::vector<std::int64_t>& index) {
    for (std::size_t i = 0; i < dims; ++i)
      if (index[i] < starts[i] || index[i] >= starts[i] + subsizes[i]) return;
    map.append(data, linear * old.extent());
  });
  MPI_Datatype type;
  const auto rank = static_cast<int>(dims);
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_subarray_c(rank, as<MPI_Count>(sizes).data(), as<MPI_Count>(subsizes).data(),
                                       as<MPI_Count>(starts).data(), order, old.type, &type));
  else
#endif
    CHECKED(MPI_Type_create_subarray(rank, as<int>(sizes).data(), as<int>(subsizes).data(),
                                     as<int>(starts).data(), order, old.type, &type));
  return finish(type, std::move(map), {&old},
                std::string(order == MPI_ORDER_C ? "subarray_c(" : "subarray_f(") + list(sizes) +
                    list(subsizes) + list(starts) + old.text + ")");
}

Node Generator::darray(int depth) {
  Node old = child(depth);
  if (old.map.entries.empty()) old = leaf();  // Open MPI 4.1 refuses distributed arrays without any data
  const auto dims = static_cast<std::size_t>(pick(1, 3));
  const int order = chance(50) ? MPI_ORDER_C : MPI_ORDER_FORTRAN;
  std::vector<std::int64_t> sizes;
  std::vector<int> kinds, arguments, grid, block;
  std::int64_t fit = many(old, 60);
  int ranks = 1;
  for (std::size_t i = 0; i < dims; ++i) {
    sizes.push_back(pick(1, std::min<std::int64_t>(9, fit)));
    fit = std::max<std::int64_t>(1, fit / sizes.back());
    const auto size = static_cast<int>(sizes.back());
    const auto kind = pick(0, 2);
    kinds.push_back(kind == 0   ? MPI_DISTRIBUTE_NONE
                    : kind == 1 ? MPI_DISTRIBUTE_BLOCK
                                : MPI_DISTRIBUTE_CYCLIC);
    grid.push_back(kind == 0 ? 1 : static_cast<int>(pick(1, 3)));
    const int even = (size + grid.back() - 1) / grid.back();
    const bool preset = kind == 0 || chance(40);
    const int given = static_cast<int>(kind == 1 ? pick(even, even + 2) : pick(1, 4));
    arguments.push_back(preset ? MPI_DISTRIBUTE_DFLT_DARG : given);
    block.push_back(kind == 0 ? size : !preset ? given : kind == 1 ? even : 1);
    ranks *= grid.back();
  }
  const auto rank = static_cast<int>(pick(0, ranks - 1));
  std::vector<std::int64_t> place(dims);
  int rest = rank;
  for (std::size_t i = dims; i-- > 0;) {  // the process grid is in row-major order whatever the array's order
    place[i] = rest % grid[i];
    rest /= grid[i];
  }
  TypeMap map;
  map.lb_marker = 0;
  map.ub_marker =
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()) * old.extent();
  TypeMap data = old.map;
  data.lb_marker.reset();
  data.ub_marker.reset();
  for_each_element(sizes, order, [&](std::int64_t linear, const std::vector<std::int64_t>& index) {
    for (std::size_t i = 0; i < dims; ++i)
      if (index[i] / block[i] % grid[i] != place[i]) return;
    map.append(data, linear * old.extent());
  });
  MPI_Datatype type;
  const auto rank_dims = static_cast<int>(dims);
#ifdef HAVE_MPI_TYPE_GET_CONTENTS_C
  if (large())
    CHECKED(MPI_Type_create_darray_c(ranks, rank, rank_dims, as<MPI_Count>(sizes).data(), kinds.data(),
                                     arguments.data(), grid.data(), order, old.type, &type));
  else
#endif
    CHECKED(MPI_Type_create_darray(ranks, rank, rank_dims, as<int>(sizes).data(), kinds.data(),
                                   arguments.data(), grid.data(), order, old.type, &type));
  return finish(type, std::move(map), {&old},
                std::string(order == MPI_ORDER_C ? "darray_c(" : "darray_f(") + std::to_string(rank) +
                    list(sizes) + list(kinds) + list(arguments) + list(grid) + old.text + ")");
}

}  // namespace mpix::test
