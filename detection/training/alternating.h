#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "detection/models/faster_rcnn.h"
#include "detection/training/trainer.h"
#include "layers/sgd.h"

namespace boxgrad::detection {

struct AlternatingOptions {
  FasterRcnnOptions model = {};
  nn::SGDOptions sgd = {};
  /// Of each step. Its iterations and images are those below; with `out`, step k writes into
  /// out/step_k. A half-done scheme is not resumed, and its length is given in steps.
  TrainerOptions training = {};
  std::array<std::int64_t, 4> iterations{80000, 40000, 80000, 40000};
  std::array<std::int64_t, 4> images{1, 2, 1, 2};  ///< at a time, instead of training.batch_size
  /// Called with each new network before it learns, step 1's and step 2's. The published scheme
  /// takes the classifier's fc6 and fc7 in step 2, which `start` alone cannot give:
  ///
  ///   [&](FasterRcnn& network) { network.fast_rcnn().load_classifier(imagenet.state_dict()); }
  ///
  /// Nothing is called if empty: the head is random.
  std::function<void(FasterRcnn& network)> on_new_network = {};
};

/// What one of the four steps did.
struct AlternatingStep {
  std::string name;
  TrainingSummary training;
  /// Steps 1 and 3: the new RPN's proposals for every training image, which the next step learns
  /// from; rpn.train_before_nms and rpn.train_proposals say how many.
  std::vector<Tensor> proposals = {};
  double proposal_seconds = 0;
};

struct AlternatingResult {
  std::shared_ptr<FasterRcnn> model;  ///< its backbone frozen
  std::array<AlternatingStep, 4> steps;

  double seconds() const;  ///< of training and proposals
};

/// Faster R-CNN's 4-step scheme, which the paper's figures are made with:
///
///   1  an RPN on a starting network of its own
///   2  Fast R-CNN on another, with the proposals of step 1: nothing is shared so far
///   3  an RPN on step 2's convolutions, which stay as they are from here on
///   4  Fast R-CNN's head goes on with the proposals of step 3
///
/// Every step is a training of its own: proposals are computed once, for all images, and flips
/// mirror them. Step 3 begins with new RPN layers, as the published model files do. Box targets are
/// normalised by the statistics of step 2's regions.
///
/// start    makes a new copy of the starting network's convolutions; called for steps 1 and 2. What
///          else that network has for Fast R-CNN's head comes by options.on_new_network
/// throws   std::invalid_argument for options that do not fit; what train() throws
///
/// Ren, He, Girshick, Sun, "Faster R-CNN", NIPS 2015, section 3.2, "4-step alternating training".
/// Approximate joint training is train() on a FasterRcnn with part = both.
AlternatingResult train_alternating(const std::function<std::shared_ptr<Backbone>()>& start,
                                    const Dataset& dataset, const Transform& augmentation,
                                    const Preparation& preparation,
                                    const AlternatingOptions& options);

}  // namespace boxgrad::detection
