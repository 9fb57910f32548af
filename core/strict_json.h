#pragma once

#include <cstddef>
#include <cstdint>
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

/// A whole number of 64 bits. The parser's own conversion takes 1e30 as well, and what comes of it
/// is undefined. Throws std::invalid_argument, `what` in front, for anything else.
std::int64_t whole_number(const nlohmann::json& json, const std::string& what);
/// The same for 0 to 2^64 - 1.
std::uint64_t natural_number(const nlohmann::json& json, const std::string& what);

}  // namespace boxgrad
