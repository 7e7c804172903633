// SPDX-License-Identifier: BSD-3-Clause
/// Wrong arguments: the class of the error, and what its string says.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>

#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

constexpr MPI_Count kHuge = std::numeric_limits<MPI_Count>::max();

/// Whether the MPI gives back the text of an error code of a class of its own; MPICH 4.0 mixes such codes up
/// with its internal ones, and the library then logs what it cannot say.
bool keeps_texts() {
  static const bool result = [] {
    int code = 0;
    return MPI_Add_error_code(MPI_ERR_ARG, &code) == MPI_SUCCESS &&
           MPI_Add_error_string(code, const_cast<char*>("a text of the test")) == MPI_SUCCESS &&
           error_text(code).find("a text of the test") != std::string::npos;
  }();
  return result;
}

/// An error of the class whose string contains all of `words`.
void expect_error(int line, int code, int expected, const std::vector<std::string>& words) {
  const std::string found = error_text(code);
  if (error_class(code) != expected)
    current().fail(__FILE__, line, text("expected an error of class ", expected, ", got ", found));
  if (code == expected && !is_open_mpi())
    return;  // MPICH cannot keep texts for classes of its own: logged instead
  if (expected <= MPI_ERR_LASTCODE && !keeps_texts()) return;
  for (const std::string& word : words)
    if (found.find(word) == std::string::npos)
      current().fail(__FILE__, line, text("\"", word, "\" is missing in the error: ", found));
}
#define FAILS(call, expected, ...) expect_error(__LINE__, (call), (expected), {__VA_ARGS__})

/// A layout without bytes for `npeers` ranks.
MPIX_Layout empty_layout(int npeers) {
  const std::vector<MPI_Count> none(static_cast<std::size_t>(npeers), 0);
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  OK(MPIX_Layout_create_v(npeers, none.data(), none.data(), MPI_BYTE, &layout));
  return layout;
}

/// A handle that was valid once.
MPIX_Layout freed_layout(int npeers) {
  MPIX_Layout layout = empty_layout(npeers);
  MPIX_Layout copy = layout;
  OK(MPIX_Layout_free(&layout));
  return copy;
}

/// The communicator still works.
void exchange_works(Case& t) {
  Running exchange(t, t.comm, {.unit = 4, .most = 50000}, true);
  exchange.run();
  exchange.verify("after errors");
}

}  // namespace

MPI_TEST(texts_of_errors_of_predefined_classes, {.sizes = {1}}) {
  if (!keeps_texts()) skip("this MPI does not keep them; only the classes are compared");
}

MPI_TEST(create_v_arguments, {.sizes = {1}}) {
  const std::array<MPI_Count, 2> counts = {1, 2}, displs = {0, 1}, negative = {3, -4}, huge = {1, kHuge};
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  FAILS(MPIX_Layout_create_v(-1, counts.data(), displs.data(), MPI_INT, &layout), MPI_ERR_ARG, "npeers",
        "-1");
  FAILS(MPIX_Layout_create_v(2, nullptr, displs.data(), MPI_INT, &layout), MPI_ERR_ARG, "counts");
  FAILS(MPIX_Layout_create_v(2, counts.data(), nullptr, MPI_INT, &layout), MPI_ERR_ARG, "displs");
  FAILS(MPIX_Layout_create_v(2, counts.data(), displs.data(), MPI_DATATYPE_NULL, &layout), MPI_ERR_TYPE,
        "type");
  FAILS(MPIX_Layout_create_v(2, counts.data(), displs.data(), MPI_INT, nullptr), MPI_ERR_ARG, "layout");
  FAILS(MPIX_Layout_create_v(2, negative.data(), displs.data(), MPI_INT, &layout), MPI_ERR_COUNT, "counts[1]",
        "-4");
  FAILS(MPIX_Layout_create_v(2, huge.data(), displs.data(), MPI_INT, &layout), MPI_ERR_COUNT, "1");
  FAILS(MPIX_Layout_create_v(2, counts.data(), huge.data(), MPI_INT, &layout), MPI_ERR_COUNT, "displs[1]");
  EXPECT(layout == MPIX_LAYOUT_NULL);
}

MPI_TEST(create_w_arguments, {.sizes = {1}}) {
  const std::array<MPI_Count, 2> counts = {1, 2}, negative = {3, -4}, huge = {kHuge / 2, kHuge / 2};
  const std::array<MPI_Aint, 2> displs = {0, 100};
  const std::array<MPI_Datatype, 2> types = {MPI_INT, MPI_DOUBLE}, null = {MPI_INT, MPI_DATATYPE_NULL};
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  FAILS(MPIX_Layout_create_w(-7, counts.data(), displs.data(), types.data(), &layout), MPI_ERR_ARG, "npeers",
        "-7");
  FAILS(MPIX_Layout_create_w(2, nullptr, displs.data(), types.data(), &layout), MPI_ERR_ARG, "counts");
  FAILS(MPIX_Layout_create_w(2, counts.data(), nullptr, types.data(), &layout), MPI_ERR_ARG, "displs");
  FAILS(MPIX_Layout_create_w(2, counts.data(), displs.data(), nullptr, &layout), MPI_ERR_ARG, "types");
  FAILS(MPIX_Layout_create_w(2, counts.data(), displs.data(), types.data(), nullptr), MPI_ERR_ARG, "layout");
  FAILS(MPIX_Layout_create_w(2, negative.data(), displs.data(), types.data(), &layout), MPI_ERR_COUNT,
        "counts[1]", "-4");
  FAILS(MPIX_Layout_create_w(2, counts.data(), displs.data(), null.data(), &layout), MPI_ERR_TYPE,
        "types[1]");
  FAILS(MPIX_Layout_create_w(2, huge.data(), displs.data(), types.data(), &layout), MPI_ERR_COUNT,
        "counts[0]");
  EXPECT(layout == MPIX_LAYOUT_NULL);
}

MPI_TEST(create_indexed_block_arguments, {.sizes = {1}}) {
  const std::array<MPI_Count, 2> counts = {1, 2}, negative = {3, -4};
  const std::array<MPI_Count, 3> indices = {0, 5, 2}, huge = {0, kHuge / 2, 2};
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  FAILS(MPIX_Layout_create_indexed_block(-1, counts.data(), indices.data(), MPI_INT, &layout), MPI_ERR_ARG,
        "npeers");
  FAILS(MPIX_Layout_create_indexed_block(2, nullptr, indices.data(), MPI_INT, &layout), MPI_ERR_ARG,
        "counts");
  FAILS(MPIX_Layout_create_indexed_block(2, counts.data(), nullptr, MPI_INT, &layout), MPI_ERR_ARG,
        "indices");
  FAILS(MPIX_Layout_create_indexed_block(2, counts.data(), indices.data(), MPI_DATATYPE_NULL, &layout),
        MPI_ERR_TYPE, "block");
  FAILS(MPIX_Layout_create_indexed_block(2, counts.data(), indices.data(), MPI_INT, nullptr), MPI_ERR_ARG,
        "layout");
  FAILS(MPIX_Layout_create_indexed_block(2, negative.data(), indices.data(), MPI_INT, &layout), MPI_ERR_COUNT,
        "counts[1]", "-4");
  FAILS(MPIX_Layout_create_indexed_block(2, counts.data(), huge.data(), MPI_INT, &layout), MPI_ERR_ARG,
        "indices", "peer 1");
  EXPECT(layout == MPIX_LAYOUT_NULL);
}

MPI_TEST(create_hindexed_arguments, {.sizes = {1}}) {
  const std::array<MPI_Count, 2> counts = {1, 2}, negative = {3, -4};
  const std::array<MPI_Count, 3> lengths = {8, 0, 9}, bad = {8, 0, -9}, huge = {8, kHuge, kHuge};
  const std::array<MPI_Aint, 3> displs = {0, 100, -100};
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  FAILS(MPIX_Layout_create_hindexed(-1, counts.data(), lengths.data(), displs.data(), &layout), MPI_ERR_ARG,
        "npeers");
  FAILS(MPIX_Layout_create_hindexed(2, nullptr, lengths.data(), displs.data(), &layout), MPI_ERR_ARG,
        "counts");
  FAILS(MPIX_Layout_create_hindexed(2, counts.data(), nullptr, displs.data(), &layout), MPI_ERR_ARG,
        "lengths");
  FAILS(MPIX_Layout_create_hindexed(2, counts.data(), lengths.data(), nullptr, &layout), MPI_ERR_ARG,
        "displs");
  FAILS(MPIX_Layout_create_hindexed(2, counts.data(), lengths.data(), displs.data(), nullptr), MPI_ERR_ARG,
        "layout");
  FAILS(MPIX_Layout_create_hindexed(2, negative.data(), lengths.data(), displs.data(), &layout),
        MPI_ERR_COUNT, "counts[1]", "-4");
  FAILS(MPIX_Layout_create_hindexed(2, counts.data(), bad.data(), displs.data(), &layout), MPI_ERR_COUNT,
        "lengths", "-9");
  EXPECT(MPIX_Layout_create_hindexed(2, counts.data(), huge.data(), displs.data(), &layout) != MPI_SUCCESS);
  EXPECT(layout == MPIX_LAYOUT_NULL);
}

MPI_TEST(an_uncommitted_type_is_refused_or_decoded, {.sizes = {1}}) {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  OK(MPI_Type_vector(3, 1, 2, MPI_INT, &type));
  const MPI_Count count = 1, displ = 0;
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  const int code = MPIX_Layout_create_v(1, &count, &displ, type, &layout);
  if (code == MPI_SUCCESS)
    OK(MPIX_Layout_free(&layout));
  else
    EXPECT_ERROR(code, MPI_ERR_TYPE);
  OK(MPI_Type_free(&type));
}

MPI_TEST(layout_handles, {.sizes = {1}}) {
  MPIX_Layout null = MPIX_LAYOUT_NULL, freed = freed_layout(3), layout = empty_layout(3);
  MPI_Count bytes = -1;
  MPI_Aint lb = -1, extent = -1;
  FAILS(MPIX_Layout_free(&null), MPIX_ERR_LAYOUT, "layout");
  FAILS(MPIX_Layout_free(&freed), MPIX_ERR_LAYOUT, "layout");
  EXPECT(MPIX_Layout_free(nullptr) != MPI_SUCCESS);
  FAILS(MPIX_Layout_get_size(MPIX_LAYOUT_NULL, 0, &bytes), MPIX_ERR_LAYOUT, "layout");
  FAILS(MPIX_Layout_get_size(freed, 0, &bytes), MPIX_ERR_LAYOUT, "layout");
  FAILS(MPIX_Layout_get_size(layout, 3, &bytes), MPI_ERR_ARG, "peer", "3");
  FAILS(MPIX_Layout_get_size(layout, -1, &bytes), MPI_ERR_ARG, "peer", "-1");
  FAILS(MPIX_Layout_get_size(layout, 0, nullptr), MPI_ERR_ARG, "bytes");
  FAILS(MPIX_Layout_get_true_extent(freed, &lb, &extent), MPIX_ERR_LAYOUT, "layout");
  FAILS(MPIX_Layout_get_true_extent(layout, nullptr, &extent), MPI_ERR_ARG, "true_lb");
  FAILS(MPIX_Layout_get_true_extent(layout, &lb, nullptr), MPI_ERR_ARG, "true_extent");
  OK(MPIX_Layout_get_true_extent(layout, &lb, &extent));
  EXPECT(lb == 0 && extent == 0);
  OK(MPIX_Layout_free(&layout));
  EXPECT(layout == MPIX_LAYOUT_NULL);
}

/// Sizes and extents against the byte maps.
MPI_TEST(layout_queries, {.sizes = {1, 3}}) {
  for (int round = 0; round < 20; ++round) {
    const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, {.unit = 4, .most = 3000}, true);
    for (const Side* side : {&layouts.send, &layouts.recv}) {
      MPI_Aint lb = 0, extent = 0;
      OK(MPIX_Layout_get_true_extent(side->layout(), &lb, &extent));
      const Range range = range_of(side->maps());
      EXPECT(lb == range.low && lb + extent == range.high, side->description(), ": ", lb, ' ', extent);
      for (int p = 0; p < t.size; ++p) {
        MPI_Count bytes = -1;
        OK(MPIX_Layout_get_size(side->layout(), p, &bytes));
        EXPECT(bytes == total(side->maps()[static_cast<std::size_t>(p)]), side->description(), ": ", bytes);
      }
    }
  }
}

MPI_TEST(exchange_arguments) {
  MPIX_Layout layout = empty_layout(t.size), more = empty_layout(t.size + 1),
              fewer = empty_layout(t.size - 1);
  MPIX_Layout freed = freed_layout(t.size);
  char buffer[8] = {};
  const std::string ours = text(t.size), others = text(t.size + 1);
  MPI_Request request = MPI_REQUEST_NULL;
  FAILS(MPIX_Alltoallv_layout(buffer, layout, buffer, layout, MPI_COMM_NULL), MPI_ERR_COMM);
  FAILS(MPIX_Alltoallv_layout(buffer, MPIX_LAYOUT_NULL, buffer, layout, t.comm), MPIX_ERR_LAYOUT,
        "sendlayout");
  FAILS(MPIX_Alltoallv_layout(buffer, layout, buffer, MPIX_LAYOUT_NULL, t.comm), MPIX_ERR_LAYOUT,
        "recvlayout");
  FAILS(MPIX_Alltoallv_layout(buffer, freed, buffer, layout, t.comm), MPIX_ERR_LAYOUT, "sendlayout");
  FAILS(MPIX_Alltoallv_layout(buffer, layout, buffer, freed, t.comm), MPIX_ERR_LAYOUT, "recvlayout");
  FAILS(MPIX_Alltoallv_layout(buffer, more, buffer, layout, t.comm), MPIX_ERR_LAYOUT, "sendlayout", ours,
        others);
  FAILS(MPIX_Alltoallv_layout(buffer, layout, buffer, more, t.comm), MPIX_ERR_LAYOUT, "recvlayout", ours,
        others);
  FAILS(MPIX_Alltoallv_layout(buffer, fewer, buffer, layout, t.comm), MPIX_ERR_LAYOUT, "sendlayout");
  FAILS(MPIX_Ialltoallv_layout(buffer, layout, buffer, layout, t.comm, nullptr), MPI_ERR_ARG, "request");
  FAILS(MPIX_Ialltoallv_layout(buffer, freed, buffer, layout, t.comm, &request), MPIX_ERR_LAYOUT,
        "sendlayout");
  FAILS(MPIX_Ialltoallv_layout(buffer, layout, buffer, layout, MPI_COMM_NULL, &request), MPI_ERR_COMM);
  exchange_works(t);
  for (MPIX_Layout* l : {&layout, &more, &fewer}) OK(MPIX_Layout_free(l));
}

MPI_TEST(null_buffers) {
  std::vector<MPI_Count> counts(static_cast<std::size_t>(t.size), 1),
      displs(static_cast<std::size_t>(t.size), 0);
  for (std::size_t p = 0; p < displs.size(); ++p) displs[p] = static_cast<MPI_Count>(p);
  MPIX_Layout layout = MPIX_LAYOUT_NULL, empty = empty_layout(t.size);
  OK(MPIX_Layout_create_v(t.size, counts.data(), displs.data(), MPI_INT, &layout));
  std::vector<int> buffer(counts.size());
  FAILS(MPIX_Alltoallv_layout(nullptr, layout, buffer.data(), layout, t.comm), MPI_ERR_BUFFER, "sendbuf");
  FAILS(MPIX_Alltoallv_layout(buffer.data(), layout, nullptr, layout, t.comm), MPI_ERR_BUFFER, "recvbuf");
  FAILS(MPIX_Alltoallv_layout(buffer.data(), layout, MPI_IN_PLACE, layout, t.comm), MPI_ERR_BUFFER,
        "recvbuf");
  OK(MPIX_Alltoallv_layout(nullptr, empty, nullptr, empty, t.comm));
  OK(MPIX_Layout_free(&layout));
  OK(MPIX_Layout_free(&empty));
  exchange_works(t);
}

MPI_TEST(plan_arguments) {
  MPIX_Layout layout = empty_layout(t.size), more = empty_layout(t.size + 1);
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL, null = MPIX_LAYOUT_PLAN_NULL;
  MPI_Request request = MPI_REQUEST_NULL;
  MPIX_Layout_stats stats = {};
  stats.size = sizeof stats;
  FAILS(MPIX_Alltoallv_layout_init(layout, layout, MPI_COMM_NULL, MPI_INFO_NULL, &plan), MPI_ERR_COMM);
  FAILS(MPIX_Alltoallv_layout_init(MPIX_LAYOUT_NULL, layout, t.comm, MPI_INFO_NULL, &plan), MPIX_ERR_LAYOUT,
        "sendlayout");
  FAILS(MPIX_Alltoallv_layout_init(layout, more, t.comm, MPI_INFO_NULL, &plan), MPIX_ERR_LAYOUT,
        "recvlayout");
  FAILS(MPIX_Alltoallv_layout_init(layout, layout, t.comm, MPI_INFO_NULL, nullptr), MPI_ERR_ARG, "plan");
  EXPECT(plan == MPIX_LAYOUT_PLAN_NULL);
  OK(MPIX_Alltoallv_layout_init(layout, layout, t.comm, MPI_INFO_NULL, &plan));
  FAILS(MPIX_Layout_plan_start(plan, nullptr, nullptr, nullptr), MPI_ERR_ARG, "request");
  FAILS(MPIX_Layout_plan_start(null, nullptr, nullptr, &request), MPIX_ERR_LAYOUT, "plan");
  FAILS(MPIX_Layout_plan_get_stats(plan, nullptr), MPI_ERR_ARG, "stats");
  FAILS(MPIX_Layout_plan_get_stats(null, &stats), MPIX_ERR_LAYOUT, "plan");
  stats.size = 3;
  FAILS(MPIX_Layout_plan_get_stats(plan, &stats), MPI_ERR_ARG, "size");
  MPIX_Layout_plan copy = plan;
  OK(MPIX_Layout_plan_free(&plan));
  stats.size = sizeof stats;
  FAILS(MPIX_Layout_plan_get_stats(copy, &stats), MPIX_ERR_LAYOUT, "plan");
  FAILS(MPIX_Layout_plan_start(copy, nullptr, nullptr, &request), MPIX_ERR_LAYOUT, "plan");
  FAILS(MPIX_Layout_plan_free(&copy), MPIX_ERR_LAYOUT, "plan");
  FAILS(MPIX_Layout_plan_free(&null), MPIX_ERR_LAYOUT, "plan");
  OK(MPIX_Layout_free(&layout));
  OK(MPIX_Layout_free(&more));
  exchange_works(t);
}

/// A bad hint on one rank must not leave the others waiting.
MPI_TEST(bad_hint_on_one_rank) {
  MPIX_Layout layout = empty_layout(t.size);
  MPI_Info info = MPI_INFO_NULL;
  OK(MPI_Info_create(&info));
  OK(MPI_Info_set(info, "mpix_layout_timeout", t.rank == 0 ? "soon" : "30"));
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  const int code = MPIX_Alltoallv_layout_init(layout, layout, t.comm, info, &plan);
  EXPECT(code != MPI_SUCCESS);
  if (t.rank == 0) FAILS(code, MPI_ERR_INFO_VALUE, "timeout", "soon");
  EXPECT(plan == MPIX_LAYOUT_PLAN_NULL);
  OK(MPI_Info_free(&info));
  OK(MPIX_Layout_free(&layout));
  exchange_works(t);
}

MPI_TEST(memory_arguments, {.sizes = {1}}) {
  void* memory = nullptr;
  int local = 0;
  FAILS(MPIX_Layout_mem_alloc(-1, MPI_INFO_NULL, &memory), MPI_ERR_ARG, "size", "-1");
  FAILS(MPIX_Layout_mem_alloc(100, MPI_INFO_NULL, nullptr), MPI_ERR_ARG, "baseptr");
  FAILS(MPIX_Layout_mem_alloc(MPI_Aint{1} << 60, MPI_INFO_NULL, &memory), MPI_ERR_NO_MEM);
  FAILS(MPIX_Layout_mem_alloc(std::numeric_limits<MPI_Aint>::max(), MPI_INFO_NULL, &memory), MPI_ERR_NO_MEM);
  FAILS(MPIX_Layout_mem_free(&local), MPI_ERR_ARG, "base");
  EXPECT(MPIX_Layout_mem_free(nullptr) != MPI_SUCCESS);
  OK(MPIX_Layout_mem_alloc(100, MPI_INFO_NULL, &memory));
  FAILS(MPIX_Layout_mem_free(static_cast<char*>(memory) + 1), MPI_ERR_ARG, "base");
  OK(MPIX_Layout_mem_free(memory));
  FAILS(MPIX_Layout_mem_free(memory), MPI_ERR_ARG, "base");
}

MPI_TEST(memory_is_zeroed_and_aligned, {.sizes = {1}}) {
  for (const MPI_Aint size : {0, 1, 100, 4097, 1 << 20}) {
    char* memory = nullptr;
    OK(MPIX_Layout_mem_alloc(size, MPI_INFO_NULL, &memory));
    REQUIRE(memory != nullptr);
    EXPECT(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
    EXPECT(std::all_of(memory, memory + size, [](char c) { return c == 0; }));
    std::fill(memory, memory + size, 'x');
    OK(MPIX_Layout_mem_free(memory));
  }
  MPI_Info info = MPI_INFO_NULL;
  OK(MPI_Info_create(&info));
  OK(MPI_Info_set(info, "mpi_minimum_memory_alignment", "65536"));
  void* memory = nullptr;
  OK(MPIX_Layout_mem_alloc(100, info, &memory));
  EXPECT(reinterpret_cast<std::uintptr_t>(memory) % 65536 == 0);
  OK(MPIX_Layout_mem_free(memory));
  OK(MPI_Info_free(&info));
}

MPI_TEST(version, {.sizes = {1}}) {
  int major = -1, minor = -1, patch = -1;
  OK(MPIX_Layout_get_version(&major, &minor, &patch));
  EXPECT(major == MPIX_LAYOUT_VERSION_MAJOR && minor == MPIX_LAYOUT_VERSION_MINOR &&
         patch == MPIX_LAYOUT_VERSION_PATCH);
}

}  // namespace mpix::test
