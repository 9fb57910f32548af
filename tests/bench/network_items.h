#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/models/vgg16.h"
#include "layers/inference.h"
#include "layers/sgd.h"
#include "tests/bench/bench.h"

/// Whole networks. Forward is inference: evaluation mode, nothing recorded. Forward + backward is a
/// step of training: forget the gradients, forward in training mode, backward from a given dy,
/// SGD with momentum and weight decay.
namespace boxgrad::bench {

inline Work network(const std::shared_ptr<nn::Module>& net, const Tensor& images) {
  const auto sgd = std::make_shared<nn::SGD>(
      *net, nn::SGDOptions{.rate = 1e-6, .momentum = 0.9, .weight_decay = 1e-4});
  Tensor dy;
  {
    const NoGradGuard guard;
    dy = Tensor::randn(net->forward(images).shape());
    for (Scalar& value : dy.data()) value *= Scalar(1e-3);
  }
  return {[=] {
            net->eval();
            const NoGradGuard guard;
            net->forward(images);
          },
          [=] {
            net->train();
            sgd->zero_grad();
            net->forward(images).backward(dy);
            sgd->step();
          }};
}

/// A network that only answers; no step.
inline Work prepared(const std::shared_ptr<nn::Module>& net, const Tensor& images) {
  nn::prepare_for_inference(*net);
  return {[=] {
            const NoGradGuard guard;
            net->forward(images);
          },
          {}};
}

inline void add_networks(std::vector<Item>& items) {
  struct Input {
    const char* name;
    std::int64_t batch, h, w;
  };
  const auto add = [&](const char* net_name, const Input& i, auto make) {
    items.push_back({concat(net_name, "_train_", i.name), [=] {
                       return network(make(), Tensor::randn({i.batch, i.h, i.w, 3}));
                     }});
  };
  for (const Input& input :
       {Input{"b8_224", 8, 224, 224}, Input{"b8_300", 8, 300, 300}, Input{"b1_224", 1, 224, 224}})
    add("mobilenet_v1", input, [] { return std::make_shared<detection::MobileNetV1>(); });
  for (const Input& input : {Input{"b8_224", 8, 224, 224}, Input{"b2_600x800", 2, 600, 800},
                             Input{"b1_224", 1, 224, 224}})
    add("vgg16_trunk", input, [] { return std::make_shared<detection::Vgg16>(); });
  // What the depthwise and what the 1x1 convolutions take: a tap between them keeps them apart.
  items.push_back({"mobilenet_v1_apart_b8_224", [] {
                     Work work = network(std::make_shared<detection::MobileNetV1>(),
                                         Tensor::randn({8, 224, 224, 3}));
                     std::vector<std::string> between;
                     for (int block = 1; block <= 13; ++block)
                       between.push_back(concat("block", block, ".depthwise"));
                     work.forward_backward = [step = work.forward_backward, between] {
                       const nn::OutputTap tap(between);
                       step();
                     };
                     return work;
                   }});
  items.push_back({"mobilenet_v1_prepared_b1_224", [] {
                     return prepared(std::make_shared<detection::MobileNetV1>(),
                                     Tensor::randn({1, 224, 224, 3}));
                   }});
  items.push_back(
      {"vgg16_trunk_prepared_b1_224", [] {
         return prepared(std::make_shared<detection::Vgg16>(), Tensor::randn({1, 224, 224, 3}));
       }});
}

}  // namespace boxgrad::bench
