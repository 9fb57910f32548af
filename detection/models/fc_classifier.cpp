#include "detection/models/fc_classifier.h"

#include <utility>

#include "core/check.h"
#include "detection/models/fc_layers.h"
#include "layers/flatten.h"
#include "layers/linear.h"

namespace boxgrad::detection {

FcClassifier::FcClassifier(std::shared_ptr<Backbone> backbone, std::int64_t map_h,
                           std::int64_t map_w, const FcClassifierOptions& options)
    : map_h_(map_h), map_w_(map_w) {
  check(backbone != nullptr, "FcClassifier: the backbone must not be null");
  check(map_h >= 1 && map_w >= 1, "FcClassifier: the map must be at least 1 x 1, got ", map_h,
        " x ", map_w);
  check(options.num_classes >= 1, "FcClassifier: num_classes must be >= 1, got ",
        options.num_classes);
  std::int64_t width = map_h * map_w * backbone->channels().back();
  backbone_ = add_module("backbone", std::move(backbone));
  for (const auto& [name, layer] : fc_layers(width, options.hidden, options.dropout))
    layers_.push_back(add_module(name, layer));
  if (!options.hidden.empty()) width = options.hidden.back();
  layers_.push_back(add_module(concat("fc", 6 + options.hidden.size()),
                               std::make_shared<nn::Linear>(width, options.num_classes)));
}

Tensor FcClassifier::forward(const Tensor& images) {
  const Tensor map = backbone_(images);
  check(map.size(1) == map_h_ && map.size(2) == map_w_, "FcClassifier: images must give a map of ",
        map_h_, " x ", map_w_, ", got ", map.size(1), " x ", map.size(2), " of images ",
        images.shape());
  Tensor x = flatten(map);  // [N, H, W, C] -> [N, H W C]
  for (const nn::Child& layer : layers_) x = layer(x);
  return x;
}

}  // namespace boxgrad::detection
