#include "detection/training/log.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/check.h"
#include "core/strict_json.h"

namespace boxgrad::detection {

using Json = nlohmann::json;

namespace {

Json to_json(const TrainingRecord& r) {
  Json parts = Json::array();
  for (const auto& [name, value] : r.parts) parts.push_back({name, value});
  return {{"iteration", r.iteration},
          {"seconds", r.seconds},
          {"loss", r.loss},
          {"parts", parts},
          {"rate", r.rate},
          {"images_per_second", r.images},
          {"positives_per_image", r.positives}};
}

Json to_json(const ValidationRecord& v) {
  return {{"iteration", v.iteration},
          {"seconds", v.seconds},
          {"ap50", v.ap50},
          {"ap50_class_agnostic", v.ap50_class_agnostic}};
}

TrainingRecord record_from(const Json& json) {
  TrainingRecord r{.iteration = whole_number(json.at("iteration"), "training log: iteration"),
                   .seconds = json.at("seconds"),
                   .loss = json.at("loss"),
                   .rate = json.at("rate"),
                   .images = json.at("images_per_second"),
                   .positives = json.at("positives_per_image")};
  for (const Json& part : json.at("parts"))
    r.parts.emplace_back(part.at(0).get<std::string>(), part.at(1).get<double>());
  return r;
}

}  // namespace

std::string TrainingLog::to_json() const {
  Json json = {{"steps", Json::array()}, {"validations", Json::array()}};
  json["pending"] = detection::to_json(pending);
  for (const TrainingRecord& r : steps) json["steps"].push_back(detection::to_json(r));
  for (const ValidationRecord& v : validations)
    json["validations"].push_back(detection::to_json(v));
  return json.dump();
}

TrainingLog TrainingLog::from_json(const std::string& text) {
  TrainingLog log;
  try {
    const Json json = Json::parse(std::string_view(text));
    log.pending = record_from(json.at("pending"));
    for (const Json& r : json.at("steps")) log.steps.push_back(record_from(r));
    for (const Json& v : json.at("validations"))
      log.validations.push_back({whole_number(v.at("iteration"), "training log: iteration"),
                                 v.at("seconds"), v.at("ap50"), v.at("ap50_class_agnostic")});
  } catch (const Json::exception& error) {
    throw std::invalid_argument(concat("training log: not as it was written: ", error.what()));
  }
  return log;
}

std::string TrainingLog::to_csv() const {
  std::ostringstream out;
  out.precision(8);
  const std::size_t parts = steps.empty() ? 0 : steps.front().parts.size();
  out << "iteration,seconds,loss";
  for (std::size_t k = 0; k < parts; ++k) out << ',' << steps.front().parts[k].first << "_loss";
  out << ",rate,images_per_second,positives_per_image,ap50,ap50_class_agnostic\n";
  std::size_t next = 0;
  const auto looks_until = [&](std::int64_t iteration) {
    for (; next < validations.size() && validations[next].iteration < iteration; ++next) {
      const ValidationRecord& v = validations[next];
      out << v.iteration << ',' << v.seconds << std::string(parts + 5, ',') << v.ap50 << ','
          << v.ap50_class_agnostic << '\n';
    }
  };
  for (const TrainingRecord& r : steps) {
    looks_until(r.iteration);
    out << r.iteration << ',' << r.seconds << ',' << r.loss;
    for (const auto& [name, value] : r.parts) out << ',' << value;
    out << ',' << r.rate << ',' << r.images << ',' << r.positives << ",,\n";
  }
  looks_until(std::numeric_limits<std::int64_t>::max());
  return out.str();
}

std::string TrainingLog::to_json_lines() const {
  std::string lines;
  std::size_t next = 0;
  const auto until = [&](std::int64_t iteration) {
    for (; next < validations.size() && validations[next].iteration < iteration; ++next)
      lines += detection::to_json(validations[next]).dump() + "\n";
  };
  for (const TrainingRecord& r : steps) {
    until(r.iteration);
    Json line = detection::to_json(r);
    line["parts"] = Json::object();
    for (const auto& [name, value] : r.parts) line["parts"][name] = value;
    lines += line.dump() + "\n";
  }
  until(std::numeric_limits<std::int64_t>::max());
  return lines;
}

}  // namespace boxgrad::detection
