#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

struct FcClassifierOptions {
  std::int64_t num_classes = 1000;
  std::vector<std::int64_t> hidden = {4096, 4096};  ///< fc6, fc7, ...; with ReLU
  double dropout = 0.5;                             ///< behind each of them; 0: none
};

/// The classifiers that R-CNN, SPPnet and Fast R-CNN start from: a backbone, all numbers of its
/// last map through fully connected layers,
///
///   FcClassifier vgg16(std::make_shared<Vgg16>(Vgg16Options{.outputs = {"pool5"}}), 7, 7);
///   FcClassifier s(std::make_shared<CaffeNet>(CaffeNetOptions{.outputs = {"pool5"}}), 6, 6);
///   FcClassifier m(std::make_shared<VggCnnM1024>(VggCnnM1024Options{.outputs = {"pool5"}}), 6, 6,
///                  {.hidden = {4096, 1024}});
///
/// images [N, H, W, 3], of the one size that gives a map of map_h x map_w -> logits [N, L].
/// Children "backbone", "fc6", "drop6", "fc7", "drop7", "fc8".
///
///                 parameters    multiply-adds
///   s, 227 px     60,965,224      724,406,816
///   m, 224 px     87,250,536    1,660,517,408
///   vgg16, 224   138,357,544   15,470,264,320
///
/// A Fast R-CNN takes everything from it but fc8, RoI pooling being in the place of pool5 (section
/// 2.2):
///
///   detector.load_classifier(classifier.state_dict());   // backbone, fc6, fc7
class FcClassifier : public nn::Module {
 public:
  /// Throws std::invalid_argument for no backbone, and for sizes below 1.
  FcClassifier(std::shared_ptr<Backbone> backbone, std::int64_t map_h, std::int64_t map_w,
               const FcClassifierOptions& options = {});
  /// Throws std::invalid_argument for images that give another map.
  Tensor forward(const Tensor& images) override;

 private:
  std::int64_t map_h_, map_w_;
  nn::Child backbone_;
  std::vector<nn::Child> layers_;
};

}  // namespace boxgrad::detection
