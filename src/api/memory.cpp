// SPDX-License-Identifier: BSD-3-Clause
/// MPIX_Layout_mem_alloc, MPIX_Layout_mem_free and MPIX_Layout_get_version.
#include <mpix_layout.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "api/errors.hpp"
#include "api/handles.hpp"
#include "api/info.hpp"
#include "api/process.hpp"
#include "base/text.hpp"

using mpix::Code;
using mpix::Error;
using mpix::Status;
using namespace mpix::api;

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLargestAlignment = std::size_t{1} << 30;

std::size_t alignment_from(MPI_Info info) {
  std::size_t alignment = kAlignment;
  for_each_info(info, [&](const std::string& key, const std::string& value) {
    if (key != "mpi_minimum_memory_alignment") return;
    std::size_t wanted = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), wanted);
    if (error != std::errc{} || *end != '\0' || !std::has_single_bit(wanted) || wanted > kLargestAlignment)
      throw Error(Code::info,
                  mpix::text(key, "=", value, ": expected a power of two of at most ", kLargestAlignment));
    alignment = std::max(alignment, wanted);
  });
  return alignment;
}

}  // namespace

int MPIX_Layout_mem_alloc(MPI_Aint size, MPI_Info info, void* baseptr) {
  return guarded([&]() -> Status {
    Process& process = Process::get();
    make_error_classes();
    require(baseptr, "baseptr");
    if (size < 0) return {Code::argument, mpix::text("size is ", size, "; expected 0 or more bytes")};
    const std::byte* const memory =
        process.allocator().allocate(static_cast<std::size_t>(size), alignment_from(info));
    std::memcpy(baseptr, &memory, sizeof memory);
    return {};
  });
}

int MPIX_Layout_mem_free(void* base) {
  return guarded([&]() -> Status {
    make_error_classes();
    if (Process::get().allocator().free(base)) return {};
    return {Code::argument,
            mpix::text("base ", base, " was not given out by MPIX_Layout_mem_alloc, or was freed")};
  });
}

int MPIX_Layout_get_version(int* major, int* minor, int* patch) {
  if (major != nullptr) *major = MPIX_LAYOUT_VERSION_MAJOR;
  if (minor != nullptr) *minor = MPIX_LAYOUT_VERSION_MINOR;
  if (patch != nullptr) *patch = MPIX_LAYOUT_VERSION_PATCH;
  return MPI_SUCCESS;
}
