#include "detection/detections_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.h"

namespace boxgrad::detection {

std::string detections_json(const std::string& name, const Image& photo,
                            const Detections& detections,
                            const std::vector<std::string>& class_names) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  const auto corners = std::as_const(detections.boxes).data();
  for (std::size_t i = 0; i < detections.scores.size(); ++i) {
    const auto at = [&](std::size_t k) { return static_cast<double>(corners[4 * i + k]); };
    Json found{{"score", static_cast<double>(detections.scores[i])}};
    if (!class_names.empty()) {
      const std::int64_t label = detections.labels[i];
      check(label >= 1 && label <= static_cast<std::int64_t>(class_names.size()),
            "detections_json: label ", label, " has no name");
      found["label"] = class_names[static_cast<std::size_t>(label - 1)];
    }
    found["x"] = at(0);
    found["y"] = at(1);
    found["width"] = at(2) - at(0);
    found["height"] = at(3) - at(1);
    list.push_back(std::move(found));
  }
  return Json{{"image", name},
              {"width", photo.width()},
              {"height", photo.height()},
              {"detections", std::move(list)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace boxgrad::detection
