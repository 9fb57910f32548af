#include "detection/postprocess.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/boxes.h"
#include "detection/nms.h"

namespace boxgrad::detection {

Detections postprocess(const Tensor& boxes, const Tensor& scores, Scalar width, Scalar height,
                       const PostprocessOptions& options) {
  check(scores.rank() == 2 && scores.size(1) >= 1,
        "postprocess: scores must have shape [A, L], got ", scores.shape());
  const std::int64_t regions = scores.size(0), per_region = boxes.rank() == 3 ? scores.size(1) : 1;
  check(boxes.shape() == Shape{regions, 4} || boxes.shape() == Shape{regions, scores.size(1), 4},
        "postprocess: boxes must have shape [", regions, ", 4] or [", regions, ", ", scores.size(1),
        ", 4] for scores ", scores.shape(), ", got ", boxes.shape());
  check(options.max_per_class >= 0 && options.max_per_image >= 0,
        "postprocess: limits must be >= 0, got max_per_class ", options.max_per_class,
        ", max_per_image ", options.max_per_image);

  const Tensor clipped =
      clip_boxes_to_image(reshape(boxes, {regions * per_region, 4}), width, height);
  const auto box = clipped.data(), score = scores.data();
  const std::size_t num_anchors = static_cast<std::size_t>(regions);
  const std::size_t num_labels = static_cast<std::size_t>(scores.size(1));
  /// The row of a class's box.
  const auto row = [&](std::size_t a, std::size_t label) {
    return per_region == 1 ? a : a * num_labels + label;
  };
  const auto is_box = [&](std::size_t i) {
    return box[4 * i + 2] - box[4 * i] >= options.min_side_px &&
           box[4 * i + 3] - box[4 * i + 1] >= options.min_side_px;
  };

  // Candidates of all classes, class by class, each class best first.
  std::vector<std::int64_t> anchors, labels;
  std::vector<Scalar> values;
  for (std::size_t label = 1; label < num_labels; ++label) {
    std::vector<std::int64_t> members;
    std::vector<Scalar> member_scores;
    for (std::size_t a = 0; a < num_anchors; ++a) {
      const Scalar s = score[a * num_labels + label];
      if (static_cast<double>(s) > options.score_threshold && is_box(row(a, label))) {
        members.push_back(static_cast<std::int64_t>(row(a, label)));
        member_scores.push_back(s);
      }
    }
    for (const std::int64_t i : topk(member_scores, options.max_per_class)) {
      anchors.push_back(members[static_cast<std::size_t>(i)]);
      labels.push_back(static_cast<std::int64_t>(label));
      values.push_back(member_scores[static_cast<std::size_t>(i)]);
    }
  }

  std::vector<std::int64_t> kept =
      batched_nms(index_select(clipped, 0, anchors), values, labels, options.nms_iou);
  if (static_cast<std::int64_t>(kept.size()) > options.max_per_image)
    kept.resize(static_cast<std::size_t>(options.max_per_image));

  Detections detections;
  std::vector<std::int64_t> kept_anchors;
  for (const std::int64_t i : kept) {
    kept_anchors.push_back(anchors[static_cast<std::size_t>(i)]);
    detections.labels.push_back(labels[static_cast<std::size_t>(i)]);
    detections.scores.push_back(values[static_cast<std::size_t>(i)]);
  }
  detections.boxes = index_select(clipped, 0, kept_anchors);
  return detections;
}

std::vector<Detections> postprocess_batch(const Tensor& boxes, const Tensor& scores,
                                          const std::vector<BatchImage>& images,
                                          const PostprocessOptions& options) {
  const std::int64_t n = boxes.size(0);
  check(static_cast<std::int64_t>(images.size()) == n, "postprocess_batch: boxes of ", n,
        " images, sizes of ", images.size());
  std::vector<Detections> result(images.size());
  parallel_for(n, 1, [&](std::int64_t image, std::int64_t) {
    const NoGradGuard no_grad;  // of this thread
    const BatchImage& info = images[static_cast<std::size_t>(image)];
    result[static_cast<std::size_t>(image)] =
        postprocess(reshape(slice(boxes, 0, image, image + 1), {boxes.size(1), 4}),
                    reshape(slice(scores, 0, image, image + 1), {scores.size(1), -1}),
                    static_cast<Scalar>(info.width), static_cast<Scalar>(info.height), options);
  });
  return result;
}

}  // namespace boxgrad::detection
