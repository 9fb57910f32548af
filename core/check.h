#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace boxgrad {

/// Joins its arguments into one string with operator<<: concat("got ", 3, " boxes").
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

/// Throws std::invalid_argument with the joined parts unless `condition` holds.
/// Pass the parts, not a built string: they are formatted only on failure.
///
///   check(stride > 0, "conv2d: stride must be > 0, got ", stride);
///
/// Messages read `op: what must hold, with the expected value, got <actual>`.
template <class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    throw std::invalid_argument(concat(parts...));
}

}  // namespace boxgrad
