// SPDX-License-Identifier: BSD-3-Clause
#include "api/handles.hpp"

#include "base/status.hpp"
#include "base/text.hpp"

namespace mpix::api {
namespace {

HandleTable<MPIX_Layout_s>& layouts() {
  static HandleTable<MPIX_Layout_s> table;
  return table;
}

HandleTable<MPIX_Layout_plan_s>& plans() {
  static HandleTable<MPIX_Layout_plan_s> table;
  return table;
}

}  // namespace

MPIX_Layout make_handle(LayoutRef layout) {
  MPIX_Layout_s* const handle = layouts().take();
  handle->layout = std::move(layout);
  handle->alive.store(true, std::memory_order_release);
  return handle;
}

MPIX_Layout_plan make_handle(std::shared_ptr<PlanState> state) {
  MPIX_Layout_plan_s* const handle = plans().take();
  handle->state = std::move(state);
  handle->alive.store(true, std::memory_order_release);
  return handle;
}

void free_handle(MPIX_Layout handle) noexcept {
  handle->layout.reset();
  layouts().give_back(handle);
}

void free_handle(MPIX_Layout_plan handle) noexcept {
  handle->state.reset();
  plans().give_back(handle);
}

const LayoutRef& layout_of(MPIX_Layout handle, const char* name) {
  if (handle == MPIX_LAYOUT_NULL) throw Error(Code::layout, text(name, " is MPIX_LAYOUT_NULL"));
  if (!handle->alive.load(std::memory_order_acquire)) throw Error(Code::layout, text(name, " was freed"));
  return handle->layout;
}

const std::shared_ptr<PlanState>& plan_of(MPIX_Layout_plan handle) {
  if (handle == MPIX_LAYOUT_PLAN_NULL) throw Error(Code::layout, "plan is MPIX_LAYOUT_PLAN_NULL");
  if (!handle->alive.load(std::memory_order_acquire)) throw Error(Code::layout, "plan was freed");
  return handle->state;
}

void require(const void* pointer, const char* name) {
  if (pointer == nullptr) throw Error(Code::argument, text(name, " is a null pointer"));
}

}  // namespace mpix::api
