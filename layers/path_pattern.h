#pragma once

#include <string>
#include <vector>

namespace boxgrad::nn {

/// For each path whether the regular expression (POSIX, extended) matches it as a whole. Throws
/// std::invalid_argument when `pattern` is none. By the C library, since <regex> takes seconds to
/// compile.
std::vector<bool> match_paths(const std::string& pattern, const std::vector<std::string>& paths);

}  // namespace boxgrad::nn
