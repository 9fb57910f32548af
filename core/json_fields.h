#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace boxgrad {

/// The fields of a struct as those of a JSON object, listed once for reading and writing:
///
///   void fields(JsonFields& io, Options& o) {
///     io.integer("size_px", o.size_px, 32, 4096);
///     io.number("rate", o.rate, 0, 1);
///   }
///   const std::string text = write_json([&](JsonFields& io) { fields(io, options); });
///   read_json(text, "config.json", [&](JsonFields& io) { fields(io, options); });
///
/// When reading, every call fills its value or throws std::invalid_argument that names file and
/// key, says what was expected and what was found: for another type, a number outside of its range
/// (both ends belong to it), a key that is not there, and, at the end, for keys that nobody asked
/// for.
class JsonFields {
 public:
  virtual ~JsonFields() = default;
  virtual bool reading() const = 0;
  /// Reading: whether the key is there. Writing: true.
  virtual bool has(const std::string& key) const = 0;

  virtual void boolean(const std::string& key, bool& value) = 0;
  virtual void text(const std::string& key, std::string& value) = 0;
  virtual void texts(const std::string& key, std::vector<std::string>& values) = 0;
  /// A list of finite numbers; exactly `count` of them unless that is negative.
  virtual void numbers(const std::string& key, std::vector<double>& values, double min, double max,
                       int count = -1) = 0;
  virtual void object(const std::string& key, const std::function<void(JsonFields&)>& fields) = 0;
  /// A list of objects: `fields` is called for each with its place. When reading, `resize` first
  /// hears how many there are; when writing there are `count`.
  virtual void objects(const std::string& key, std::size_t count,
                       const std::function<void(std::size_t)>& resize,
                       const std::function<void(JsonFields&, std::size_t)>& fields) = 0;
  /// Whole numbers under names that are not known beforehand.
  virtual void named_integers(const std::string& key,
                              std::vector<std::pair<std::string, std::int64_t>>& values,
                              std::int64_t min, std::int64_t max) = 0;

  /// Any integer type that holds `max`.
  template <class Integer>
  void integer(const std::string& key, Integer& value, std::int64_t min, std::int64_t max) {
    std::int64_t wide = static_cast<std::int64_t>(value);
    whole(key, wide, min, max);
    value = static_cast<Integer>(wide);
  }
  /// A finite float or double.
  template <class Real>
  void number(const std::string& key, Real& value, double min, double max) {
    double wide = static_cast<double>(value);
    real(key, wide, min, max);
    value = static_cast<Real>(wide);
  }

 protected:
  virtual void whole(const std::string& key, std::int64_t& value, std::int64_t min,
                     std::int64_t max) = 0;
  virtual void real(const std::string& key, double& value, double min, double max) = 0;
};

/// What `fields` lists as JSON with two blanks of indentation, in the order of the list.
/// Throws std::invalid_argument, with key and text, for a text that is not UTF-8.
std::string write_json(const std::function<void(JsonFields&)>& fields);

/// `file` stands in the messages. Throws as described, and for text that is no JSON object, has a
/// key twice or is nested deeper than 12.
void read_json(const std::string& text, const std::string& file,
               const std::function<void(JsonFields&)>& fields);

/// The same, where keys may be missing: they keep the value that they have.
void read_partial_json(const std::string& text, const std::string& file,
                       const std::function<void(JsonFields&)>& fields);

}  // namespace boxgrad
