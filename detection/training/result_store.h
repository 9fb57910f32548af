#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace boxgrad::detection {

/// What came out of one long computation: figures by name, and curves.
struct Result {
  std::map<std::string, double> values = {};
  std::map<std::string, std::vector<double>> curves = {};

  /// Throws std::out_of_range naming what is missing.
  double value(const std::string& name) const;
  const std::vector<double>& curve(const std::string& name) const;
};

/// Results by name, each a JSON file in a folder. A table of sixty trainings takes an hour; whoever
/// stops it after half of that goes on with the thirty-first.
///
///   const Result& r = store.get("fast_rcnn-seed_0", "2000 scenes, 2000 steps", [&] { return
///   train(...); });
class ResultStore {
 public:
  /// The folder is created with the first result.
  /// log  where lines about files that are replaced go; null: standard error
  explicit ResultStore(std::filesystem::path folder, std::ostream* log = nullptr)
      : folder_(std::move(folder)), log_(log) {}

  /// The result of that name: of this run, else from <folder>/<name>.json if that was made with the
  /// same settings, else computed and kept. What `compute` throws is passed on, and nothing is
  /// kept.
  ///
  /// name      letters, digits, '-', '_' and '.', the first a letter or digit
  /// settings  says all that the result depends on; a file with other settings, or one that cannot
  ///           be read, is replaced after a line that says so
  /// throws    std::invalid_argument for another name or a result with a number that is not finite;
  ///           std::runtime_error when the file cannot be written
  const Result& get(const std::string& name, const std::string& settings,
                    const std::function<Result()>& compute);

  /// Whether get() would not compute.
  bool has(const std::string& name, const std::string& settings) const;

 private:
  std::filesystem::path folder_;
  std::ostream* log_;
  std::map<std::string, std::pair<std::string, Result>> known_;  ///< name: settings, result
};

}  // namespace boxgrad::detection
