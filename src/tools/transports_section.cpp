// SPDX-License-Identifier: BSD-3-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "base/status.hpp"
#include "base/text.hpp"
#include "config.h"
#include "device/device.hpp"
#include "memory/attach.hpp"
#include "memory/regions.hpp"
#include "memory/segment.hpp"
#include "tools/sections.hpp"

namespace mpix::tools {
namespace {

/// A child process that this object ends and waits for.
class Child {
 public:
  /// Runs `body` in the child; its result is the exit status.
  template <typename Body>
  explicit Child(Body body) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(body());
    if (pid_ < 0) throw Error(Code::internal, text("fork: ", errno_text(errno)));
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    static_cast<void>(wait());
  }

  pid_t pid() const noexcept { return pid_; }
  /// The exit status, or -1 where the child ended otherwise.
  int wait() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0)
      if (errno != EINTR) return -1;
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_;
};

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string content;
  std::getline(file, content);
  return content;
}

std::string probe_shared_memory() {
  try {
    const memory::Segment segment = memory::Segment::create(1 << 16);
    const Mapping mapping = memory::map_remote(segment.name());
    *segment.data() = std::byte{42};
    return *mapping.data() == std::byte{42} ? "works"
                                            : "out: a second mapping does not show what was written";
  } catch (const Error& error) {
    return text("out: ", error.what());
  }
}

/// Two children, because ranks of a node are siblings: rules such as Yama's treat descendants otherwise.
std::string probe_attach() {
  const memory::AttachProbe word = memory::attach_probe();
  const Child target([] { return ::pause(); });
  Child reader([&] { return memory::attach_works(target.pid(), word) ? 0 : errno; });
  const int error = reader.wait();
  if (error == 0) return "works";
  const std::string scope = first_line("/proc/sys/kernel/yama/ptrace_scope");
  return text(
      "out: ", error > 0 ? errno_text(error) : "the trial ended abnormally",
      scope.empty() || scope == "0" ? "" : text("; kernel.yama.ptrace_scope is ", scope, ", 0 allows it"));
}

const char* choice_text(Choice choice) {
  switch (choice) {
    case Choice::off:
      return "off";
    case Choice::on:
      return "on";
    default:
      return "auto";
  }
}

std::string or_off(bool enabled, const char* variable, const std::string& found) {
  return enabled ? found : text("out: switched off by ", variable, "; otherwise: ", found);
}

std::string describe_gpus(const Config& config) {
  memory::Regions regions;
  std::string why;
  const std::unique_ptr<device::Gpus> gpus = device::find_gpus(config, regions, why);
  return gpus != nullptr ? gpus->description() : why;
}

}  // namespace

std::string transports_section(const Config& config) {
  const std::string shared = probe_shared_memory();
  const std::string attach = probe_attach();
  const bool attach_off = config.attach == Choice::off;
  return text("Transports inside a node\n", line("self", "works"),
              line("shared memory", or_off(config.shm, "MPIX_LAYOUT_SHM", shared)),
              line("mapped memory", or_off(config.shm && config.mapped,
                                           config.shm ? "MPIX_LAYOUT_MAPPED" : "MPIX_LAYOUT_SHM", shared)),
              line("cross-memory attach",
                   or_off(config.shm && !attach_off, config.shm ? "MPIX_LAYOUT_ATTACH" : "MPIX_LAYOUT_SHM",
                          text(attach, " (MPIX_LAYOUT_ATTACH=", choice_text(config.attach), ")"))),
              line("memory of GPUs", describe_gpus(config)), "\n");
}

}  // namespace mpix::tools
