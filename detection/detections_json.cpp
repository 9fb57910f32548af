#include "detection/detections_json.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace boxgrad::detection {

std::string detections_json(const std::string& name, const Image& photo,
                            const Detections& detections) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  const auto corners = std::as_const(detections.boxes).data();
  for (std::size_t i = 0; i < detections.scores.size(); ++i) {
    const auto at = [&](std::size_t k) { return static_cast<double>(corners[4 * i + k]); };
    list.push_back(Json{{"score", static_cast<double>(detections.scores[i])},
                        {"x", at(0)},
                        {"y", at(1)},
                        {"width", at(2) - at(0)},
                        {"height", at(3) - at(1)}});
  }
  return Json{{"image", name},
              {"width", photo.width()},
              {"height", photo.height()},
              {"detections", std::move(list)}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace boxgrad::detection
