// SPDX-License-Identifier: BSD-3-Clause
/// Move-only owners of the handles that the benchmarks make.
#pragma once

#include <mpi.h>
#include <mpix_layout.h>

#include <utility>

#include "benchmarks/common/check.hpp"

namespace mpix::bench {

/// Owns a handle of type `H`, empty where it equals what `Traits::null()` gives.
template <class H, class Traits>
class Owner {
 public:
  Owner() = default;
  explicit Owner(H handle) : handle_(handle) {}
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, Traits::null())) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() {
    if (handle_ != Traits::null()) Traits::free(handle_);
  }
  H get() const { return handle_; }
  /// For functions that give the handle through a pointer; the owner must be empty.
  H* out() { return &handle_; }

 private:
  H handle_ = Traits::null();
};

struct CommTraits {
  static MPI_Comm null() { return MPI_COMM_NULL; }
  static void free(MPI_Comm& comm) { check_noexcept(MPI_Comm_free(&comm), "MPI_Comm_free"); }
};
struct TypeTraits {
  static MPI_Datatype null() { return MPI_DATATYPE_NULL; }
  static void free(MPI_Datatype& type) { check_noexcept(MPI_Type_free(&type), "MPI_Type_free"); }
};
struct LayoutTraits {
  static MPIX_Layout null() { return MPIX_LAYOUT_NULL; }
  static void free(MPIX_Layout& layout) { check_noexcept(MPIX_Layout_free(&layout), "MPIX_Layout_free"); }
};
struct PlanTraits {
  static MPIX_Layout_plan null() { return MPIX_LAYOUT_PLAN_NULL; }
  static void free(MPIX_Layout_plan& plan) {
    check_noexcept(MPIX_Layout_plan_free(&plan), "MPIX_Layout_plan_free");
  }
};

using Comm = Owner<MPI_Comm, CommTraits>;
using Type = Owner<MPI_Datatype, TypeTraits>;
using Layout = Owner<MPIX_Layout, LayoutTraits>;
using Plan = Owner<MPIX_Layout_plan, PlanTraits>;

}  // namespace mpix::bench
