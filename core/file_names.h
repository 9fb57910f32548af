#pragma once

#include <functional>
#include <set>
#include <string>

#include "core/check.h"

namespace boxgrad {

/// `name` with '_' in the place of what no file's name may hold on any system, or a shell would
/// stumble over. Bytes of UTF-8 stay: most of the world's names are made of them.
std::string in_file_name(std::string name);

/// `name`, or "name_2", "name_3", ..., the first whose key none of `taken` is; it is taken then.
/// Files that would be called alike get names of their own by it. A key of lower case is for disks
/// that do not tell upper case apart.
template <class Key = std::identity>
std::string free_name(const std::string& name, std::set<std::string>& taken, Key key = {}) {
  std::string free = name;
  for (int i = 2; !taken.insert(key(free)).second; ++i) free = concat(name, "_", i);
  return free;
}

}  // namespace boxgrad
