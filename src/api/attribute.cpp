// SPDX-License-Identifier: BSD-3-Clause
/// The life of a Communicator: found through an attribute of the MPI communicator, ended by MPI's calls of
/// the attributes' delete functions, at the latest at the begin of MPI_Finalize.
#include <algorithm>
#include <atomic>
#include <mutex>

#include "api/communicator.hpp"
#include "api/ending.hpp"
#include "api/errors.hpp"
#include "api/process.hpp"
#include "api/progress.hpp"

namespace mpix::api {
namespace {

using Shared = std::shared_ptr<Communicator>;

/// All communicators that were not closed yet, in the order in which they were made.
class Living {
 public:
  void add(const Shared& communicator) {
    const std::lock_guard guard(mutex_);
    all_.push_back(communicator);
  }
  /// False where it was taken already.
  bool remove(const Shared& communicator) {
    const std::lock_guard guard(mutex_);
    return std::erase(all_, communicator) > 0;
  }
  std::vector<Shared> take_all() {
    const std::lock_guard guard(mutex_);
    return std::exchange(all_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Shared> all_;
};

Living& living() {
  static Living all;
  return all;
}

/// Changes whenever a communicator goes away, so that what threads remember gets stale.
std::atomic<std::uint64_t> epoch{1};

struct Remembered {
  MPI_Comm comm = MPI_COMM_NULL;
  std::uint64_t epoch = 0;
  const Shared* communicator = nullptr;
};

int on_communicator_freed(MPI_Comm, int, void* value, void*) {
  const std::unique_ptr<Shared> owner(static_cast<Shared*>(value));
  epoch.fetch_add(1, std::memory_order_release);
  if (living().remove(*owner)) end_communicators({*owner}, false);
  return MPI_SUCCESS;
}

int make_keyval(MPI_Comm_delete_attr_function* on_delete) {
  int keyval = MPI_KEYVAL_INVALID;
  check_mpi(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_delete, &keyval, nullptr),
            "MPI_Comm_create_keyval");
  return keyval;
}

int communicator_keyval() {
  static const int keyval = make_keyval(&on_communicator_freed);
  return keyval;
}

void free_keyval(int keyval) noexcept {
  warn_mpi(MPI_Comm_free_keyval(&keyval), "MPI_Comm_free_keyval");
}

int on_finalize(MPI_Comm, int keyval, void*, void*) {
  epoch.fetch_add(1, std::memory_order_release);
  end_communicators(living().take_all(), true);
  progress::stop();
  free_keyval(communicator_keyval());
  free_keyval(keyval);
  return MPI_SUCCESS;
}

/// Has on_finalize called while MPI still works: the attributes of MPI_COMM_SELF go first.
void watch_finalize() {
  static std::once_flag once;
  std::call_once(once, [] {
    check_mpi(MPI_Comm_set_attr(MPI_COMM_SELF, make_keyval(&on_finalize), nullptr), "MPI_Comm_set_attr");
  });
}

void refuse_unsuitable(MPI_Comm comm) {
  if (comm == MPI_COMM_NULL) throw Error(Code::comm, "comm is MPI_COMM_NULL");
  int inter = 0;
  check_mpi(MPI_Comm_test_inter(comm, &inter), "MPI_Comm_test_inter");
  if (inter != 0)
    throw Error(Code::comm, "comm is an intercommunicator; merge its groups with MPI_Intercomm_merge first");
}

const Shared& attach(MPI_Comm comm) {
  refuse_unsuitable(comm);
  Process::get();
  make_error_classes();
  watch_finalize();
  void* value = nullptr;
  int found = 0;
  check_mpi(MPI_Comm_get_attr(comm, communicator_keyval(), &value, &found), "MPI_Comm_get_attr");
  if (found != 0) return *static_cast<Shared*>(value);
  auto made = std::make_unique<Shared>(std::make_shared<Communicator>(comm));
  check_mpi(MPI_Comm_set_attr(comm, communicator_keyval(), made.get()), "MPI_Comm_set_attr");
  living().add(*made);
  return *made.release();
}

}  // namespace

const std::shared_ptr<Communicator>& Communicator::get(MPI_Comm comm) {
  thread_local Remembered last;
  const std::uint64_t now = epoch.load(std::memory_order_acquire);
  if (last.comm == comm && last.epoch == now && last.communicator != nullptr) return *last.communicator;
  last = {comm, now, &attach(comm)};
  return *last.communicator;
}

}  // namespace mpix::api
