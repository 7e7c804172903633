// SPDX-License-Identifier: BSD-3-Clause
/// The objects behind the public handles. Their memory is never given back but used again, so that a handle
/// that was freed can be recognised.
#pragma once

#include <mpix_layout.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "api/plan_state.hpp"
#include "layout/layout.hpp"

struct MPIX_Layout_s {
  std::atomic<bool> alive{false};
  mpix::LayoutRef layout;
};

struct MPIX_Layout_plan_s {
  std::atomic<bool> alive{false};
  std::shared_ptr<mpix::api::PlanState> state;
};

namespace mpix::api {

/// Gives out handle objects and takes them back. Thread-safe.
template <typename Object>
class HandleTable {
 public:
  Object* take() {
    const std::lock_guard guard(mutex_);
    if (free_.empty()) {
      free_.reserve(objects_.size() + 1);  // so that give_back cannot fail
      free_.push_back(&objects_.emplace_back());
    }
    Object* const object = free_.back();
    free_.pop_back();
    return object;
  }
  void give_back(Object* object) noexcept {
    object->alive.store(false, std::memory_order_release);
    const std::lock_guard guard(mutex_);
    free_.push_back(object);
  }

 private:
  std::mutex mutex_;
  std::deque<Object> objects_;
  std::vector<Object*> free_;
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
