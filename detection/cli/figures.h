#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection/training/evaluate.h"
#include "detection/training/trainer.h"

/// How good a detector is, as `train` and `eval` print it and write it to metrics.json.
namespace boxgrad::detection {

/// "AP" and its value, which is empty for a figure that is about nothing.
using Figures = std::vector<std::pair<std::string, std::optional<double>>>;

/// One figure of each kind for all classes together, and of each class.
struct FigureTable {
  Figures all;
  std::vector<Figures> classes;
};

/// COCO's twelve.
FigureTable coco_figures(const Answers& answers, std::int64_t classes);
/// AP50 as VOC has it since 2010, as in 2007, and without regard to classes.
FigureTable voc_figures(const Answers& answers, std::int64_t classes);

/// The figure of such a name; empty also when there is none.
std::optional<double> figure_of(const Figures& figures, const std::string& name);
/// "0.915", or "n/a" for a figure that is about nothing.
std::string figure_text(const std::optional<double>& figure);

/// What was measured, and what it took.
struct Measurement {
  std::string run;
  std::string weights;  ///< the name of their file: those at the end, or the best
  std::string data, split, style;
  std::int64_t photos = 0;
  double ms_per_photo = 0;  ///< decoding, and proposals where the model needs them, included
  std::optional<double> ms_proposals = {};  ///< of these, for proposals from outside the network

  /// Fills the last three from the seconds that all photos took in the network and, where a model
  /// takes its proposals from outside, in making those.
  void took(std::int64_t all_photos, double seconds, std::optional<double> proposing_seconds);
};

/// A training beside it, for the metrics.json of a run.
struct TrainingFigures {
  double seconds = 0;           ///< in steps
  std::int64_t iterations = 0;  ///< done
  std::int64_t images = 0;      ///< seen in them
  std::int64_t parameters = 0;
};

/// metrics.json: the figures by name (null: about nothing), {"classes": {name: figures}}, then
/// "run", "weights", "data", "split", "style", "photos", "ms_per_photo" and, for proposals,
/// "ms_proposals"; of a training "seconds_train", "iterations", "images" and "parameters".
std::string figures_json(const FigureTable& table, const std::vector<std::string>& class_names,
                         const Measurement& measured, const TrainingFigures* training = nullptr);

/// "226 ms a photo, 200 of them for its proposals"
std::string ms_text(const Measurement& measured);

}  // namespace boxgrad::detection
