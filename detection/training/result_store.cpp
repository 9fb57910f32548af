#include "detection/training/result_store.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "core/check.h"
#include "core/files.h"

namespace boxgrad::detection {

namespace {

constexpr std::uint64_t kMaxResultBytes = 16 << 20;

void check_result_name(const std::string& name) {
  const auto fine = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  check(!name.empty() && std::isalnum(static_cast<unsigned char>(name[0])) &&
            std::ranges::all_of(name, fine),
        "ResultStore: a name consists of letters, digits, '-', '_' and '.', got \"", name, "\"");
}

std::string result_to_json(const std::string& settings, const Result& result) {
  nlohmann::ordered_json json;
  json["settings"] = settings;
  json["values"] = result.values;
  json["curves"] = result.curves;
  return json.dump(1) + "\n";
}

/// What the file holds, or none and the reason.
std::optional<Result> read_result(const std::filesystem::path& file, const std::string& settings,
                                  std::string& reason) {
  try {
    const std::string text = read_text_file(file, kMaxResultBytes);
    const nlohmann::json json = nlohmann::json::parse(std::string_view(text));
    if (json.at("settings").get<std::string>() != settings) {
      reason = "was made with other settings";
      return std::nullopt;
    }
    return Result{json.at("values").get<std::map<std::string, double>>(),
                  json.at("curves").get<std::map<std::string, std::vector<double>>>()};
  } catch (const std::exception& error) {
    reason = concat("cannot be read (", error.what(), ")");
    return std::nullopt;
  }
}

}  // namespace

double Result::value(const std::string& name) const {
  const auto found = values.find(name);
  if (found == values.end()) throw std::out_of_range(concat("Result: no value \"", name, "\""));
  return found->second;
}

const std::vector<double>& Result::curve(const std::string& name) const {
  const auto found = curves.find(name);
  if (found == curves.end()) throw std::out_of_range(concat("Result: no curve \"", name, "\""));
  return found->second;
}

const Result& ResultStore::get(const std::string& name, const std::string& settings,
                               const std::function<Result()>& compute) {
  check_result_name(name);
  if (const auto found = known_.find(name);
      found != known_.end() && found->second.first == settings)
    return found->second.second;
  const std::filesystem::path file = folder_ / (name + ".json");
  std::optional<Result> result;
  if (std::filesystem::exists(file)) {
    std::string reason;
    result = read_result(file, settings, reason);
    if (!result)
      (log_ ? *log_ : std::cerr) << file.string() << " " << reason << ": computed again\n";
  }
  if (!result) {
    result = compute();
    for (const auto& [key, value] : result->values)
      check(std::isfinite(value), "ResultStore: ", name, ": ", key, " is ", value);
    for (const auto& [key, values] : result->curves)
      for (const double value : values)
        check(std::isfinite(value), "ResultStore: ", name, ": ", key, " has ", value);
    std::filesystem::create_directories(folder_);
    write_file_atomically(file, result_to_json(settings, *result));
  }
  auto& entry = known_[name];
  entry = {settings, std::move(*result)};
  return entry.second;
}

bool ResultStore::has(const std::string& name, const std::string& settings) const {
  if (const auto found = known_.find(name);
      found != known_.end() && found->second.first == settings)
    return true;
  const std::filesystem::path file = folder_ / (name + ".json");
  std::string reason;
  return std::filesystem::exists(file) && read_result(file, settings, reason).has_value();
}

}  // namespace boxgrad::detection
