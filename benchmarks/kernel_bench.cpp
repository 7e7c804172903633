// SPDX-License-Identifier: BSD-3-Clause
/// Rates of the GPU's copy kernel beside copies of the driver, which take turns with it.
#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <random>

#include "benchmarks/common/check.hpp"
#include "benchmarks/common/json.hpp"
#include "benchmarks/common/parse.hpp"
#include "benchmarks/common/random.hpp"
#include "benchmarks/gpu/device.hpp"
#include "kernels/device/lists.hpp"

namespace {

using namespace mpix::bench;
using mpix::CudaMemory;
using mpix::kernels::Blocks;
using mpix::kernels::Dim;
using mpix::kernels::Form;
namespace kd = mpix::kernels::device;

constexpr int kSkip = 77;
constexpr const char* kUsage = R"(usage: kernel_bench [options]
Rates of the GPU's copy kernel: rows in random order to and from contiguous memory, and from one random order to
another; runs at a stride, and boxes of an array. Each figure is the median of times by events; all calls take turns.

  --total BYTES     bytes that are moved (default 256M)
  --row LIST        bytes of a row (default 16 to 64K in powers of two, and 14336)
  -i, --iterations N  timed rounds (default 20)
  -x, --warmup N    untimed rounds before (default 3)
  -c, --validation  compare every byte that was moved; the exit status is 1 where one is wrong
  --json FILE       also write all figures to FILE
  -h, --help        this text

The driver is libcuda.so.1, or what MPIX_LAYOUT_CUDA_DRIVER names; without one the exit status is 77.
Columns: GB/s (10^9 bytes moved once), of copy: its share of a device-to-device copy of as many bytes, of copy2d: its
share of cuMemcpy2DAsync, where that can do the same.
)";

struct Options {
  std::int64_t total = std::int64_t{256} << 20;
  std::vector<std::int64_t> rows;
  int iterations = 20, warmups = 3;
  bool validate = false;
  std::string json;
};

/// Blocks in memory of the GPU, with their lists there.
class Listed {
 public:
  Listed(const Gpu& gpu, const Blocks& blocks, std::int64_t extent)
      : blocks_(blocks), memory_(gpu.allocate(extent)), extent_(extent) {
    const kd::ListSizes sizes = kd::list_sizes(blocks);
    std::vector<kd::StridedDim> dims(static_cast<std::size_t>(sizes.dims));
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(sizes.offsets));
    kd::write_lists(blocks, dims.data(), offsets.data(), nullptr, nullptr);
    dims_ = put(gpu, dims);
    offsets_ = put(gpu, offsets);
  }
  kd::View view() const {
    kd::View view{};
    view.base = reinterpret_cast<std::byte*>(memory_.get()) + blocks_.offset;
    view.form = blocks_.form;
    view.ndims = blocks_.ndims;
    view.run = kd::make_divisor(blocks_.run);
    view.dims = reinterpret_cast<const kd::StridedDim*>(dims_.get());
    view.offsets = reinterpret_cast<const std::int64_t*>(offsets_.get());
    view.nruns = blocks_.nruns;
    return view;
  }
  const Blocks& blocks() const { return blocks_; }
  CUdeviceptr memory() const { return memory_.get(); }
  std::int64_t extent() const { return extent_; }
  /// The offset of run number `run`.
  std::int64_t offset_of(std::int64_t run) const {
    if (blocks_.form == Form::indexed) return blocks_.offset + blocks_.offsets[run];
    std::int64_t offset = blocks_.offset;
    for (int d = blocks_.ndims - 1; d >= 0; --d) {
      offset += run % blocks_.dims[d].count * blocks_.dims[d].stride;
      run /= blocks_.dims[d].count;
    }
    return offset;
  }

 private:
  template <typename T>
  static CudaMemory put(const Gpu& gpu, const std::vector<T>& list) {
    if (list.empty()) return {};
    const auto bytes = static_cast<std::int64_t>(list.size() * sizeof(T));
    CudaMemory memory = gpu.allocate(bytes);
    gpu.upload(memory.get(), list.data(), bytes);
    return memory;
  }
  Blocks blocks_;
  CudaMemory memory_, dims_, offsets_;
  std::int64_t extent_;
};

Blocks flat_blocks(std::int64_t bytes) {
  Blocks blocks;
  blocks.bytes = blocks.run = bytes;
  blocks.nruns = 1;
  return blocks;
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), gpu_(driver_name()) {
    std::printf("# %s; %lld bytes, medians of %d\n", gpu_.name().c_str(),
                static_cast<long long>(options.total), options.iterations);
    std::printf("%-10s%-12s%10s%12s%12s%12s\n", "# What", "Form", "Run", "GB/s", "of copy", "of copy2d");
  }

  int run() {
    gpu_.load();
    for (const std::int64_t row : options_.rows) rows(row);
    for (const std::int64_t run : {64, 256, 4096}) strided(run);
    box();
    if (!options_.json.empty()) {
      std::FILE* const file = std::fopen(options_.json.c_str(), "w");
      if (file == nullptr) throw Error("--json: cannot write " + options_.json);
      std::fputs((Json().add("gpu", gpu_.name()).add("cases", cases_).text() + "\n").c_str(), file);
      std::fclose(file);
    }
    return wrong_ ? 1 : 0;
  }

 private:
  static std::string driver_name() {
    const char* const name = std::getenv("MPIX_LAYOUT_CUDA_DRIVER");
    return name != nullptr && *name != '\0' ? name : "libcuda.so.1";
  }

  Blocks indexed_blocks(std::int64_t row, std::uint64_t seed, std::vector<std::int64_t>& offsets) const {
    const std::int64_t rows = std::max<std::int64_t>(options_.total / row, 1);
    offsets.resize(static_cast<std::size_t>(rows));
    for (std::int64_t i = 0; i < rows; ++i) offsets[static_cast<std::size_t>(i)] = i * row;
    std::mt19937_64 random(seed);
    std::shuffle(offsets.begin(), offsets.end(), random);
    Blocks blocks;
    blocks.form = Form::indexed;
    blocks.run = row;
    blocks.nruns = rows;
    blocks.bytes = rows * row;
    blocks.offsets = offsets.data();
    return blocks;
  }

  void rows(std::int64_t row) {
    std::vector<std::int64_t> offsets, others;
    const Blocks one = indexed_blocks(row, 1, offsets), two = indexed_blocks(row, 2, others);
    const Listed from(gpu_, one, one.bytes), to(gpu_, two, two.bytes),
        flat(gpu_, flat_blocks(one.bytes), one.bytes);
    measure("gather", "rows", row, flat, from);
    measure("scatter", "rows", row, to, flat);
    measure("copy", "rows", row, to, from);
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
    copy.srcDevice = apart.memory();
    copy.srcPitch = static_cast<std::size_t>(dim.stride);
    copy.dstDevice = flat.memory();
    copy.dstPitch = static_cast<std::size_t>(run);
    measure("gather", "strided", run, flat, apart, &copy);
    std::swap(copy.srcDevice, copy.dstDevice);
    std::swap(copy.srcPitch, copy.dstPitch);
    measure("scatter", "strided", run, apart, flat, &copy);
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
    measure("gather", "box", run, flat, part);
    measure("scatter", "box", run, part, flat);
  }

  void measure(const char* what, const char* form, std::int64_t run, const Listed& to, const Listed& from,
               const CUDA_MEMCPY2D* copy_2d = nullptr) {
    kd::Batch batch{};
    kd::Job& job = batch.inline_jobs[0];
    job.source = from.view();
    job.target = to.view();
    job.bytes = std::min(from.blocks().bytes, to.blocks().bytes);
    job.width = kd::width_of(kd::alignment_of(from.blocks()) | kd::alignment_of(to.blocks()) | from.memory() |
                             to.memory() | static_cast<std::uint64_t>(job.bytes));
    batch.njobs = 1;
    const auto kernel = [&] { gpu_.launch(batch, kd::tiles_of(job)); };
    if (options_.validate) validate(what, form, run, to, from, kernel);
    std::vector<std::function<void()>> calls{kernel,
                                             [&] { gpu_.copy(to.memory(), from.memory(), job.bytes); }};
    if (copy_2d != nullptr) calls.emplace_back([&] { gpu_.copy_2d(*copy_2d); });
    const std::vector<double> seconds = gpu_.time(calls, options_.warmups, options_.iterations);
    const double rate = static_cast<double>(job.bytes) / seconds[0] * 1e-9;
    std::printf("%-10s%-12s%10lld%12.1f%12.3f", what, form, static_cast<long long>(run), rate,
                seconds[1] / seconds[0]);
    Json line;
    line.add("what", what).add("form", form).add("run", static_cast<long long>(run)).add("gb_s", rate);
    line.add("of_copy", seconds[1] / seconds[0]);
    if (copy_2d != nullptr) {
      std::printf("%12.3f", seconds[2] / seconds[0]);
      line.add("of_copy2d", seconds[2] / seconds[0]);
    }
    std::printf("\n");
    cases_.append(line);
  }

  void validate(const char* what, const char* form, std::int64_t run, const Listed& to, const Listed& from,
                const std::function<void()>& kernel) {
    std::mt19937_64 random(7);
    std::vector<std::byte> source(static_cast<std::size_t>(from.extent())),
        target(static_cast<std::size_t>(to.extent()));
    for (std::byte& byte : source) byte = static_cast<std::byte>(random());
    gpu_.upload(from.memory(), source.data(), from.extent());
    gpu_.upload(to.memory(), target.data(), to.extent());
    std::vector<std::byte> expected = target;
    const std::int64_t bytes = std::min(from.blocks().bytes, to.blocks().bytes);
    const std::int64_t piece = std::min(from.blocks().run, to.blocks().run);
    for (std::int64_t at = 0; at < bytes; at += piece)
      std::copy_n(source.begin() + from.offset_of(at / from.blocks().run) + at % from.blocks().run, piece,
                  expected.begin() + to.offset_of(at / to.blocks().run) + at % to.blocks().run);
    kernel();
    gpu_.download(target.data(), to.memory(), to.extent());
    if (target == expected) return;
    wrong_ = true;
    std::fprintf(stderr, "%s, %s of %lld bytes: wrong bytes\n", what, form, static_cast<long long>(run));
  }

  Options options_;
  Gpu gpu_;
  bool wrong_ = false;
  Json cases_{Json::Kind::array};
};

constexpr option kLongOptions[] = {{"total", required_argument, nullptr, 't'},
                                   {"row", required_argument, nullptr, 'r'},
                                   {"iterations", required_argument, nullptr, 'i'},
                                   {"warmup", required_argument, nullptr, 'x'},
                                   {"validation", no_argument, nullptr, 'c'},
                                   {"json", required_argument, nullptr, 'j'},
                                   {"help", no_argument, nullptr, 'h'},
                                   {nullptr, 0, nullptr, 0}};

/// False where only the help was wanted.
bool parse(int argc, char* argv[], Options& options) {
  for (int code = 0; (code = getopt_long(argc, argv, "i:x:ch", kLongOptions, nullptr)) != -1;) {
    const std::string_view text = optarg != nullptr ? optarg : "";
    if (code == 't') options.total = parse_bytes("--total", text);
    if (code == 'r') options.rows = parse_bytes_list("--row", text);
    if (code == 'i') options.iterations = static_cast<int>(parse_number("-i", text, 1, 1000000));
    if (code == 'x') options.warmups = static_cast<int>(parse_number("-x", text, 0, 1000000));
    if (code == 'c') options.validate = true;
    if (code == 'j') options.json = text;
    if (code == '?') throw Error("unknown option; --help lists those that exist");
    if (code == 'h') return false;
  }
  if (options.rows.empty()) {
    for (std::int64_t row = 16; row <= 65536; row *= 2) options.rows.push_back(row);
    options.rows.insert(std::upper_bound(options.rows.begin(), options.rows.end(), 14336), 14336);
  }
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
