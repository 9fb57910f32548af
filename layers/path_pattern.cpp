#include "layers/path_pattern.h"

#include <regex>

#include "core/check.h"

namespace boxgrad::nn {

std::vector<bool> match_paths(const std::string& pattern, const std::vector<std::string>& paths) {
  std::regex expression;
  try {
    expression = std::regex(pattern);
  } catch (const std::regex_error& error) {
    check(false, "match_paths: \"", pattern, "\" is not a regular expression: ", error.what());
  }
  std::vector<bool> matches;
  for (const std::string& path : paths) matches.push_back(std::regex_match(path, expression));
  return matches;
}

}  // namespace boxgrad::nn
