#include "detection/models/fc_layers.h"

#include "core/check.h"
#include "layers/dropout.h"
#include "layers/init.h"
#include "layers/linear.h"

namespace boxgrad::detection {

std::vector<std::pair<std::string, std::shared_ptr<nn::Module>>> fc_layers(
    std::int64_t in_features, const std::vector<std::int64_t>& hidden, double dropout) {
  check(dropout >= 0 && dropout < 1, "fc_layers: dropout must be in [0, 1), got ", dropout);
  std::vector<std::pair<std::string, std::shared_ptr<nn::Module>>> layers;
  int number = 6;  // behind the five convolutions of AlexNet
  for (const std::int64_t out : hidden) {
    const auto layer = std::make_shared<nn::Linear>(
        in_features, out, nn::LinearOptions{.activation = Activation::relu});
    nn::init::kaiming_normal(layer->weight);
    nn::init::constant(layer->bias, 0);
    layers.emplace_back(concat("fc", number), layer);
    if (dropout > 0)
      layers.emplace_back(concat("drop", number), std::make_shared<nn::Dropout>(dropout));
    in_features = out;
    ++number;
  }
  return layers;
}

}  // namespace boxgrad::detection
