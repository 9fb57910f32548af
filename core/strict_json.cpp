#include "core/strict_json.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <vector>

#include "core/check.h"

namespace boxgrad {

namespace {

/// Refuses repeated keys and depth. (The parser's own callback could do it, but walks through all
/// siblings at the end of each object: quadratic for a long file.)
struct StrictRules : nlohmann::json_sax<nlohmann::json> {
  StrictRules(const std::string& file_name, const std::string& part, std::size_t depth)
      : file(file_name), what(part), max_depth(depth) {}
  const std::string &file, &what;
  std::size_t max_depth;
  std::vector<std::set<std::string>> keys = {};  // one set per open object or list

  bool open() {
    keys.emplace_back();
    check(keys.size() <= max_depth, file, ": ", what, " is nested too deeply");
    return true;
  }
  bool close() {
    keys.pop_back();
    return true;
  }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& key) override {
    check(keys.back().insert(key).second, file, ": the name \"", key, "\" stands in ", what,
          " twice");
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::json::exception& error) override {
    throw std::invalid_argument(concat(file, ": ", what, " is not JSON: ", error.what()));
  }
};

}  // namespace

nlohmann::json parse_strict_json(std::string_view text, const std::string& file,
                                 const std::string& what, std::size_t max_depth) {
  StrictRules rules(file, what, max_depth);
  nlohmann::json::sax_parse(text, &rules);  // throws
  return nlohmann::json::parse(text);
}

std::int64_t whole_number(const nlohmann::json& json, const std::string& what) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  check(
      json.is_number_integer() && (!json.is_number_unsigned() || json.get<std::uint64_t>() <= most),
      what, " must be a whole number of 64 bits, got ", json.type_name(),
      json.is_number() ? concat(" ", json.dump()) : "");
  return json.get<std::int64_t>();
}

std::uint64_t natural_number(const nlohmann::json& json, const std::string& what) {
  check(json.is_number_unsigned(), what, " must be a whole number >= 0 of 64 bits, got ",
        json.type_name(), json.is_number() ? concat(" ", json.dump()) : "");
  return json.get<std::uint64_t>();
}

}  // namespace boxgrad
