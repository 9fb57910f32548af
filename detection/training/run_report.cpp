#include "detection/training/run_report.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/charts.h"
#include "core/draw.h"
#include "core/progress.h"
#include "core/resize.h"
#include "core/svg.h"
#include "detection/draw.h"

namespace boxgrad::detection {

namespace fs = std::filesystem;

namespace {

constexpr int kSheetImages = 12;
constexpr int kSheetSide = 640;  ///< px: twelve photos as a camera takes them would be no page
constexpr double kShownScore = 0.3;

std::string number(double value, int digits = 3) { return format_number(value, digits); }

DrawOptions draw_options(double scale) {
  return {.scale = scale, .min_score = kShownScore, .thickness = 2};
}

/// An image as it stands on a sheet, small ones enlarged and large ones brought to side_px, and the
/// factor, for the boxes.
std::pair<Image, double> sized(const Image& image, int side_px) {
  if (std::max(image.width(), image.height()) <= side_px) return enlarged(image);
  Image small = resize_to_fit(image, side_px, side_px);
  const double factor = static_cast<double>(small.width()) / image.width();
  return {std::move(small), factor};
}

/// Losses over time, as means with the range of the noise around them.
std::string loss_chart(const TrainingLog& log) {
  std::vector<Series> curves;
  Series total{.name = "total"};
  for (const TrainingRecord& r : log.steps) {
    total.x.push_back(static_cast<double>(r.iteration));
    total.y.push_back(r.loss);
  }
  curves.push_back(total);
  for (std::size_t k = 0; k < log.steps.front().parts.size(); ++k) {
    Series part{.name = log.steps.front().parts[k].first, .x = total.x};
    for (const TrainingRecord& r : log.steps) part.y.push_back(r.parts[k].second);
    curves.push_back(std::move(part));
  }
  return line_chart(curves, {.title = "Loss", .x_label = "iteration", .log_y = true});
}

std::string rate_chart(const TrainingLog& log) {
  Series rate{.name = ""};
  for (const TrainingRecord& r : log.steps) {
    rate.x.push_back(static_cast<double>(r.iteration));
    rate.y.push_back(r.rate);
  }
  return line_chart({rate}, {.title = "Learning rate", .x_label = "iteration", .height = 220});
}

std::string precision_chart(const EvaluationResult& evaluation,
                            const std::vector<std::string>& names) {
  std::vector<Series> curves;
  for (std::size_t k = 0; k < evaluation.classes.size() && k < 8; ++k)
    curves.push_back({.name = names[k],
                      .x = evaluation.classes[k].recall,
                      .y = evaluation.classes[k].precision});
  return line_chart(curves, {.title = "Precision over recall",
                             .x_label = "recall",
                             .y_label = "precision",
                             .x_min = 0,
                             .x_max = 1,
                             .y_min = 0,
                             .y_max = 1});
}

/// One image with what was found, or with what became of it.
Image picture(const RunResult& result, const Dataset& validation, std::int64_t image, bool outcomes,
              int side_px) {
  const auto i = static_cast<std::size_t>(image);
  auto [canvas, scale] = sized(validation.get(image).image, side_px);
  if (outcomes) {
    draw_outcomes(canvas, result.answers.detections[i], result.answers.targets[i],
                  result.evaluation.class_agnostic, image, result.class_names, draw_options(scale));
  } else {
    draw_truths(canvas, result.answers.targets[i], result.class_names,
                {.scale = scale, .thickness = 1, .text_scale = 0});
    draw_detections(canvas, result.answers.detections[i], result.class_names, draw_options(scale));
  }
  return canvas;
}

void add_sheet(Report& report, const std::vector<Image>& images, const fs::path& folder,
               const std::string& name, const std::string& caption) {
  if (images.empty()) return;
  fs::create_directories(folder / "images");
  const std::string path = "images/" + name + ".png";
  image_grid(images).write_png(folder / path);
  report.picture({path, caption});
}

}  // namespace

Image truth_sheet(const Dataset& dataset, int count) {
  std::vector<Image> images;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(count, dataset.size()); ++i) {
    const Sample sample = dataset.get(i);
    auto [canvas, scale] = sized(sample.image, kSheetSide);
    draw_truths(canvas, sample.target, dataset.class_names(), draw_options(scale));
    images.push_back(std::move(canvas));
  }
  return image_grid(images);
}

std::string ap_chart(const TrainingLog& log) {
  Series classes{.name = "AP50, mean of classes", .markers = true};
  Series agnostic{.name = "AP50, any class", .markers = true};
  for (const ValidationRecord& v : log.validations) {
    classes.x.push_back(v.seconds);
    classes.y.push_back(v.ap50);
    agnostic.x.push_back(v.seconds);
    agnostic.y.push_back(v.ap50_class_agnostic);
  }
  return line_chart({classes, agnostic}, {.title = "Average precision on the validation set",
                                          .x_label = "seconds of training",
                                          .y_min = 0,
                                          .y_max = 1});
}

std::vector<Image> worst_pictures(const RunResult& result, const Dataset& validation, int count,
                                  int side_px) {
  std::vector<Image> pictures;
  for (const ImageError& error : worst_images({result.evaluation.class_agnostic}, kShownScore)) {
    if (pictures.size() == static_cast<std::size_t>(count)) break;
    pictures.push_back(picture(result, validation, error.image, true, side_px));
  }
  return pictures;
}

std::string metrics_json(const RunResult& result) {
  nlohmann::json json;
  const auto value = [](const std::optional<double>& ap) {
    return ap ? nlohmann::json(*ap) : nlohmann::json(nullptr);
  };
  json["ap50"] = value(result.evaluation.mean_ap);
  json["ap50_class_agnostic"] = value(result.evaluation.class_agnostic.ap);
  for (std::size_t k = 0; k < result.class_names.size(); ++k)
    json["ap"][result.class_names[k]] = value(result.evaluation.classes[k].ap);
  const char* build = std::getenv("BOXGRAD_BUILD_SECONDS");
  json["seconds_build"] = nullptr;
  if (build != nullptr && *build != '\0') json["seconds_build"] = std::atof(build);
  json["seconds_train"] = result.training.seconds;
  json["iterations"] = result.training.iterations;
  json["images"] = result.training.iterations * result.batch_size;
  json["parameters"] = result.parameters;
  for (const auto& [name, figure] : result.figures) json[name] = figure;
  return json.dump(2) + "\n";
}

void add_run_sections(Report& report, const RunResult& result, const Dataset& validation,
                      const fs::path& folder) {
  const auto& [training, evaluation, answers, names, parameters, batch_size, figures] = result;
  const double images = static_cast<double>(training.iterations * batch_size);
  std::vector<std::pair<std::string, std::string>> numbers{
      {"AP50", evaluation.mean_ap ? number(*evaluation.mean_ap) : "n/a"},
      {"AP50, any class", evaluation.class_agnostic.ap_text()}};
  if (training.iterations > 0) {  // else it was trained at another time
    numbers.emplace_back("training", Progress::duration(training.seconds));
    numbers.emplace_back("images per second", number(images / std::max(training.seconds, 1e-9)));
  }
  numbers.emplace_back("parameters", std::to_string(parameters));
  report.numbers(numbers);

  report.section("What it finds");
  std::vector<Image> found;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(kSheetImages, validation.size()); ++i)
    found.push_back(picture(result, validation, i, false, kSheetSide));
  add_sheet(report, found, folder, "found",
            concat("The first images of the validation set: answers with a score of at least ",
                   kShownScore, "; truths dashed."));

  if (!training.log.steps.empty()) {
    report.section("Training").svg(loss_chart(training.log), "The loss by part.");
    report.svg(rate_chart(training.log));
  }
  if (training.log.validations.size() > 1) report.svg(ap_chart(training.log));

  report.section("Classes");
  std::vector<std::vector<std::string>> rows;
  std::vector<double> values;
  for (std::size_t k = 0; k < names.size(); ++k) {
    const ClassResult& c = evaluation.classes[k];
    rows.push_back(
        {names[k], std::to_string(c.num_truths), c.ap_text(), std::to_string(c.missed.size())});
    values.push_back(c.ap.value_or(0));
  }
  report.svg(bar_chart(names, {{"AP50", values}}, {.x_min = 0, .x_max = 1}), "AP50 of each class.");
  report.table({"class", "truths", "AP50", "never found"}, rows);
  report.svg(precision_chart(evaluation, names));

  report.section("Worst errors");
  add_sheet(report, worst_pictures(result, validation, kSheetImages, kSheetSide), folder, "worst",
            "Boxes judged without their class: found in green, false in red, found twice in amber, "
            "missed dashed in white.");
}

}  // namespace boxgrad::detection
