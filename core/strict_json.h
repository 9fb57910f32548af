#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace boxgrad {

/// Parses JSON that came from a stranger, refusing what the plain parser takes: an object with one
/// key twice, whose meaning would be a matter of taste, and depth.
///
/// file, what  stand in the messages: "<file>: the name "x" stands in <what> twice"
/// max_depth   open lists and objects at any place
/// throws      std::invalid_argument
nlohmann::json parse_strict_json(std::string_view text, const std::string& file,
                                 const std::string& what, std::size_t max_depth);

}  // namespace boxgrad
