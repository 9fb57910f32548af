#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detection/models/backbone.h"

namespace boxgrad::detection {

struct FpnOptions {
  std::int64_t channels = 256;  ///< of every map
  /// Further maps, each of half the last one's side: RetinaNet has two, P6 and P7.
  std::int64_t extra_levels = 2;
  bool smooth = true;  ///< 3x3 convolutions behind the sums
};

/// Feature pyramid network: every map of a backbone gets what the coarser ones know. With C_k the
/// backbone's maps, finest first, and up() repeating cells to the finer map's size,
///
///   M_k = lateral_k(C_k) + up(M_k+1)       lateral: 1x1, the coarsest map has nothing to add
///   P_k = smooth_k(M_k)                    3x3, against the steps of repeating
///   P_K+1 = extra_1(C_K),  P_K+2 = extra_2(relu(P_K+1)), ...       3x3 with stride 2
///
///   "body"; "lateral1", ...; "smooth1", ...; "extra1", ...
///
/// Lin, Dollár, Girshick, He, Hariharan, Belongie, "Feature pyramid networks for object detection",
/// CVPR 2017, section 3; P6 and P7 as in "Focal loss", section 4. Without extra levels equal to
/// torchvision.ops.FeaturePyramidNetwork, with two of them to its LastLevelP6P7 on C5.
class Fpn : public Backbone {
 public:
  Fpn(std::shared_ptr<Backbone> body, const FpnOptions& options = {});

  std::vector<Tensor> maps(const Tensor& images) override;
  std::vector<std::int64_t> channels() const override;
  /// The pyramid of maps that are there already.
  std::vector<Tensor> pyramid(const std::vector<Tensor>& maps) const;

 private:
  FpnOptions options_;
  nn::Child body_;
  std::vector<nn::Child> laterals_, smooths_, extras_;
};

}  // namespace boxgrad::detection
