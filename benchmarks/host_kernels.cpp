// SPDX-License-Identifier: BSD-3-Clause
/// Rates of the host kernels, each beside a contiguous copy with streaming stores and memcpy of the same size
/// taken in the same round, so that the ratios hold on a busy machine.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/host.hpp"

namespace {

using mpix::kernels::Blocks;
using mpix::kernels::Cursor;
using mpix::kernels::Dim;
using mpix::kernels::Form;
using mpix::kernels::host_kernels;
using mpix::kernels::HostKernels;
using mpix::kernels::Stores;

constexpr const char* kUsage =
    R"(usage: host_kernels [options]
Rates of gather, scatter and copy on one core by processor time, medians.

  --isa LIST      instruction sets: avx512, avx2, portable (default: all of this processor)
  --op LIST       gather   rows to a chunk that is used again and again, ordinary stores
                  scatter  from such a chunk to rows, streaming stores
                  ring     gather into a chunk and scatter out of it, in turns
                  copy     rows to rows in one pass, streaming stores
                  flat     rows to contiguous memory, streaming stores
                  (default: all)
  --form LIST     indexed (rows in random order), strided (every second row), segments (random lengths),
                  transpose (a matrix of rows by columns), block (one run)
                  (default: indexed)
  --row LIST      bytes of a row (default: 64,256,1024,4096,14336)
  --columns N     transpose: columns of the matrix (default: 256)
  --size N        bytes that are moved (default: 67108864)
  --chunk N       bytes of a chunk (default: 262144)
  --shift N       bytes by which the buffers are shifted from malloc's address (default: 0)
  --cached        ordinary stores everywhere
  -i N            rounds (default: 9)
  --latency       time of one small call instead: contiguous blocks of 8 B to 4 KiB, ns
  --help          this text

Columns: operation, form, row, instruction set, GB/s (10^9 bytes), the same over the streaming copy and over
memcpy, and these two in GB/s.
)";

struct Options {
  std::vector<std::string> isas, ops{"gather", "scatter", "ring", "copy", "flat"}, forms{"indexed"};
  std::vector<long> rows{64, 256, 1024, 4096, 14336};
  long columns = 256, size = 64l << 20, chunk = 256l << 10, shift = 0, rounds = 9;
  bool cached = false, latency = false;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "host_kernels: %s (see --help)\n", why.c_str());
  std::exit(2);
}

long number(const std::string& text) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0' || value < 0) fail("not a number: " + text);
  return value;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) fail("missing value of " + name);
      return argv[++i];
    };
    if (name == "--help") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    } else if (name == "--isa") {
      o.isas = split(value());
    } else if (name == "--op") {
      o.ops = split(value());
    } else if (name == "--form") {
      o.forms = split(value());
    } else if (name == "--row") {
      o.rows.clear();
      for (const auto& r : split(value())) o.rows.push_back(number(r));
    } else if (name == "--columns") {
      o.columns = number(value());
    } else if (name == "--size") {
      o.size = number(value());
    } else if (name == "--chunk") {
      o.chunk = number(value());
    } else if (name == "--shift") {
      o.shift = number(value());
    } else if (name == "--cached") {
      o.cached = true;
    } else if (name == "-i") {
      o.rounds = std::max(1l, number(value()));
    } else if (name == "--latency") {
      o.latency = true;
    } else {
      fail("unknown option " + name);
    }
  }
  if (o.isas.empty()) {
    for (const char* isa : {"avx512", "avx2", "portable"}) {
      if (host_kernels(isa) != nullptr) o.isas.emplace_back(isa);
    }
  }
  return o;
}

/// malloc's memory, written once so that its pages exist.
class Memory {
 public:
  Memory(long size, long shift)
      : bytes_(static_cast<std::byte*>(std::malloc(static_cast<std::size_t>(size + shift)))) {
    if (!bytes_) fail("no memory");
    std::memset(bytes_.get(), 1, static_cast<std::size_t>(size + shift));
    data_ = bytes_.get() + shift;
  }
  std::byte* data() const { return data_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::byte* data_;
};

struct Shape {
  Blocks blocks;
  std::vector<Dim> dims;
  std::vector<std::int64_t> offsets, lengths;
  long span = 0;
};

void list_rows(Shape& s, std::mt19937_64& random) {
  std::vector<std::size_t> order(static_cast<std::size_t>(s.blocks.nruns));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<std::int64_t> starts;
  for (std::size_t i = 0; i < order.size(); ++i) {
    starts.push_back(s.span);
    s.span += s.lengths[i];
  }
  const std::vector<std::int64_t> lengths = s.lengths;
  for (std::size_t i = 0; i < order.size(); ++i) {
    s.offsets.push_back(starts[order[i]]);
    s.lengths[i] = lengths[order[i]];
  }
}

Shape make_shape(const std::string& form, long row, const Options& o, unsigned seed) {
  Shape s;
  std::mt19937_64 random(seed);
  Blocks& b = s.blocks;
  b.run = row;
  b.nruns = std::max(1l, o.size / row);
  b.bytes = b.nruns * row;
  s.span = b.bytes;
  if (form == "block") {
    b.run = b.bytes;
    b.nruns = 1;
  } else if (form == "strided") {
    s.dims = {{b.nruns, 2 * row}};
    s.span = 2 * b.bytes;
  } else if (form == "transpose") {
    const long lines = std::max(2l, b.nruns / o.columns);
    b.nruns = lines * o.columns;
    b.bytes = s.span = b.nruns * row;
    s.dims = {{lines, row}, {o.columns, lines * row}};
  } else if (form == "indexed" || form == "segments") {
    b.form = form == "indexed" ? Form::indexed : Form::segments;
    s.span = 0;
    std::uniform_int_distribution<std::int64_t> length(1, 2 * row - 1);
    s.lengths.assign(static_cast<std::size_t>(b.nruns), row);
    if (b.form == Form::segments) {
      for (auto& l : s.lengths) l = length(random);
    }
    b.bytes = std::accumulate(s.lengths.begin(), s.lengths.end(), std::int64_t{0});
    list_rows(s, random);
  } else {
    fail("unknown form " + form);
  }
  b.ndims = static_cast<std::int32_t>(s.dims.size());
  b.dims = s.dims.data();
  b.offsets = s.offsets.data();
  b.lengths = s.lengths.data();
  return s;
}

/// Processor time of this thread: on a busy machine, time that others are given does not count.
double now() {
  timespec t{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0) fail("no thread clock");
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double seconds(const std::function<void()>& work) {
  const double start = now();
  work();
  return now() - start;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One operation over all of `from` and `to`, chunk by chunk.
std::function<void()> operation(const std::string& op, const HostKernels& k, const Shape& from,
                                const Shape& to, const Memory& source, const Memory& target,
                                const Memory& chunk, const Options& o) {
  const auto chunked = [&, stream = o.cached ? Stores::cached : Stores::streaming](bool in, bool out) {
    Cursor a, b;
    for (std::int64_t left = from.blocks.bytes; left > 0; left -= o.chunk) {
      const auto n = static_cast<std::size_t>(std::min<std::int64_t>(left, o.chunk));
      if (in) k.gather(source.data(), from.blocks, a, chunk.data(), n, Stores::cached);
      if (out) k.scatter(target.data(), to.blocks, b, chunk.data(), n, stream);
    }
  };
  if (op == "gather") return [=] { chunked(true, false); };
  if (op == "scatter") return [=] { chunked(false, true); };
  if (op == "ring") return [=] { chunked(true, true); };
  const auto n = static_cast<std::size_t>(from.blocks.bytes);
  const Stores stores = o.cached ? Stores::cached : Stores::streaming;
  if (op == "copy") {
    return [&, n, stores] {
      Cursor a, b;
      k.copy(target.data(), to.blocks, a, source.data(), from.blocks, b, n, stores);
    };
  }
  if (op == "flat") {
    return [&, n, stores] {
      Cursor a;
      k.gather(source.data(), from.blocks, a, target.data(), n, stores);
    };
  }
  fail("unknown operation " + op);
}

struct Rates {
  double work, stream, memory;
};

Rates measure(const std::function<void()>& work, std::int64_t bytes, const Memory& source,
              const Memory& target, const Options& o) {
  const HostKernels& best = *host_kernels("auto");
  const auto n = static_cast<std::size_t>(bytes);
  Blocks one;
  one.bytes = one.run = bytes;
  one.nruns = 1;
  std::vector<double> times[3];
  for (long round = -1; round < o.rounds; ++round) {
    const double t[3] = {seconds(work), seconds([&] {
                           Cursor c;
                           best.gather(source.data(), one, c, target.data(), n, Stores::streaming);
                         }),
                         seconds([&] { std::memcpy(target.data(), source.data(), n); })};
    for (int i = 0; i < 3 && round >= 0; ++i) times[i].push_back(t[i]);
  }
  const double giga = static_cast<double>(bytes) * 1e-9;
  return {giga / median(times[0]), giga / median(times[1]), giga / median(times[2])};
}

void measure_row(const std::string& form, long row, const Options& o) {
  const Shape from = make_shape(form, row, o, 1);
  const Shape to = make_shape(form == "segments" ? "indexed" : form, row, o, 2);
  if (from.blocks.bytes > to.blocks.bytes) return measure_row("indexed", row, o);
  const Memory source(std::max(from.span, o.size), o.shift), target(std::max(to.span, o.size), o.shift);
  const Memory chunk(o.chunk + 64, 0);
  for (const std::string& op : o.ops) {
    for (const std::string& isa : o.isas) {
      const HostKernels* k = host_kernels(isa);
      if (k == nullptr) fail("no kernels called " + isa + " on this processor");
      const Rates r = measure(operation(op, *k, from, to, source, target, chunk, o), from.blocks.bytes,
                              source, target, o);
      std::printf("%-8s %-10s %8ld %-9s %8.2f %8.2f %8.2f %8.2f %8.2f\n", op.c_str(), form.c_str(), row,
                  k->name, r.work, r.work / r.stream, r.work / r.memory, r.stream, r.memory);
      std::fflush(stdout);
    }
  }
}

void measure_latency(const Options& o) {
  std::printf("%-8s %8s %-9s %8s %8s\n", "# op", "bytes", "isa", "ns", "memcpy");
  const Memory a(8192, 0), b(8192, 0);
  constexpr int kCalls = 20000;
  for (const std::string& isa : o.isas) {
    const HostKernels* k = host_kernels(isa);
    if (k == nullptr) fail("no kernels called " + isa + " on this processor");
    for (std::size_t n = 8; n <= 4096; n *= 2) {
      Blocks one;
      one.bytes = one.run = static_cast<std::int64_t>(n);
      one.nruns = 1;
      void* (*volatile copy)(void*, const void*, std::size_t) = std::memcpy;
      std::vector<double> kernel, plain;
      for (long round = 0; round < o.rounds; ++round) {
        kernel.push_back(seconds([&] {
          for (int i = 0; i < kCalls; ++i) {
            Cursor c;
            k->gather(a.data(), one, c, b.data(), n, Stores::cached);
          }
        }));
        plain.push_back(seconds([&] {
          for (int i = 0; i < kCalls; ++i) copy(b.data(), a.data(), n);
        }));
      }
      std::printf("%-8s %8zu %-9s %8.2f %8.2f\n", "gather", n, k->name, median(kernel) / kCalls * 1e9,
                  median(plain) / kCalls * 1e9);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  if (o.latency) {
    measure_latency(o);
    return 0;
  }
  std::printf("%-8s %-10s %8s %-9s %8s %8s %8s %8s %8s\n", "# op", "form", "row", "isa", "GB/s", "/stream",
              "/memcpy", "stream", "memcpy");
  for (const std::string& form : o.forms) {
    for (const long row : o.rows) measure_row(form, row, o);
  }
  return 0;
}
