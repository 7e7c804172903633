// SPDX-License-Identifier: BSD-3-Clause
/// The objects behind the public handles. Their memory is never given back but used again, as late as
/// possible, so that a handle that was freed can be recognised.
#pragma once

#include <mpix_layout.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "api/plan_state.hpp"
#include "layout/layout.hpp"

struct MPIX_Layout_s {
  std::atomic<bool> alive{false};
  MPIX_Layout_s* next_free = nullptr;
  mpix::LayoutRef layout;
};

struct MPIX_Layout_plan_s {
  std::atomic<bool> alive{false};
  MPIX_Layout_plan_s* next_free = nullptr;
  std::shared_ptr<mpix::api::PlanState> state;
};

namespace mpix::api {

/// Gives out handle objects and takes them back. Thread-safe.
template <typename Object>
class HandleTable {
 public:
  Object* take() {
    const std::lock_guard guard(mutex_);
    if (free_ < kKeptFree) return &objects_.emplace_back();
    Object* const object = first_free_;
    first_free_ = object->next_free;
    --free_;
    return object;
  }
  void give_back(Object* object) noexcept {
    object->alive.store(false, std::memory_order_release);
    const std::lock_guard guard(mutex_);
    object->next_free = nullptr;
    (free_ == 0 ? first_free_ : last_free_->next_free) = object;
    last_free_ = object;
    ++free_;
  }

 private:
  /// Freed handles that are not used again, so that they stay recognisable for a while.
  static constexpr std::size_t kKeptFree = 64;

  std::mutex mutex_;
  std::deque<Object> objects_;
  std::size_t free_ = 0;  ///< length of the queue of freed objects
  Object* first_free_ = nullptr;
  Object* last_free_ = nullptr;
};

/// A new handle of `layout`.
MPIX_Layout make_handle(LayoutRef layout);
MPIX_Layout_plan make_handle(std::shared_ptr<PlanState> state);
void free_handle(MPIX_Layout handle) noexcept;
void free_handle(MPIX_Layout_plan handle) noexcept;

/// What a handle refers to. `name` is the argument's, for messages. Throw Error (layout) for null and freed
/// ones.
const LayoutRef& layout_of(MPIX_Layout handle, const char* name);
const std::shared_ptr<PlanState>& plan_of(MPIX_Layout_plan handle);

/// Throws Error (argument) where an argument called `name` is null.
void require(const void* pointer, const char* name);

}  // namespace mpix::api
