#include "layers/path_pattern.h"

#include <regex.h>

#include "core/check.h"

namespace boxgrad::nn {

std::vector<bool> match_paths(const std::string& pattern, const std::vector<std::string>& paths) {
  regex_t expression;
  const std::string whole = "^(" + pattern + ")$";
  if (const int error = regcomp(&expression, whole.c_str(), REG_EXTENDED | REG_NOSUB)) {
    char why[128];
    regerror(error, &expression, why, sizeof why);
    check(false, "match_paths: \"", pattern, "\" is not a regular expression: ", why);
  }
  std::vector<bool> matches;
  for (const std::string& path : paths)
    matches.push_back(regexec(&expression, path.c_str(), 0, nullptr, 0) == 0);
  regfree(&expression);
  return matches;
}

}  // namespace boxgrad::nn
