#include "detection/cli/figures.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "detection/coco_evaluation.h"
#include "detection/evaluation.h"

namespace boxgrad::detection {

namespace {

void add_figures(nlohmann::ordered_json& json, const Figures& figures) {
  for (const auto& [name, figure] : figures)
    json[name] = figure ? nlohmann::ordered_json(*figure) : nlohmann::ordered_json(nullptr);
}

}  // namespace

FigureTable coco_figures(const Answers& answers, std::int64_t classes) {
  const CocoResult result = evaluate_coco(answers.detections, answers.targets, classes);
  FigureTable table{.all = result.all.named(), .classes = {}};
  for (const CocoFigures& own : result.classes) table.classes.push_back(own.named());
  return table;
}

FigureTable voc_figures(const Answers& answers, std::int64_t classes) {
  FigureTable table{.all = {}, .classes = std::vector<Figures>(static_cast<std::size_t>(classes))};
  for (const auto& [name, method] :
       {std::pair("AP50", ApMethod::area), std::pair("AP50_11_points", ApMethod::eleven_point)}) {
    const EvaluationResult result =
        evaluate_detections(answers.detections, answers.targets, classes, {.method = method});
    table.all.emplace_back(name, result.mean_ap);
    for (std::size_t k = 0; k < table.classes.size(); ++k)
      table.classes[k].emplace_back(name, result.classes[k].ap);
    if (method == ApMethod::area)
      table.all.emplace_back("AP50_any_class", result.class_agnostic.ap);
  }
  return table;
}

std::optional<double> figure_of(const Figures& figures, const std::string& name) {
  for (const auto& [own, figure] : figures)
    if (own == name) return figure;
  return {};
}

std::string figure_text(const std::optional<double>& figure) {
  char text[32] = "n/a";
  if (figure) std::snprintf(text, sizeof text, "%.3f", *figure);
  return text;
}

void Measurement::took(std::int64_t all_photos, double seconds,
                       std::optional<double> proposing_seconds) {
  const double ms_each = 1e3 / static_cast<double>(all_photos);
  photos = all_photos;
  ms_per_photo = ms_each * (seconds + proposing_seconds.value_or(0));
  if (proposing_seconds) ms_proposals = ms_each * *proposing_seconds;
}

std::string figures_json(const FigureTable& table, const std::vector<std::string>& class_names,
                         const Measurement& measured, const TrainingFigures* training) {
  nlohmann::ordered_json json;
  add_figures(json, table.all);
  json["classes"] = nlohmann::ordered_json::object();
  for (std::size_t k = 0; k < class_names.size(); ++k)
    add_figures(json["classes"][class_names[k]] = nlohmann::ordered_json::object(),
                table.classes[k]);
  json["run"] = measured.run;
  json["weights"] = measured.weights;
  json["data"] = measured.data;
  json["split"] = measured.split;
  json["style"] = measured.style;
  json["photos"] = measured.photos;
  json["ms_per_photo"] = measured.ms_per_photo;
  if (measured.ms_proposals) json["ms_proposals"] = *measured.ms_proposals;
  if (training != nullptr) {
    json["seconds_train"] = training->seconds;
    json["iterations"] = training->iterations;
    json["images"] = training->images;
    json["parameters"] = training->parameters;
  }
  // A folder's name may be of any bytes.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string ms_text(const Measurement& measured) {
  std::string text = concat(std::lround(measured.ms_per_photo), " ms a photo");
  if (measured.ms_proposals)
    text += concat(", ", std::lround(*measured.ms_proposals), " of them for its proposals");
  return text;
}

}  // namespace boxgrad::detection
