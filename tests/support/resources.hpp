// SPDX-License-Identifier: BSD-3-Clause
/// What this process holds of the system's resources, to find leaks.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "base/text.hpp"

namespace mpix::test {

struct Resources {
  std::int64_t descriptors = 0;  ///< open files
  std::int64_t mappings = 0;     ///< lines of /proc/self/maps
  std::int64_t threads = 0;
  std::int64_t resident = 0;  ///< bytes of physical memory
};

inline std::int64_t entries_of(const char* directory) {
  DIR* const dir = opendir(directory);
  if (dir == nullptr) return -1;
  std::int64_t count = 0;
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

inline Resources resources() {
  Resources now;
  now.descriptors = entries_of("/proc/self/fd");
  now.threads = entries_of("/proc/self/task");
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) ++now.mappings;
  std::ifstream status("/proc/self/statm");
  std::int64_t pages = 0;
  status >> pages >> now.resident;
  now.resident *= 4096;
  return now;
}

inline std::string to_text(const Resources& r) {
  return text(r.descriptors, " descriptors, ", r.mappings, " mappings, ", r.threads, " threads, ",
              r.resident >> 10, " KiB resident");
}

}  // namespace mpix::test
