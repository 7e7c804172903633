// SPDX-License-Identifier: BSD-3-Clause
/// Exchanges on communicators of all kinds, several at once, and their coming and going.
#include <deque>
#include <utility>

#include "tests/support/exchange.hpp"
#include "tests/support/resources.hpp"

namespace mpix::test {
namespace {

constexpr Volume kSmall{.unit = 4, .most = 3000};
constexpr Volume kLarge{.unit = 64, .most = 300000};

/// A communicator that is freed at the end of the scope.
class Scoped {
 public:
  explicit Scoped(MPI_Comm comm) : comm_(comm) { OK(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN)); }
  Scoped(Scoped&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
  Scoped& operator=(Scoped&&) = delete;
  ~Scoped() {
    if (comm_ != MPI_COMM_NULL) OK(MPI_Comm_free(&comm_));
  }
  MPI_Comm get() const { return comm_; }

 private:
  MPI_Comm comm_;
};

Scoped dup(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  OK(MPI_Comm_dup(comm, &copy));
  return Scoped(copy);
}

Scoped split(MPI_Comm comm, int color, int key) {
  MPI_Comm part = MPI_COMM_NULL;
  OK(MPI_Comm_split(comm, color, key, &part));
  return Scoped(part);
}

void exchange_on(Case& t, MPI_Comm comm, const char* what) {
  for (const Volume& volume : {kSmall, kLarge}) {
    Running exchange(t, comm, volume, true);
    exchange.run();
    exchange.verify(what);
  }
}

}  // namespace

MPI_TEST(duplicates) {
  const Scoped first = dup(t.comm), second = dup(first.get());
  exchange_on(t, second.get(), "duplicate of a duplicate");
  exchange_on(t, first.get(), "duplicate");
  exchange_on(t, t.comm, "original");
}

/// A communicator is duplicated after it has been used: nothing that the library keeps with it may be shared.
MPI_TEST(duplicate_of_a_used_one) {
  exchange_on(t, t.comm, "original");
  const Scoped copy = dup(t.comm);
  exchange_on(t, copy.get(), "duplicate");
  exchange_on(t, t.comm, "original again");
}

MPI_TEST(reversed_ranks) {
  const Scoped reversed = split(t.comm, 0, -t.rank);
  exchange_on(t, reversed.get(), "reversed");
  exchange_on(t, t.comm, "in order");
}

MPI_TEST(splits) {
  const Scoped half = split(t.comm, t.rank % 2, t.rank);
  const Scoped thirds = split(t.comm, t.rank % 3, t.rank * 7 % 5);
  exchange_on(t, half.get(), "halves");
  exchange_on(t, thirds.get(), "thirds");
}

MPI_TEST(split_by_node) {
  MPI_Comm node = MPI_COMM_NULL;
  OK(MPI_Comm_split_type(t.comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
  const Scoped owner(node);
  exchange_on(t, node, "node");
}

MPI_TEST(comm_self) {
  exchange_on(t, MPI_COMM_SELF, "MPI_COMM_SELF");
  const Scoped copy = dup(MPI_COMM_SELF);
  exchange_on(t, copy.get(), "copy of MPI_COMM_SELF");
}

MPI_TEST(comm_world, {.sizes = {8}}) {
  exchange_on(t, MPI_COMM_WORLD, "MPI_COMM_WORLD");
}

MPI_TEST(cartesian) {
  int dims[2] = {0, 0};
  const int periods[2] = {1, 0};
  OK(MPI_Dims_create(t.size, 2, dims));
  MPI_Comm grid = MPI_COMM_NULL;
  OK(MPI_Cart_create(t.comm, 2, dims, periods, 1, &grid));
  const Scoped owner(grid);
  exchange_on(t, grid, "cartesian");
}

MPI_TEST(several_in_flight) {
  std::vector<Scoped> comms;
  for (int i = 0; i < 3; ++i) comms.push_back(dup(t.comm));
  comms.push_back(split(t.comm, 0, -t.rank));
  for (int round = 0; round < 3; ++round) {
    std::deque<Running> exchanges;
    for (const Scoped& comm : comms) exchanges.emplace_back(t, comm.get(), kLarge);
    std::vector<MPI_Request> requests;
    for (Running& exchange : exchanges) {
      exchange.start();
      requests.push_back(exchange.request);
    }
    OK(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE));
    for (Running& exchange : exchanges) exchange.verify("several communicators");
  }
}

/// The exchanges of two communicators are begun in opposite order by even and odd ranks, as MPI allows for
/// nonblocking collectives on different communicators.
MPI_TEST(begun_in_opposite_order) {
  const Scoped a = dup(t.comm), b = dup(t.comm);
  Running warm_a(t, a.get(), kSmall), warm_b(t, b.get(), kSmall);
  warm_a.run();
  warm_b.run();
  Running one(t, a.get(), kLarge), two(t, b.get(), kLarge);
  Running& first = t.rank % 2 == 0 ? one : two;
  Running& second = t.rank % 2 == 0 ? two : one;
  first.start();
  second.start();
  OK(MPI_Wait(&second.request, MPI_STATUS_IGNORE));
  OK(MPI_Wait(&first.request, MPI_STATUS_IGNORE));
  one.verify("first communicator");
  two.verify("second communicator");
}

MPI_TEST(made_and_freed_many_times, {.sizes = {1, 2, 3}, .timeout = 240}) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kSmall, false);
  Data data(t.comm, t.own, layouts);
  const auto once = [&] {
    const Scoped copy = dup(t.comm);
    OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(), layouts.recv.layout(),
                             copy.get()));
  };
  const int rounds = t.size > 3 ? 60 : 200;
  for (int i = 0; i < 20; ++i) once();
  const Resources before = resources();
  for (int i = 0; i < rounds; ++i) once();
  const Resources after = resources();
  data.verify("last of many communicators");
  EXPECT(after.descriptors <= before.descriptors + 2 && after.mappings <= before.mappings + 8 &&
             after.threads <= before.threads,
         "before ", to_text(before), ", after ", rounds, " communicators ", to_text(after));
}

MPI_TEST(intercommunicator_is_refused, {.sizes = {2, 3, 8}}) {
  const Scoped half = split(t.comm, t.rank == 0 ? 0 : 1, t.rank);
  MPI_Comm inter = MPI_COMM_NULL;
  OK(MPI_Intercomm_create(half.get(), 0, t.comm, t.rank == 0 ? 1 : 0, 5, &inter));
  const Scoped owner(inter);
  const std::vector<MPI_Count> none(static_cast<std::size_t>(t.size), 0);
  MPIX_Layout layout = MPIX_LAYOUT_NULL;
  OK(MPIX_Layout_create_v(t.size, none.data(), none.data(), MPI_BYTE, &layout));
  const int code = MPIX_Alltoallv_layout(nullptr, layout, nullptr, layout, inter);
  EXPECT(error_class(code) == MPI_ERR_COMM, error_text(code));
  const bool has_text = code != MPI_ERR_COMM || is_open_mpi();  // MPICH keeps no texts for classes of its own
  EXPECT(!has_text || error_text(code).find("intercomm") != std::string::npos, error_text(code));
  MPI_Request request = MPI_REQUEST_NULL;
  EXPECT_ERROR(MPIX_Ialltoallv_layout(nullptr, layout, nullptr, layout, inter, &request), MPI_ERR_COMM);
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  EXPECT_ERROR(MPIX_Alltoallv_layout_init(layout, layout, inter, MPI_INFO_NULL, &plan), MPI_ERR_COMM);
  OK(MPIX_Layout_free(&layout));
}

}  // namespace mpix::test
