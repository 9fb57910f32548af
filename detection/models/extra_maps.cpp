#include "detection/models/extra_maps.h"

#include "core/autograd.h"
#include "core/check.h"
#include "layers/init.h"

namespace boxgrad::detection {

ExtraMaps::ExtraMaps(std::shared_ptr<Backbone> body, const std::vector<ExtraMap>& extras,
                     nn::ConvTail tail) {
  check(body != nullptr, "ExtraMaps: the body is null");
  channels_ = body->channels();
  std::int64_t in = channels_.back();
  body_ = add_module("body", std::move(body));
  const BatchNormOptions norm{.activation = Activation::relu};
  for (const ExtraMap& extra : extras) {
    check(extra.reduced > 0 && extra.channels > 0, "ExtraMaps: channels must be > 0, got ",
          extra.reduced, " and ", extra.channels);
    const std::string name = concat("extra", 1 + layers_.size() / 2);
    layers_.push_back(
        add_module(name + "_reduce", nn::make_conv(in, extra.reduced, 1, {}, tail, norm)));
    layers_.push_back(add_module(
        name, nn::make_conv(extra.reduced, extra.channels, 3,
                            {.stride = extra.stride, .padding = extra.padding}, tail, norm)));
    channels_.push_back(extra.channels);
    in = extra.channels;
  }
  for (const nn::Child& layer : layers_)
    for (const auto& [name, parameter] : layer.module().parameters())
      if (parameter.rank() == 4) nn::init::xavier_uniform(parameter);
}

std::vector<Tensor> ExtraMaps::maps(const Tensor& images) {
  std::vector<Tensor> result;
  {
    const ModuleScope scope("body");
    result = body_.as<Backbone>().maps(images);
  }
  for (std::size_t k = 0; k < layers_.size(); k += 2)
    result.push_back(layers_[k + 1](layers_[k](result.back())));
  return result;
}

}  // namespace boxgrad::detection
