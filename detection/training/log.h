#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace boxgrad::detection {

/// Averages over the iterations since the record before.
struct TrainingRecord {
  std::int64_t iteration = 0;  ///< steps done so far
  double seconds = 0;          ///< of training so far, earlier runs of a resumed training included
  double loss = 0;
  std::vector<std::pair<std::string, double>> parts = {};
  double rate = 0;       ///< learning rate at the end
  double images = 0;     ///< per second
  double positives = 0;  ///< anchors or regions per image that had an object to predict
};

/// A look at the validation set.
struct ValidationRecord {
  std::int64_t iteration = 0;
  double seconds = 0;  ///< of training, without validation
  double ap50 = 0;
  double ap50_class_agnostic = 0;
};

/// The course of a training: what curves are drawn from, and part of every checkpoint.
struct TrainingLog {
  std::vector<TrainingRecord> steps;
  std::vector<ValidationRecord> validations;
  /// Sums since the last record, not yet a mean: kept so that a resumed run goes on inside one.
  /// `iteration` and `seconds` are those of the last record; `images` counts images.
  TrainingRecord pending;

  std::string to_json() const;
  /// Throws std::invalid_argument when the text is not what to_json() writes.
  static TrainingLog from_json(const std::string& text);
  /// One line per record, for spreadsheets: iteration,seconds,loss,<parts>,rate,images_per_second,
  /// positives_per_image,ap50,ap50_class_agnostic. A line is of steps or of a look at the validation
  /// set, and empty where the other kind has its numbers.
  std::string to_csv() const;
  /// One object a line, for programs: {"iteration", "seconds", "loss", ...}, and among them, where
  /// it was measured, {"iteration", "seconds", "ap50", "ap50_class_agnostic"}.
  std::string to_json_lines() const;
};

}  // namespace boxgrad::detection
