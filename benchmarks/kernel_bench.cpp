// SPDX-License-Identifier: BSD-3-Clause
/// Rates of the GPU's copy kernel beside copies of the driver, which take turns with it.
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <utility>

#include "benchmarks/common/check.hpp"
#include "benchmarks/common/json.hpp"
#include "benchmarks/common/parse.hpp"
#include "benchmarks/common/random.hpp"
#include "benchmarks/gpu/device.hpp"
#include "benchmarks/gpu/listed.hpp"
#include "kernels/device/lists.hpp"

namespace {

using namespace mpix::bench;
namespace kernels = mpix::kernels;
using mpix::kernels::Dim;
namespace kd = mpix::kernels::device;

constexpr int kSkip = 77;
constexpr const char* kUsage = R"(usage: kernel_bench [options]
Rates of the GPU's copy kernel beside copies of the driver. Each figure is the median of times by events; the kernel and
the copies take turns. Before each begin event an untimed copy inside the GPU is queued, so that the time in which the
host queues what is timed does not count.

  --cases LIST      of these (default all):
                      rows      rows in random order to and from contiguous memory, and to another random order
                      segments  the same with rows of varying length
                      strided   every second run
                      box       the middle of an array of three dimensions
                      host      rows in random order in the GPU's memory from and to contiguous pinned memory of the
                                host, and the other way round
  --total BYTES     bytes that are moved (default 2G; less, a power of two, where that is more than a 32nd of the free
                    memory of the GPU or of the host)
  --row LIST        bytes of a row, on average for segments; those that are not multiples of 16 are moved in words of
                    8, 4, 2 or 1 (default for rows: 16 to 64K in powers of two, 14336, 24, 100, and 1024 + 8, 4, 2, 1;
                    for segments: 64, 1024, 14336, and 1024 + 8, 4, 2, 1; for host: 64, 256, 1024, 4096, 14336, 1025)
  -i, --iterations N  timed rounds (default 20)
  -x, --warmup N    untimed rounds before each case, at least (default 1)
  --warmup-time MS  milliseconds that the untimed rounds take, at least (default 50)
  --lead BYTES      bytes of the untimed copy (default 128M; 0 for none)
  -c, --validation  compare every byte that was moved; the exit status is 1 where one is wrong
  --json FILE       also write all figures to FILE
  -h, --help        this text

The driver is libcuda.so.1, or what MPIX_LAYOUT_CUDA_DRIVER names; without one the exit status is 77.
Columns: Mem, where the bytes come from and go to (D: the GPU, H: the host). Run, its bytes. Word, how many of them the
kernel moves at a time. GB/s (10^9 bytes moved once). Of copy: its share of the rate of one asynchronous copy of as many
contiguous bytes, by cuMemcpyDtoDAsync, cuMemcpyDtoHAsync or cuMemcpyHtoDAsync. Of copy2d: its share of that of
cuMemcpy2DAsync, where that can do the same.
)";

enum class Case : std::uint8_t { rows, segments, strided, box, host };
constexpr std::array<const char*, 5> kCases{"rows", "segments", "strided", "box", "host"};

struct Options {
  std::int64_t total = 0;  ///< 0: by the memory that is free
  std::vector<Case> cases{Case::rows, Case::segments, Case::strided, Case::box, Case::host};
  std::vector<std::int64_t> rows;  ///< none: the defaults of each case
  Timing timing{20, 1, 0.05, std::int64_t{128} << 20};
  bool validate = false;
  std::string json;
};

std::vector<std::byte> random_bytes(std::int64_t count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  std::mt19937_64 random(7);
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, bytes.size() - at));
  }
  return bytes;
}

/// What the kernel is to do, byte range by byte range.
void copy_here(const Listed& to, std::vector<std::byte>& target, const Listed& from,
               const std::vector<std::byte>& source, std::int64_t bytes) {
  kernels::Cursor read, written;
  const auto step = [](const Listed& side, kernels::Cursor& at, std::int64_t by) {
    if ((at.within += by) == side.length_of(at.run)) at = {at.run + 1, 0};
  };
  while (bytes > 0) {
    const std::int64_t piece =
        std::min({bytes, from.length_of(read.run) - read.within, to.length_of(written.run) - written.within});
    std::copy_n(source.begin() + from.offset_of(read.run) + read.within, piece,
                target.begin() + to.offset_of(written.run) + written.within);
    step(from, read, piece);
    step(to, written, piece);
    bytes -= piece;
  }
}

/// What is measured, as the first columns name it.
struct Label {
  const char* what;
  const char* form;
  std::int64_t run;
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), gpu_(driver_name()) {
    if (options_.total == 0) options_.total = default_total();
    std::printf("# %s; %lld bytes, medians of %d\n", gpu_.name().c_str(),
                static_cast<long long>(options_.total), options_.timing.iterations);
    std::printf("%-10s%-10s%-5s%8s%6s%10s%10s%12s\n", "# What", "Form", "Mem", "Run", "Word", "GB/s",
                "Of copy", "Of copy2d");
  }

  int run() {
    gpu_.load();
    for (const Case one : options_.cases) run(one);
    if (!options_.json.empty()) write_json();
    return wrong_ ? 1 : 0;
  }

 private:
  static std::string driver_name() {
    const char* const name = std::getenv("MPIX_LAYOUT_CUDA_DRIVER");
    return name != nullptr && *name != '\0' ? name : "libcuda.so.1";
  }

  /// An array of eight times the total and its box take the most memory, and validation thrice that.
  std::int64_t default_total() const {
    const std::int64_t host = std::int64_t{::sysconf(_SC_AVPHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
    const auto part = static_cast<std::uint64_t>(std::min(gpu_.free_memory(), host) / 32);
    return std::min(std::int64_t{2} << 30,
                    static_cast<std::int64_t>(std::bit_floor(std::max<std::uint64_t>(part, 1))));
  }

  void write_json() const {
    std::FILE* const file = std::fopen(options_.json.c_str(), "w");
    if (file == nullptr) throw Error("--json: cannot write " + options_.json);
    Json all;
    all.add("gpu", gpu_.name()).add("total", static_cast<long long>(options_.total)).add("cases", cases_);
    std::fputs((all.text() + "\n").c_str(), file);
    if (std::fclose(file) != 0) throw Error("--json: cannot write " + options_.json);
  }

  void run(Case one) {
    switch (one) {
      case Case::rows:
        for (const std::int64_t row :
             rows_or({16,   24,   32,   64,   100,  128,  256,   512,   1024,  1025,
                      1026, 1028, 1032, 2048, 4096, 8192, 14336, 16384, 32768, 65536}))
          rows("rows", row, Rows(row, options_.total));
        return;
      case Case::segments:
        for (const std::int64_t row : rows_or({64, 1024, 1025, 1026, 1028, 1032, 14336}))
          rows("segments", row, Rows::varying(row, options_.total));
        return;
      case Case::strided:
        for (const std::int64_t run : {64, 256, 4096}) strided(run);
        return;
      case Case::box:
        box();
        return;
      case Case::host:
        for (const std::int64_t row : rows_or({64, 256, 1024, 1025, 4096, 14336})) host(row);
        return;
    }
  }

  std::vector<std::int64_t> rows_or(std::vector<std::int64_t> otherwise) const {
    return options_.rows.empty() ? otherwise : options_.rows;
  }

  void rows(const char* form, std::int64_t row, Rows rows) {
    rows.shuffle(1);
    Rows others = rows;
    others.shuffle(2);
    const Listed from(gpu_, rows.blocks(), rows.bytes), to(gpu_, others.blocks(), rows.bytes),
        flat(gpu_, flat_blocks(rows.bytes), rows.bytes);
    measure({"gather", form, row}, flat, from);
    measure({"scatter", form, row}, to, flat);
    measure({"copy", form, row}, to, from);
  }

  /// Between the GPU and pinned memory; the rows are on either side.
  void host(std::int64_t row) {
    Rows rows(row, options_.total);
    rows.shuffle(1);
    for (const auto& [there, here] :
         {std::pair(Place::gpu, Place::host), std::pair(Place::host, Place::gpu)}) {
      const Listed apart(gpu_, rows.blocks(), rows.bytes, there),
          flat(gpu_, flat_blocks(rows.bytes), rows.bytes, here);
      measure({"gather", "rows", row}, flat, apart);
      measure({"scatter", "rows", row}, apart, flat);
    }
  }

  /// Every second run.
  void strided(std::int64_t run) {
    const Dim dim{std::max<std::int64_t>(options_.total / run, 2), 2 * run};
    Blocks blocks;
    blocks.ndims = 1;
    blocks.run = run;
    blocks.nruns = dim.count;
    blocks.bytes = run * dim.count;
    blocks.dims = &dim;
    const Listed apart(gpu_, blocks, 2 * blocks.bytes), flat(gpu_, flat_blocks(blocks.bytes), blocks.bytes);
    CUDA_MEMCPY2D copy{};
    copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.WidthInBytes = static_cast<std::size_t>(run);
    copy.Height = static_cast<std::size_t>(dim.count);
    copy.srcDevice = apart.address();
    copy.srcPitch = static_cast<std::size_t>(dim.stride);
    copy.dstDevice = flat.address();
    copy.dstPitch = static_cast<std::size_t>(run);
    measure({"gather", "strided", run}, flat, apart, &copy);
    std::swap(copy.srcDevice, copy.dstDevice);
    std::swap(copy.srcPitch, copy.dstPitch);
    measure({"scatter", "strided", run}, apart, flat, &copy);
  }

  /// The middle half of an array in each of its three dimensions, of 16-byte elements.
  void box() {
    std::int64_t edge = 8;
    while (16 * 8 * edge * edge * edge <= options_.total) edge *= 2;
    const std::int64_t line = 2 * edge * 16, run = edge * 16;
    const Dim dims[] = {{edge, 2 * edge * line}, {edge, line}};
    Blocks blocks;
    blocks.ndims = 2;
    blocks.run = run;
    blocks.nruns = edge * edge;
    blocks.bytes = run * blocks.nruns;
    blocks.offset = edge / 2 * (2 * edge * line + line + 16);
    blocks.dims = dims;
    const Listed part(gpu_, blocks, 2 * edge * 2 * edge * line),
        flat(gpu_, flat_blocks(blocks.bytes), blocks.bytes);
    measure({"gather", "box", run}, flat, part);
    measure({"scatter", "box", run}, part, flat);
  }

  static kd::Job job_of(const Listed& to, const Listed& from) {
    kd::Job job{};
    job.source = from.view();
    job.target = to.view();
    job.bytes = std::min(from.blocks().bytes, to.blocks().bytes);
    job.width = kd::width_of(kd::alignment_of(from.blocks()) | kd::alignment_of(to.blocks()) |
                             from.address() | to.address() | static_cast<std::uint64_t>(job.bytes));
    return job;
  }

  /// `bytes` from the start of one to that of the other, as the driver copies them.
  void copy(const Listed& to, const Listed& from, std::int64_t bytes) const {
    if (to.place() == Place::host)
      gpu_.download_async(to.base(), from.address(), bytes);
    else if (from.place() == Place::host)
      gpu_.upload_async(to.address(), from.base(), bytes);
    else
      gpu_.copy(to.address(), from.address(), bytes);
  }

  void measure(const Label& label, const Listed& to, const Listed& from,
               const CUDA_MEMCPY2D* copy_2d = nullptr) {
    kd::Batch batch{};
    kd::Job& job = batch.inline_jobs[0];
    job = job_of(to, from);
    batch.njobs = 1;
    const auto kernel = [&] { gpu_.launch(batch, kd::tiles_of(job)); };
    if (options_.validate) validate(label, to, from, job.bytes, kernel);
    std::vector<std::function<void()>> calls{kernel, [&] { copy(to, from, job.bytes); }};
    if (copy_2d != nullptr) calls.emplace_back([&] { gpu_.copy_2d(*copy_2d); });
    report(label, {static_cast<char>(from.place()), static_cast<char>(to.place())}, job,
           gpu_.time(calls, options_.timing));
  }

  /// `seconds` of the kernel, of the copy and, where there was one, of the copy in two dimensions.
  void report(const Label& label, const std::string& memory, const kd::Job& job,
              const std::vector<double>& seconds) {
    const double rate = static_cast<double>(job.bytes) / seconds[0] * 1e-9, share = seconds[1] / seconds[0];
    std::printf("%-10s%-10s%-5s%8lld%6u%10.1f%10.3f", label.what, label.form, memory.c_str(),
                static_cast<long long>(label.run), job.width, rate, share);
    Json line;
    line.add("what", label.what).add("form", label.form).add("memory", memory);
    line.add("run", static_cast<long long>(label.run)).add("word", static_cast<long long>(job.width));
    line.add("bytes", static_cast<long long>(job.bytes)).add("gb_s", rate).add("of_copy", share);
    if (seconds.size() > 2) {
      std::printf("%12.3f", seconds[2] / seconds[0]);
      line.add("of_copy2d", seconds[2] / seconds[0]);
    }
    std::printf("\n");
    std::fflush(stdout);
    cases_.append(line);
  }

  void validate(const Label& label, const Listed& to, const Listed& from, std::int64_t bytes,
                const std::function<void()>& kernel) {
    const std::vector<std::byte> source = random_bytes(from.extent());
    std::vector<std::byte> expected(static_cast<std::size_t>(to.extent()));
    from.write(source);
    to.write(expected);
    copy_here(to, expected, from, source, bytes);
    kernel();
    gpu_.synchronize();
    if (to.read() == expected) return;
    wrong_ = true;
    std::fprintf(stderr, "%s, %s of %lld bytes: wrong bytes\n", label.what, label.form,
                 static_cast<long long>(label.run));
  }

  Options options_;
  Gpu gpu_;
  bool wrong_ = false;
  Json cases_{Json::Kind::array};
};

constexpr option kLongOptions[] = {{"cases", required_argument, nullptr, 'k'},
                                   {"total", required_argument, nullptr, 't'},
                                   {"row", required_argument, nullptr, 'r'},
                                   {"iterations", required_argument, nullptr, 'i'},
                                   {"warmup", required_argument, nullptr, 'x'},
                                   {"warmup-time", required_argument, nullptr, 'w'},
                                   {"lead", required_argument, nullptr, 'l'},
                                   {"validation", no_argument, nullptr, 'c'},
                                   {"json", required_argument, nullptr, 'j'},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};

std::vector<Case> parse_cases(std::string_view text) {
  std::vector<Case> cases;
  for (const std::string_view name : split(text, ','))
    cases.push_back(parse_name<Case>("--cases", name, kCases));
  return cases;
}

/// False where only the help was wanted.
bool parse(int argc, char* argv[], Options& options) {
  Timing& timing = options.timing;
  for (int code = 0; (code = getopt_long(argc, argv, "i:x:ch", kLongOptions, nullptr)) != -1;) {
    const std::string_view text = optarg != nullptr ? optarg : "";
    if (code == 'k') options.cases = parse_cases(text);
    if (code == 't') options.total = parse_bytes("--total", text);
    if (code == 'r') options.rows = parse_bytes_list("--row", text);
    if (code == 'i') timing.iterations = static_cast<int>(parse_number("-i", text, 1, 1000000));
    if (code == 'x') timing.warmups = static_cast<int>(parse_number("-x", text, 0, 1000000));
    if (code == 'w') timing.warmup_seconds = parse_real("--warmup-time", text, 0, 1e6) * 1e-3;
    if (code == 'l') timing.lead = text == "0" ? 0 : parse_bytes("--lead", text);
    if (code == 'c') options.validate = true;
    if (code == 'j') options.json = text;
    if (code == '?') throw Error("--help lists the options");
    if (code == 'h') return false;
  }
  if (optind < argc) throw Error(std::string(argv[optind]) + ": unknown argument; --help lists the options");
  return true;
}

}  // namespace

int main(int argc, char* argv[]) {
  Options options;
  try {
    if (!parse(argc, argv, options)) {
      std::fputs(kUsage, stdout);
      return 0;
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 2;
  }
  std::optional<Bench> bench;
  try {
    bench.emplace(options);
  } catch (const mpix::Error& error) {
    std::fprintf(stderr, "kernel_bench: no GPU: %s\n", error.what());
    return kSkip;
  }
  try {
    return bench->run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernel_bench: %s\n", error.what());
    return 1;
  }
}
