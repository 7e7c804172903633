// SPDX-License-Identifier: BSD-3-Clause
#include "api/progress.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "api/process.hpp"
#include "api/request.hpp"

namespace mpix::api::progress {
namespace {

using Callback = int (*)();

/// Open MPI's progress engine, found at run time: null members on other MPIs.
struct OpenMpi {
  int (*register_callback)(Callback) = nullptr;
  int (*unregister_callback)(Callback) = nullptr;
  void (*progress)() = nullptr;

  OpenMpi() {
    // The MPI may have been loaded without its symbols becoming global (Python): ask its own dependencies
    // too.
    void* const mpi = dlopen_of(reinterpret_cast<const void*>(&MPI_Init));
    find(mpi, "opal_progress_register", register_callback);
    find(mpi, "opal_progress_unregister", unregister_callback);
    find(mpi, "opal_progress", progress);
  }
  bool found() const noexcept { return register_callback != nullptr && unregister_callback != nullptr; }

 private:
  static void* dlopen_of(const void* address) {
    Dl_info info{};
    if (::dladdr(address, &info) == 0 || info.dli_fname == nullptr) return nullptr;
    return ::dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);  // stays loaded: MPI cannot be unloaded anyway
  }
  template <typename Function>
  static void find(void* mpi, const char* name, Function& function) {
    void* symbol = ::dlsym(RTLD_DEFAULT, name);
    if (symbol == nullptr && mpi != nullptr) symbol = ::dlsym(mpi, name);
    function = reinterpret_cast<Function>(symbol);
  }
};

const OpenMpi& open_mpi() {
  static const OpenMpi found;
  return found;
}

struct Enlisted {
  SpinLock lock;
  std::vector<Communicator*> communicators;
  std::atomic<bool> any{false};
};

Enlisted& enlisted() {
  static Enlisted all;
  return all;
}

/// The thread of Way::thread; runs while there are communicators with requests.
class Thread {
 public:
  /// Stopped in MPI_Finalize. Where the process ends otherwise the thread may be inside MPI, which its
  /// aborting caller holds: waiting for it would be for ever.
  ~Thread() {
    stopping_ = true;
    if (thread_.joinable()) thread_.detach();
  }
  void start() {
    const std::lock_guard guard(mutex_);
    if (thread_.joinable()) return;
    stopping_ = false;
    thread_ = std::thread([this] { loop(); });
  }
  void stop() noexcept {
    const std::lock_guard guard(mutex_);
    if (!thread_.joinable()) return;
    stopping_ = true;
    thread_.join();
  }

 private:
  void loop() noexcept {
    while (!stopping_)
      if (run() == 0) std::this_thread::sleep_for(std::chrono::microseconds(enlisted().any ? 20 : 1000));
  }
  std::mutex mutex_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

Thread& thread() {
  static Thread only;
  return only;
}

/// One pass over all enlisted communicators that completes no requests, and so makes no call of MPI.
void run_alone() noexcept {
  Enlisted& all = enlisted();
  if (!all.any.load(std::memory_order_acquire) || !all.lock.try_lock()) return;
  for (Communicator* const communicator : all.communicators) communicator->progress_alone();
  all.lock.unlock();
}

/// The thread behind accompany(); made on the first call, it sleeps while nobody needs it.
class Companion {
 public:
  Companion() { enlisted(); }  // which therefore lives longer
  ~Companion() { stop(); }
  void add() {
    const std::lock_guard guard(mutex_);
    ++needed_;
    if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
    changed_.notify_one();
  }
  void remove() noexcept {
    const std::lock_guard guard(mutex_);
    --needed_;
  }
  void stop() noexcept {
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
    stopping_ = false;
  }

 private:
  void loop() noexcept {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (needed_ == 0) {
        changed_.wait(lock);
        continue;
      }
      lock.unlock();
      run_alone();
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  int needed_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

Companion& companion() {
  static Companion only;
  return only;
}

int hook() {
  return enlisted().any.load(std::memory_order_relaxed) ? run() : 0;
}

bool has_poll() noexcept {
#ifdef HAVE_MPIX_GREQUEST_START
  return true;
#else
  return false;
#endif
}

bool threads_allowed() {
  int level = MPI_THREAD_SINGLE;
  check_mpi(MPI_Query_thread(&level), "MPI_Query_thread");
  return level == MPI_THREAD_MULTIPLE;
}

Way choose() {
  const Progress wanted = Process::get().config().progress;
  if (wanted == Progress::hook && !open_mpi().found())
    throw Error(Code::argument,
                "MPIX_LAYOUT_PROGRESS=hook: this MPI has no progress engine that can be joined; use auto");
  if (wanted == Progress::poll && !has_poll())
    throw Error(Code::argument, "MPIX_LAYOUT_PROGRESS=poll: this MPI has no MPIX_Grequest_start; use auto");
  if (wanted == Progress::thread && !threads_allowed())
    throw Error(Code::argument, "MPIX_LAYOUT_PROGRESS=thread needs MPI_Init_thread with MPI_THREAD_MULTIPLE");
  if (wanted == Progress::hook || (wanted == Progress::automatic && open_mpi().found())) return Way::hook;
  if (wanted == Progress::poll || (wanted == Progress::automatic && has_poll())) return Way::poll;
  if (!threads_allowed())
    throw Error(Code::mpi, "nonblocking exchanges on this MPI need MPI_Init_thread with MPI_THREAD_MULTIPLE");
  return Way::thread;
}

}  // namespace

Way way() {
  static const Way chosen = choose();
  return chosen;
}

void ensure() {
  static std::once_flag once;
  if (way() == Way::thread) thread().start();
  if (way() != Way::hook) return;
  std::call_once(once, [] {
    if (open_mpi().register_callback(&hook) != 0) throw Error(Code::mpi, "opal_progress_register failed");
  });
}

void accompany() {
  companion().add();
}

void dismiss() noexcept {
  companion().remove();
}

void enlist(Communicator& communicator) {
  Enlisted& all = enlisted();
  const std::lock_guard guard(all.lock);
  auto& list = all.communicators;
  if (std::find(list.begin(), list.end(), &communicator) == list.end()) list.push_back(&communicator);
  all.any = true;
}

void withdraw(Communicator& communicator) noexcept {
  Enlisted& all = enlisted();
  const std::lock_guard guard(all.lock);
  std::erase(all.communicators, &communicator);
  all.any = !all.communicators.empty();
}

int run() noexcept {
  Enlisted& all = enlisted();
  if (!all.any.load(std::memory_order_acquire) || !all.lock.try_lock()) return 0;
  std::vector<Request*> completed;
  for (Communicator* const communicator : all.communicators) communicator->progress(completed);
  all.lock.unlock();
  for (Request* const request : completed) request->complete();
  return static_cast<int>(completed.size());
}

void idle() noexcept {
  run();
  if (open_mpi().progress != nullptr) {
    open_mpi().progress();
  } else {
    int flag = 0;
    warn_mpi(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_SELF, &flag, MPI_STATUS_IGNORE), "MPI_Iprobe");
  }
}

void stop() noexcept {
  thread().stop();
  companion().stop();
  if (open_mpi().found()) open_mpi().unregister_callback(&hook);
}

}  // namespace mpix::api::progress
