// SPDX-License-Identifier: BSD-3-Clause
/// Planned exchanges: many starts, several in flight, lifetimes, statistics, hints.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <deque>

#include "tests/support/exchange.hpp"

namespace mpix::test {
namespace {

constexpr Volume kSmall{.unit = 4, .most = 3000};
constexpr Volume kLarge{.unit = 64, .most = 400000};

MPIX_Layout_plan make_plan(const Case& t, const Layouts& layouts, MPI_Info info = MPI_INFO_NULL) {
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  OK(MPIX_Alltoallv_layout_init(layouts.send.layout(), layouts.recv.layout(), t.comm, info, &plan));
  REQUIRE(plan != MPIX_LAYOUT_PLAN_NULL);
  return plan;
}

void run(MPIX_Layout_plan plan, Data& data) {
  MPI_Request request = MPI_REQUEST_NULL;
  OK(MPIX_Layout_plan_start(plan, data.sendbuf(), data.recvbuf(), &request));
  OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
}

std::int64_t sum(const std::vector<ByteMap>& maps) {
  std::int64_t bytes = 0;
  for (const ByteMap& map : maps) bytes += total(map);
  return bytes;
}

std::int64_t peers(const std::vector<ByteMap>& maps) {
  return std::count_if(maps.begin(), maps.end(), [](const ByteMap& map) { return total(map) > 0; });
}

std::int64_t runs(const std::vector<ByteMap>& maps) {
  std::int64_t all = 0;
  for (const ByteMap& map : maps) all += joined_runs(map);
  return all;
}

MPIX_Layout_stats stats_of(MPIX_Layout_plan plan) {
  MPIX_Layout_stats stats = {};
  stats.size = sizeof stats;
  OK(MPIX_Layout_plan_get_stats(plan, &stats));
  return stats;
}

std::int64_t moved(const MPIX_Layout_stats& s) {
  return s.self_bytes + s.shm_inline_bytes + s.shm_ring_bytes + s.shm_mapped_bytes + s.shm_attach_bytes +
         s.net_bytes + s.net_saved_bytes + s.gpu_imported_bytes;
}

}  // namespace

MPI_TEST(started_on_many_buffers) {
  for (const Volume& volume : {kSmall, kLarge}) {
    const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, true);
    MPIX_Layout_plan plan = make_plan(t, layouts);
    for (int round = 0; round < 5; ++round) {
      Data data(t.comm, t.own, layouts);
      run(plan, data);
      data.verify(text("start ", round));
    }
    OK(MPIX_Layout_plan_free(&plan));
    EXPECT(plan == MPIX_LAYOUT_PLAN_NULL);
  }
}

MPI_TEST(started_on_one_buffer_again) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  Data data(t.comm, t.own, layouts);
  for (int round = 0; round < 5; ++round) {
    run(plan, data);
    data.verify(text("start ", round));
    data.refresh();
  }
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(planned_in_place) {
  const Volume volume{.unit = 8, .most = 100000, .symmetric = true};
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, true);
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  OK(MPIX_Alltoallv_layout_init(layouts.recv.layout(), layouts.recv.layout(), t.comm, MPI_INFO_NULL, &plan));
  Data data(t.comm, t.own, layouts, InPlace::yes);
  for (int round = 0; round < 3; ++round) {
    MPI_Request request = MPI_REQUEST_NULL;
    OK(MPIX_Layout_plan_start(plan, MPI_IN_PLACE, data.recvbuf(), &request));
    OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
    data.verify("planned in place");
    data.refresh();
  }
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(two_plans_in_flight) {
  const Layouts one = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  const Layouts two = random_layouts(t.comm, t.shared.bits(), t.own, kSmall, true);
  MPIX_Layout_plan plans[2] = {make_plan(t, one), make_plan(t, two)};
  for (int round = 0; round < 4; ++round) {
    Data first(t.comm, t.own, one), second(t.comm, t.own, two);
    MPI_Request requests[2];
    OK(MPIX_Layout_plan_start(plans[0], first.sendbuf(), first.recvbuf(), &requests[0]));
    OK(MPIX_Layout_plan_start(plans[1], second.sendbuf(), second.recvbuf(), &requests[1]));
    OK(MPI_Waitall(2, requests, MPI_STATUSES_IGNORE));
    first.verify("first plan");
    second.verify("second plan");
  }
  for (MPIX_Layout_plan& plan : plans) OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(started_again_before_completion) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  std::deque<Data> data;
  for (int i = 0; i < 4; ++i) data.emplace_back(t.comm, t.own, layouts);
  std::vector<MPI_Request> requests(data.size());
  for (std::size_t i = 0; i < data.size(); ++i)
    OK(MPIX_Layout_plan_start(plan, data[i].sendbuf(), data[i].recvbuf(), &requests[i]));
  OK(MPI_Waitall(4, requests.data(), MPI_STATUSES_IGNORE));
  for (Data& d : data) d.verify("started again before completion");
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(freed_before_completion) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  Data data(t.comm, t.own, layouts);
  MPI_Request request = MPI_REQUEST_NULL;
  OK(MPIX_Layout_plan_start(plan, data.sendbuf(), data.recvbuf(), &request));
  OK(MPIX_Layout_plan_free(&plan));
  OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
  data.verify("plan freed before completion");
}

MPI_TEST(layouts_freed_after_init) {
  Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, true);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  OK(layouts.send.free_layout());
  OK(layouts.recv.free_layout());
  for (int round = 0; round < 2; ++round) {
    Data data(t.comm, t.own, layouts);
    run(plan, data);
    data.verify("layouts freed after init");
  }
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(communicator_freed_before_the_plan) {
  MPI_Comm copy;
  OK(MPI_Comm_dup(t.comm, &copy));
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = MPIX_LAYOUT_PLAN_NULL;
  OK(MPIX_Alltoallv_layout_init(layouts.send.layout(), layouts.recv.layout(), copy, MPI_INFO_NULL, &plan));
  Data data(t.comm, t.own, layouts);
  OK(MPI_Comm_free(&copy));
  MPI_Request request = MPI_REQUEST_NULL;
  EXPECT_ERROR(MPIX_Layout_plan_start(plan, data.sendbuf(), data.recvbuf(), &request), MPI_ERR_COMM);
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(one_shot_and_planned_mixed) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  Data planned(t.comm, t.own, layouts);
  for (int round = 0; round < 4; ++round) {
    Running blocking(t, t.comm, kSmall, true), nonblocking(t, t.comm, kLarge);
    MPI_Request request = MPI_REQUEST_NULL;
    nonblocking.start();
    OK(MPIX_Layout_plan_start(plan, planned.sendbuf(), planned.recvbuf(), &request));
    blocking.run();
    MPI_Request both[2] = {request, nonblocking.request};
    OK(MPI_Waitall(2, both, MPI_STATUSES_IGNORE));
    blocking.verify("blocking");
    nonblocking.verify("nonblocking");
    planned.verify("planned");
    planned.refresh();
  }
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(statistics) {
  for (const bool nested : {false, true}) {
    const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kLarge, nested);
    MPIX_Layout_plan plan = make_plan(t, layouts);
    MPIX_Layout_stats s = stats_of(plan);
    EXPECT(s.size == sizeof s && s.starts == 0 && s.completions == 0 && moved(s) == 0 && s.chunks == 0);
    EXPECT(s.send_bytes == sum(layouts.send.maps()), s.send_bytes);
    EXPECT(s.recv_bytes == sum(layouts.recv.maps()), s.recv_bytes);
    EXPECT(s.send_peers == peers(layouts.send.maps()), s.send_peers);
    EXPECT(s.recv_peers == peers(layouts.recv.maps()), s.recv_peers);
    EXPECT(s.send_blocks >= runs(layouts.send.maps()) && s.send_blocks <= s.send_bytes, s.send_blocks);
    EXPECT(s.recv_blocks >= runs(layouts.recv.maps()) && s.recv_blocks <= s.recv_bytes, s.recv_blocks);
    EXPECT(s.plan_bytes > 0 && s.plan_seconds >= 0 && s.plan_seconds < 60);
    Data data(t.comm, t.own, layouts);
    for (int round = 1; round <= 3; ++round) {
      MPI_Request request = MPI_REQUEST_NULL;
      OK(MPIX_Layout_plan_start(plan, data.sendbuf(), data.recvbuf(), &request));
      EXPECT(stats_of(plan).starts == round);
      OK(MPI_Wait(&request, MPI_STATUS_IGNORE));
      s = stats_of(plan);
      EXPECT(s.completions == round, s.completions);
      EXPECT(moved(s) == round * s.send_bytes, moved(s), " after ", round, " of ", s.send_bytes);
    }
    EXPECT(s.self_bytes == 3 * total(layouts.send.maps()[static_cast<std::size_t>(t.rank)]), s.self_bytes);
    OK(MPIX_Layout_plan_free(&plan));
  }
}

/// Runs of segments that do not touch are known exactly.
MPI_TEST(statistics_of_segments) {
  const auto peers_of = [&](std::int64_t first) {
    std::vector<ByteMap> maps(static_cast<std::size_t>(t.size));
    for (std::size_t p = 0; p < maps.size(); ++p)
      for (std::int64_t k = 0; k < 10; ++k)
        maps[p].push_back({first + 400 * k + 10 * static_cast<std::int64_t>(p), 5});
    return maps;
  };
  Layouts layouts;
  layouts.send = side_of_maps(peers_of(0), "send");
  layouts.recv = side_of_maps(peers_of(-3), "recv");
  MPIX_Layout_plan plan = make_plan(t, layouts);
  const MPIX_Layout_stats s = stats_of(plan);
  EXPECT(s.send_blocks == 10 * t.size && s.recv_blocks == 10 * t.size, s.send_blocks, ' ', s.recv_blocks);
  OK(MPIX_Layout_plan_free(&plan));
}

/// Short messages to the ranks of a node: one each by the direct route, one in all by the aggregated one.
MPI_TEST(messages_between_nodes) {
  const Layouts layouts =
      random_layouts(t.comm, t.shared.bits(), t.own, {.most = 40, .density = 100, .exact = true}, false);
  std::int64_t messages[2] = {};
  for (const bool aggregate : {false, true}) {
    MPI_Info info = MPI_INFO_NULL;
    OK(MPI_Info_create(&info));
    OK(MPI_Info_set(info, "mpix_layout_route", aggregate ? "aggregate" : "direct"));
    MPIX_Layout_plan plan = make_plan(t, layouts, info);
    OK(MPI_Info_free(&info));
    Data data(t.comm, t.own, layouts, InPlace::no, MemoryKind::mapped, MemoryKind::mapped);  // the host's
    for (int round = 0; round < 3; ++round) {
      data.reset();
      run(plan, data);
      data.verify(aggregate ? "aggregate" : "direct");
    }
    const MPIX_Layout_stats s = stats_of(plan);
    messages[aggregate] = s.net_messages;
    if (!aggregate) EXPECT(s.aggregated_nodes == 0 && s.net_messages * 40 == s.net_bytes, s.net_messages);
    if (s.aggregated_nodes > 0) EXPECT(s.net_messages == 3 * s.aggregated_nodes, s.net_messages);
    OK(MPIX_Layout_plan_free(&plan));
  }
  EXPECT(messages[1] <= messages[0]);
}

MPIX_Layout_plan plan_of_route(const Case& t, const Layouts& layouts, const char* route, bool keep) {
  MPI_Info info = MPI_INFO_NULL;
  OK(MPI_Info_create(&info));
  OK(MPI_Info_set(info, "mpix_layout_route", route));
  OK(MPI_Info_set(info, "mpix_layout_kept_lists", keep ? "16M" : "0"));
  OK(MPI_Info_set(info, "mpix_layout_helpers", "off"));
  MPIX_Layout_plan plan = make_plan(t, layouts, info);
  OK(MPI_Info_free(&info));
  return plan;
}

/// Forwarders keep where bytes go, so that a plan says it once, while other plans come and go.
MPI_TEST(lists_go_to_other_nodes_once) {
  const std::pair<const char*, Volume> sizes[] = {
      {"forward", kSmall}, {"forward", kLarge}, {"aggregate", {.most = 40, .density = 100, .exact = true}}};
  for (const auto& [route, volume] : sizes)
    for (const bool keep : {true, false}) {
      const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, false);
      MPIX_Layout_plan plan = plan_of_route(t, layouts, route, keep);
      Data data(t.comm, t.own, layouts);
      std::int64_t first = 0;
      for (int round = 1; round <= 4; ++round) {
        data.reset();
        run(plan, data);
        data.verify(route);
        const MPIX_Layout_stats s = stats_of(plan);
        if (round == 1) first = s.net_list_bytes;
        EXPECT((first > 0) == (s.net_bytes > 0 && s.forwarded_nodes > 0), first);
        if (keep) EXPECT(s.net_list_bytes == first, s.net_list_bytes, " after ", first);
        if (!keep && round > 1 && first > 0) EXPECT(s.net_list_bytes > first, s.net_list_bytes);
      }
      OK(MPIX_Layout_plan_free(&plan));
    }
}

/// Rows of a table, many of them for several places of one rank, as for experts.
Layouts repeating_rows(Case& t, std::int64_t rows, std::int64_t row) {
  std::vector<ByteMap> send, recv;
  std::vector<std::int64_t> places(static_cast<std::size_t>(rows * t.size));
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = static_cast<std::int64_t>(i) * (row + 4);
  t.own.shuffle(places);
  for (int p = 0; p < t.size; ++p) {
    ByteMap out, in;
    for (std::int64_t k = 0; k < rows; ++k) {
      out.push_back({t.own.between(0, rows / 3) * row, row});
      in.push_back({places[static_cast<std::size_t>(p * rows + k)], row});
    }
    send.push_back(out);
    recv.push_back(in);
  }
  Layouts layouts;
  layouts.send = side_of_maps(send, "rows of a table");
  layouts.recv = side_of_maps(recv, "a place for each");
  return layouts;
}

/// Inside a node such rows are sent once, and where they go once for all starts, unless nothing is to be
/// kept.
MPI_TEST(rows_for_several_places) {
  for (const std::int64_t row : {64, 200, 1500})
    for (const char* const kept : {"256K", "0"}) {
      const Layouts layouts = repeating_rows(t, std::max<std::int64_t>(100, 80000 / row), row);
      MPI_Info info = MPI_INFO_NULL;
      OK(MPI_Info_create(&info));
      OK(MPI_Info_set(info, "mpix_layout_kept_lists", kept));
      MPIX_Layout_plan plan = make_plan(t, layouts, info);
      OK(MPI_Info_free(&info));
      Data data(t.comm, t.own, layouts);
      for (int round = 0; round < 6; ++round) {
        if (round % 3 == 2) {
          OK(MPIX_Alltoallv_layout(data.sendbuf(), layouts.send.layout(), data.recvbuf(),
                                   layouts.recv.layout(), t.comm));
        } else {
          run(plan, data);
        }
        data.verify(text("rows of ", row, ", start ", round));
        data.refresh();
      }
      OK(MPIX_Layout_plan_free(&plan));
    }
}

/// A program compiled against an earlier, shorter structure gets no more than it has room for.
MPI_TEST(statistics_of_a_shorter_structure) {
  const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, kSmall, false);
  MPIX_Layout_plan plan = make_plan(t, layouts);
  MPIX_Layout_stats s;
  fill_pattern(std::as_writable_bytes(std::span(&s, 1)), 5);
  const MPIX_Layout_stats before = s;
  s.size = offsetof(MPIX_Layout_stats, recv_bytes);
  OK(MPIX_Layout_plan_get_stats(plan, &s));
  EXPECT(s.send_bytes == sum(layouts.send.maps()));
  EXPECT(s.recv_bytes == before.recv_bytes && s.chunks == before.chunks, "wrote past the given size");
  OK(MPIX_Layout_plan_free(&plan));
}

MPI_TEST(hints) {
  const Layouts layouts =
      random_layouts(t.comm, t.shared.bits(), t.own, {.unit = 100000, .most = 400000}, false);
  const std::vector<std::pair<const char*, const char*>> hints = {
      {"mpix_layout_mapped", "off"},  {"mpix_layout_attach", "off"}, {"mpix_layout_attach", "on"},
      {"mpix_layout_streaming", "0"}, {"mpix_layout_timeout", "33"}, {"some_other_library", "7"}};
  for (const auto& [key, value] : hints) {
    MPI_Info info = MPI_INFO_NULL;
    OK(MPI_Info_create(&info));
    OK(MPI_Info_set(info, key, value));
    MPIX_Layout_plan plan = make_plan(t, layouts, info);
    OK(MPI_Info_free(&info));
    Data data(t.comm, t.own, layouts, InPlace::no, MemoryKind::mapped, MemoryKind::mapped);
    run(plan, data);
    data.verify(text(key, '=', value));
    if (std::string(key) == "mpix_layout_mapped") EXPECT(stats_of(plan).shm_mapped_bytes == 0);
    if (std::string(key) == "mpix_layout_attach" && std::string(value) == "off")
      EXPECT(stats_of(plan).shm_attach_bytes == 0);
    OK(MPIX_Layout_plan_free(&plan));
  }
}

MPI_TEST(hints_that_differ_between_ranks) {
  const Layouts layouts =
      random_layouts(t.comm, t.shared.bits(), t.own, {.unit = 1000, .most = 400000}, false);
  MPI_Info info = MPI_INFO_NULL;
  OK(MPI_Info_create(&info));
  static const std::vector<const char*> choices = {"off", "auto", "on"};
  OK(MPI_Info_set(info, "mpix_layout_mapped", t.own.chance(50) ? "on" : "off"));
  OK(MPI_Info_set(info, "mpix_layout_attach", t.own.pick(choices)));
  MPIX_Layout_plan plan = make_plan(t, layouts, info);
  OK(MPI_Info_free(&info));
  for (int round = 0; round < 3; ++round) {
    Data data(t.comm, t.own, layouts);
    run(plan, data);
    data.verify("hints that differ");
  }
  OK(MPIX_Layout_plan_free(&plan));
}

/// Other nodes for which a rank that sends the same `block` bytes to all ranks saves `least` bytes.
std::int64_t nodes_saving(const std::vector<int>& nodes, int rank, std::int64_t block, std::int64_t least) {
  std::int64_t saving = 0;
  for (int first = 0; first < static_cast<int>(nodes.size()); ++first) {
    const auto ranks = std::count(nodes.begin(), nodes.end(), first);
    if (first != nodes[static_cast<std::size_t>(rank)] && ranks > 0) saving += (ranks - 1) * block >= least;
  }
  return saving;
}

/// Ranks for which forwarding pays a little do it where it pays much for others.
MPI_TEST(ranks_that_forward_as_others_do) {
  const char* const route = std::getenv("MPIX_LAYOUT_ROUTE");
  if (route != nullptr && std::string(route) == "direct") return;
  constexpr std::int64_t kLittle = 17 << 10, kMuch = 41 << 10;
  const std::vector<int> nodes = nodes_of(t.comm);
  for (const bool one_sends_much : {false, true}) {
    const auto block_of = [&](int rank) { return rank == 0 && one_sends_much ? kMuch : kLittle; };
    std::vector<ByteMap> send, recv;
    std::int64_t end = 0;
    bool pays = false;
    for (int p = 0; p < t.size; ++p) {
      send.push_back({{0, block_of(t.rank)}});
      recv.push_back({{end, block_of(p)}});
      end += block_of(p);
      pays |= nodes_saving(nodes, p, block_of(p), 40 << 10) > 0;
    }
    const Layouts layouts{side_of_maps(send, "one block for all"), side_of_maps(recv, "one after the other")};
    MPI_Info info = MPI_INFO_NULL;
    OK(MPI_Info_create(&info));
    OK(MPI_Info_set(info, "mpix_layout_route", "auto"));
    MPIX_Layout_plan plan = make_plan(t, layouts, info);
    OK(MPI_Info_free(&info));
    Data data(t.comm, t.own, layouts);
    for (int round = 0; round < 3; ++round) {
      data.reset();
      run(plan, data);
      data.verify("as others do");
    }
    const std::int64_t expected = pays ? nodes_saving(nodes, t.rank, block_of(t.rank), 16 << 10) : 0;
    EXPECT(stats_of(plan).forwarded_nodes == expected, stats_of(plan).forwarded_nodes, " instead of ",
           expected);
    OK(MPIX_Layout_plan_free(&plan));
  }
}

/// Each rank decides for itself by which route it sends, and from exchange to exchange.
MPI_TEST(routes_that_differ_between_ranks_and_plans) {
  static const std::vector<const char*> routes = {"auto", "direct", "forward", "aggregate"};
  for (const Volume& volume : {kSmall, kLarge}) {
    const Layouts layouts = random_layouts(t.comm, t.shared.bits(), t.own, volume, false);
    std::vector<MPIX_Layout_plan> plans;
    for (int i = 0; i < 3; ++i) {
      MPI_Info info = MPI_INFO_NULL;
      OK(MPI_Info_create(&info));
      OK(MPI_Info_set(info, "mpix_layout_route", t.own.pick(routes)));
      plans.push_back(make_plan(t, layouts, info));
      OK(MPI_Info_free(&info));
    }
    for (int round = 0; round < 4; ++round) {
      std::deque<Data> data;
      std::vector<MPI_Request> requests(plans.size());
      for (std::size_t i = 0; i < plans.size(); ++i) data.emplace_back(t.comm, t.own, layouts);
      for (std::size_t i = 0; i < plans.size(); ++i) {
        OK(MPIX_Layout_plan_start(plans[i], data[i].sendbuf(), data[i].recvbuf(), &requests[i]));
        if (t.own.chance(30)) OK(MPI_Wait(&requests[i], MPI_STATUS_IGNORE));
      }
      OK(MPI_Waitall(3, requests.data(), MPI_STATUSES_IGNORE));
      for (Data& d : data) d.verify("routes that differ");
    }
    for (MPIX_Layout_plan& plan : plans) OK(MPIX_Layout_plan_free(&plan));
  }
}

}  // namespace mpix::test
