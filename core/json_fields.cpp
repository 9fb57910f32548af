#include "core/json_fields.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/check.h"
#include "core/printable.h"
#include "core/strict_json.h"

namespace boxgrad {

namespace {

constexpr std::size_t kMaxDepth = 12;

class FieldWriter : public JsonFields {
 public:
  explicit FieldWriter(std::string place) : place_(std::move(place)) {}

  nlohmann::ordered_json json = nlohmann::ordered_json::object();

  bool reading() const override { return false; }
  bool has(const std::string&) const override { return true; }
  void boolean(const std::string& key, bool& value) override { json[key] = value; }
  void text(const std::string& key, std::string& value) override {
    check_text(key, value);
    json[key] = value;
  }
  void texts(const std::string& key, std::vector<std::string>& values) override {
    for (const std::string& value : values) check_text(key, value);
    json[key] = values;
  }
  void numbers(const std::string& key, std::vector<double>& values, double, double, int) override {
    json[key] = values;
  }
  void object(const std::string& key, const std::function<void(JsonFields&)>& fields) override {
    FieldWriter inner(place_ + key + ".");
    fields(inner);
    json[key] = std::move(inner.json);
  }
  void objects(const std::string& key, std::size_t count, const std::function<void(std::size_t)>&,
               const std::function<void(JsonFields&, std::size_t)>& fields) override {
    json[key] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < count; ++i) {
      FieldWriter inner(concat(place_, key, "[", i, "]."));
      fields(inner, i);
      json[key].push_back(std::move(inner.json));
    }
  }
  void named_integers(const std::string& key,
                      std::vector<std::pair<std::string, std::int64_t>>& values, std::int64_t,
                      std::int64_t) override {
    json[key] = nlohmann::ordered_json::object();
    for (const auto& [name, value] : values) {
      check_text(key, name);
      json[key][name] = value;
    }
  }

 protected:
  void whole(const std::string& key, std::int64_t& value, std::int64_t, std::int64_t) override {
    json[key] = value;
  }
  void real(const std::string& key, double& value, double, double) override { json[key] = value; }

 private:
  void check_text(const std::string& key, const std::string& text) const {
    check(is_utf8(text), "write_json: a text of \"", place_, key,
          "\" is not UTF-8, and JSON has no others: \"", printable(text), "\"");
  }

  std::string place_;  // "colours.", in front of the keys
};

class FieldReader : public JsonFields {
 public:
  FieldReader(const nlohmann::json& json, const std::string& file, std::string place, bool partial)
      : json_(json), file_(file), place_(std::move(place)), partial_(partial) {
    check(json.is_object(), file, ": ",
          place_.empty() ? "the whole" : place_.substr(0, place_.size() - 1),
          " must be an object in braces, got ", shown(json));
  }

  bool reading() const override { return true; }
  bool has(const std::string& key) const override {
    asked_.insert(key);  // a setting that exists, for the list that finish() gives
    return json_.contains(key);
  }

  void boolean(const std::string& key, bool& value) override {
    if (const nlohmann::json* found = find(key)) {
      expect(found->is_boolean(), key, "true or false", *found);
      value = found->get<bool>();
    }
  }
  void text(const std::string& key, std::string& value) override {
    if (const nlohmann::json* found = find(key)) {
      expect(found->is_string(), key, "a text in quotes", *found);
      value = found->get<std::string>();
    }
  }
  void texts(const std::string& key, std::vector<std::string>& values) override {
    if (const nlohmann::json* found = find(key)) {
      expect(found->is_array(), key, "a list of texts", *found);
      std::vector<std::string> read;
      for (const nlohmann::json& item : *found) {
        expect(item.is_string(), key, "a list of texts", item);
        read.push_back(item.get<std::string>());
      }
      values = std::move(read);
    }
  }
  void numbers(const std::string& key, std::vector<double>& values, double min, double max,
               int count) override {
    if (const nlohmann::json* found = find(key)) {
      const bool fits =
          found->is_array() && (count < 0 || found->size() == static_cast<std::size_t>(count));
      expect(fits, key, count < 0 ? "a list of numbers" : concat("a list of ", count, " numbers"),
             *found);
      std::vector<double> read;
      for (const nlohmann::json& item : *found) read.push_back(real_of(key, item, min, max));
      values = std::move(read);
    }
  }
  void object(const std::string& key, const std::function<void(JsonFields&)>& fields) override {
    if (const nlohmann::json* found = find(key)) {
      FieldReader inner(*found, file_, place_ + key + ".", partial_);
      fields(inner);
      inner.finish();
    }
  }
  void objects(const std::string& key, std::size_t, const std::function<void(std::size_t)>& resize,
               const std::function<void(JsonFields&, std::size_t)>& fields) override {
    if (const nlohmann::json* found = find(key)) {
      expect(found->is_array(), key, "a list", *found);
      resize(found->size());
      for (std::size_t i = 0; i < found->size(); ++i) {
        FieldReader inner((*found)[i], file_, concat(place_, key, "[", i, "]."), partial_);
        fields(inner, i);
        inner.finish();
      }
    }
  }
  void named_integers(const std::string& key,
                      std::vector<std::pair<std::string, std::int64_t>>& values, std::int64_t min,
                      std::int64_t max) override {
    if (const nlohmann::json* found = find(key)) {
      expect(found->is_object(), key, "an object in braces", *found);
      std::vector<std::pair<std::string, std::int64_t>> read;
      for (const auto& [name, item] : found->items())
        read.emplace_back(name, whole_of(key + "." + name, item, min, max));
      values = std::move(read);
    }
  }
  /// Whatever nobody asked for is a misspelling, and would change nothing in silence.
  void finish() const {
    for (const auto& [key, value] : json_.items()) {
      if (asked_.count(key) > 0) continue;
      std::string known;
      for (const std::string& name : asked_) known += (known.empty() ? "" : ", ") + name;
      check(false, file_, ": there is no setting \"", place_, key, "\"; there are ", known);
    }
  }

 protected:
  void whole(const std::string& key, std::int64_t& value, std::int64_t min,
             std::int64_t max) override {
    if (const nlohmann::json* found = find(key)) value = whole_of(key, *found, min, max);
  }
  void real(const std::string& key, double& value, double min, double max) override {
    if (const nlohmann::json* found = find(key)) value = real_of(key, *found, min, max);
  }

 private:
  static std::string shown(const nlohmann::json& json) {
    std::string text = json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() > 60 ? text.substr(0, 60) + "..." : text;
  }
  const nlohmann::json* find(const std::string& key) {
    asked_.insert(key);
    const auto found = json_.find(key);
    if (found != json_.end()) return &*found;
    check(partial_, file_, ": \"", place_, key, "\" is missing");
    return nullptr;
  }
  void expect(bool condition, const std::string& key, const std::string& what,
              const nlohmann::json& got) const {
    check(condition, file_, ": \"", place_, key, "\" must be ", what, ", got ", shown(got));
  }
  std::int64_t whole_of(const std::string& key, const nlohmann::json& json, std::int64_t min,
                        std::int64_t max) const {
    const std::string what = concat("a whole number from ", min, " to ", max);
    expect(json.is_number_integer(), key, what, json);
    const bool huge = json.is_number_unsigned() &&
                      json.get<std::uint64_t>() >
                          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const std::int64_t value = huge ? 0 : json.get<std::int64_t>();
    expect(!huge && value >= min && value <= max, key, what, json);
    return value;
  }
  double real_of(const std::string& key, const nlohmann::json& json, double min, double max) const {
    const std::string what = concat("a number from ", min, " to ", max);
    expect(json.is_number(), key, what, json);
    const double value = json.get<double>();
    expect(std::isfinite(value) && value >= min && value <= max, key, what, json);
    return value;
  }

  const nlohmann::json& json_;
  const std::string& file_;
  std::string place_;
  bool partial_;
  mutable std::set<std::string> asked_;
};

void read_fields(const std::string& text, const std::string& file, bool partial,
                 const std::function<void(JsonFields&)>& fields) {
  const nlohmann::json json = parse_strict_json(text, file, "the file", kMaxDepth);
  FieldReader reader(json, file, "", partial);
  fields(reader);
  reader.finish();
}

}  // namespace

std::string write_json(const std::function<void(JsonFields&)>& fields) {
  FieldWriter writer("");
  fields(writer);
  return writer.json.dump(2) + "\n";
}

void read_json(const std::string& text, const std::string& file,
               const std::function<void(JsonFields&)>& fields) {
  read_fields(text, file, false, fields);
}

void read_partial_json(const std::string& text, const std::string& file,
                       const std::function<void(JsonFields&)>& fields) {
  read_fields(text, file, true, fields);
}

}  // namespace boxgrad
