#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/check.h"

/// Where tests put thousands of small files: a disk would need minutes.
namespace boxgrad {

/// A folder of this process that is not there yet, in memory where the system has such a place.
inline std::filesystem::path memory_folder(const std::string& name) {
  const std::filesystem::path memory = "/dev/shm";
  return (::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path()) /
         concat("boxgrad_", name, "_", ::getpid());
}

}  // namespace boxgrad
