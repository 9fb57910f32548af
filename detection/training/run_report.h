#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/report.h"
#include "detection/data/dataset.h"
#include "detection/evaluation.h"
#include "detection/training/evaluate.h"
#include "detection/training/trainer.h"

namespace boxgrad::detection {

/// What a run ended with, for people (index.html) and programs (metrics.json).
struct RunResult {
  TrainingSummary training;
  EvaluationResult evaluation;
  Answers answers;  ///< that the evaluation looked at
  std::vector<std::string> class_names;
  std::int64_t parameters = 0;
  std::int64_t batch_size = 0;
  /// What else was measured, as further entries of metrics.json: {"ms_per_image", 12.5}.
  std::vector<std::pair<std::string, double>> figures = {};
};

/// {"ap50": .., "ap50_class_agnostic": .., "ap": {class: .. or null}, "seconds_train": ..,
///  "seconds_build": .. or null, "images": .., "iterations": .., "parameters": .., and each of
///  result.figures}
/// seconds_build is what the Makefile measured and says in BOXGRAD_BUILD_SECONDS.
std::string metrics_json(const RunResult& result);

/// The sections that every run has: figures in a row, curves of the loss by part, of the rate and
/// of AP over time, AP per class and precision over recall, and pictures of found objects and of
/// the worst errors. The pictures are written into `folder`/images; small images are enlarged, photos
/// of more than 640 px made smaller.
void add_run_sections(Report& report, const RunResult& result, const Dataset& validation,
                      const std::filesystem::path& folder);

/// AP on the validation photos over the seconds of training, an SVG.
std::string ap_chart(const TrainingLog& log);

/// The `count` worst images (worst_images()), or as many as have an error: boxes judged without their
/// class, found in green, false in red, found twice in amber, missed dashed in white. Those of
/// more than side_px are brought to that size, small ones are enlarged (core/draw.h).
std::vector<Image> worst_pictures(const RunResult& result, const Dataset& validation, int count,
                                  int side_px);

/// `count` images of a dataset on one sheet, with their truths.
Image truth_sheet(const Dataset& dataset, int count);

}  // namespace boxgrad::detection
