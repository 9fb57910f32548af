#include "detection/models/fast_rcnn.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/matcher.h"
#include "detection/roi_pool.h"
#include "layers/activation.h"
#include "layers/linear.h"

namespace boxgrad::detection {

namespace {

void check_proposals(const std::vector<Tensor>& proposals, std::size_t images) {
  check(proposals.size() == images, "FastRcnn: the batch has ", images,
        " images and proposals for ", proposals.size(),
        "; give the dataset some (detection/proposals)");
}

}  // namespace

std::int64_t RegionStep::chosen_positives() const {
  return std::ranges::count_if(
      chosen, [&](std::int64_t r) { return labels[static_cast<std::size_t>(r)] > 0; });
}

Tensor to_rois(const std::vector<Tensor>& boxes) {
  std::int64_t count = 0;
  for (const Tensor& b : boxes) count += b.size(0);
  Tensor rois = Tensor::empty({count, 5});
  Scalar* row = rois.data().data();
  for (std::size_t n = 0; n < boxes.size(); ++n)
    for (std::int64_t i = 0; i < boxes[n].size(0); ++i, row += 5) {
      row[0] = static_cast<Scalar>(n);
      std::copy_n(boxes[n].data().begin() + 4 * i, 4, row + 1);
    }
  return rois;
}

FastRcnn::FastRcnn(std::shared_ptr<Backbone> backbone, FastRcnnOptions options)
    : options_(std::move(options)) {
  check(backbone != nullptr, "FastRcnn: the backbone is null");
  check(options_.num_classes >= 1, "FastRcnn: num_classes must be >= 1, got ",
        options_.num_classes);
  check(options_.pool >= 1 && options_.scale > 0, "FastRcnn: pool must be >= 1 and scale > 0, got ",
        options_.pool, " and ", options_.scale);
  check(options_.lambda >= 0, "FastRcnn: lambda must be >= 0, got ", options_.lambda);
  const std::int64_t features = options_.pool * options_.pool * backbone->channels().back();
  backbone_ = add_module("backbone", std::move(backbone));
  head_ = add_module("head",
                     std::make_shared<RegionHead>(features, options_.num_classes, options_.head));
  box_mean_ = add_buffer("box_mean", Tensor({1 + options_.num_classes, 4}));
  box_std_ = add_buffer("box_std", Tensor({1 + options_.num_classes, 4}));
  set_target_statistics(target_statistics({}, options_.num_classes));
}

void FastRcnn::load_classifier(const nn::StateDict& classifier) {
  nn::StateDict state;
  for (const auto& [name, tensor] : classifier)
    state.emplace_back(name.starts_with("fc") ? concat("head.", name) : name, tensor);
  const auto has = [&](const std::string& name) {
    return std::ranges::any_of(state, [&](const auto& entry) { return entry.first == name; });
  };
  for (const auto& [name, tensor] : state_dict()) {
    const bool is_new = name.starts_with("head.cls_score.") ||
                        name.starts_with("head.bbox_pred.") || name.starts_with("box_");
    check(is_new || has(name), "FastRcnn::load_classifier: the classifier has nothing for \"", name,
          "\"");
  }
  load_partial(state);
}

Tensor FastRcnn::features(const Tensor& images) {
  const ModuleScope scope("backbone");
  return backbone_.as<Backbone>().maps(images).back();
}

Tensor FastRcnn::pool(const Tensor& map, const Tensor& rois) const {
  return roi_max_pool(map, rois, options_.pool, options_.pool, options_.scale);
}

RegionHead::Output FastRcnn::classify(const Tensor& map, const Tensor& rois) {
  const Tensor pooled = pool(map, rois);
  const ModuleScope scope("head");
  return head()(pooled);
}

Tensor FastRcnn::pooled_features(const Tensor& image, const Tensor& boxes) {
  const auto at_one_scale = [&](const Tensor& scaled, const Tensor& regions) {
    return pool(features(scaled), to_rois({regions}));
  };
  return options_.pyramid ? pyramid_features(image, boxes, *options_.pyramid, at_one_scale)
                          : at_one_scale(image, boxes);
}

void FastRcnn::set_target_statistics(const TargetStatistics& statistics) {
  const Shape expected = box_mean_.shape();
  check(statistics.mean.shape() == expected && statistics.std.shape() == expected,
        "FastRcnn: target statistics must have shape ", expected, ", got ", statistics.mean.shape(),
        " and ", statistics.std.shape());
  check(std::ranges::all_of(statistics.std.data(), [](Scalar s) { return s > 0; }),
        "FastRcnn: the standard deviations of targets must be > 0");
  std::ranges::copy(statistics.mean.data(), box_mean_.data().begin());
  std::ranges::copy(statistics.std.data(), box_std_.data().begin());
}

void FastRcnn::fold_target_statistics() {
  const NoGradGuard guard;
  auto* layer = dynamic_cast<nn::Linear*>(head().find("bbox_pred"));
  check(layer != nullptr, "FastRcnn: bbox_pred is not a Linear; fold before compressing it");
  const auto mean = box_mean_.data(), std = box_std_.data();
  const auto weight = layer->weight.data(), bias = layer->bias.data();
  const std::size_t columns = bias.size();
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] *= std[i % columns];
  for (std::size_t c = 0; c < columns; ++c) bias[c] = bias[c] * std[c] + mean[c];
  std::ranges::fill(mean, Scalar{0});
  std::ranges::fill(std, Scalar{1});
}

FastRcnn::Labelled FastRcnn::label_batch(const std::vector<Tensor>& proposals,
                                         const std::vector<Target>& truths,
                                         const RegionOptions& regions) const {
  check_proposals(proposals, truths.size());
  Labelled result;
  std::vector<std::int64_t>& labels = result.step.labels;
  std::vector<Tensor> boxes, targets;
  for (std::size_t n = 0; n < truths.size(); ++n) {
    const Regions image = label_regions(proposals[n], truths[n], regions);
    std::vector<std::int64_t> labelled;
    for (std::size_t i = 0; i < image.labels.size(); ++i)
      if (image.labels[i] >= 0) {
        labelled.push_back(static_cast<std::int64_t>(i));
        labels.push_back(image.labels[i]);
      }
    boxes.push_back(index_select(image.boxes, 0, labelled));
    targets.push_back(region_targets(image, labelled));
    result.first_of_image.push_back(static_cast<std::int64_t>(labels.size()));
  }
  result.step.rois = to_rois(boxes);
  result.targets = cat(targets, 0);
  for (std::size_t r = 0; r < labels.size(); ++r) {
    check(labels[r] <= options_.num_classes, "FastRcnn: a truth has label ", labels[r], " of ",
          options_.num_classes, " classes");
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t column = 4 * static_cast<std::size_t>(labels[r]) + k;
      Scalar& value = result.targets.data()[4 * r + k];
      value = (value - box_mean_.data()[column]) / box_std_.data()[column];
    }
  }
  return result;
}

std::vector<Scalar> FastRcnn::losses_of(const Tensor& map, const Labelled& labelled) {
  const NoGradGuard guard;
  if (labelled.step.labels.empty()) return {};
  return multi_task_losses(classify(map.detach(), labelled.step.rois), labelled.step.labels,
                           labelled.targets, options_.lambda);
}

RegionStep FastRcnn::read_regions(const Batch& batch, const RegionOptions& regions) {
  const NoGradGuard guard;
  Labelled labelled = label_batch(batch.proposals, batch.targets, regions);
  labelled.step.losses = losses_of(features(batch.images), labelled);
  return std::move(labelled.step);
}

std::vector<std::int64_t> FastRcnn::select(const Tensor& map, Labelled& labelled, Random& random) {
  RegionStep& step = labelled.step;
  const auto total = static_cast<std::int64_t>(step.labels.size());
  std::vector<std::int64_t> chosen;
  if (options_.selection == RegionSelection::sampled) {
    const std::vector<std::int64_t>& first = labelled.first_of_image;
    for (std::size_t n = 0; n + 1 < first.size(); ++n) {
      std::vector<std::int64_t> truth;  // sample_balanced asks who is positive
      for (std::int64_t r = first[n]; r < first[n + 1]; ++r)
        truth.push_back(step.labels[static_cast<std::size_t>(r)] > 0 ? 0 : kUnmatched);
      for (const std::int64_t i : sample_balanced(truth, random, options_.sampling).all())
        chosen.push_back(first[n] + i);
    }
    return chosen;
  }
  if (options_.selection == RegionSelection::all) {
    for (std::int64_t r = 0; r < total; ++r) chosen.push_back(r);
    return chosen;
  }
  std::vector<std::int64_t> images;
  for (std::int64_t r = 0; r < total; ++r)
    images.push_back(static_cast<std::int64_t>(step.rois.data()[static_cast<std::size_t>(5 * r)]));
  const NoGradGuard guard;
  step.losses = losses_of(map, labelled);
  return ohem_select(slice(step.rois, 1, 1, 5), images, step.labels, step.losses, options_.ohem,
                     &step.suppressed);
}

DetectorLoss FastRcnn::loss(const Batch& batch, Random& random) {
  return loss_of_regions(features(batch.images), batch.proposals, batch.targets, random);
}

std::vector<Detections> FastRcnn::detect(const Batch& batch) {
  const NoGradGuard guard;
  if (!options_.pyramid)
    return detect_regions(features(batch.images), batch.proposals, batch.infos);
  check_proposals(batch.proposals, batch.infos.size());
  std::vector<Tensor> pooled;
  for (std::size_t n = 0; n < batch.infos.size(); ++n)
    pooled.push_back(pooled_features(image_of(batch, n), batch.proposals[n]));
  const ModuleScope scope("head");
  return decode(head()(cat(pooled, 0)), batch.proposals, batch.infos);
}

DetectorLoss FastRcnn::loss_of_regions(const Tensor& map, const std::vector<Tensor>& proposals,
                                       const std::vector<Target>& truths, Random& random) {
  Labelled labelled = label_batch(proposals, truths, options_.regions);
  labelled.step.chosen = select(map, labelled, random);
  step_ = std::move(labelled.step);
  std::vector<std::int64_t> labels;
  for (const std::int64_t r : step_.chosen)
    labels.push_back(step_.labels[static_cast<std::size_t>(r)]);
  DetectorLoss result;
  result.positives = step_.chosen_positives();
  result.negatives = static_cast<std::int64_t>(step_.chosen.size()) - result.positives;
  if (labels.empty()) {  // nothing to look at: a loss of 0 that still reaches the map
    result.total = sum(map) * Scalar{0};
    result.parts = {{"class", 0}, {"box", 0}};
    return result;
  }
  const RegionLoss loss =
      multi_task_loss(classify(map, index_select(step_.rois, 0, step_.chosen)), labels,
                      index_select(labelled.targets, 0, step_.chosen), options_.lambda);
  result.total = loss.classification + loss.boxes;
  result.parts = {{"class", static_cast<double>(loss.classification.item())},
                  {"box", static_cast<double>(loss.boxes.item())}};
  return result;
}

std::vector<Detections> FastRcnn::detect_regions(const Tensor& map,
                                                 const std::vector<Tensor>& proposals,
                                                 const std::vector<BatchImage>& infos) {
  check_proposals(proposals, infos.size());
  const NoGradGuard guard;
  return decode(classify(map, to_rois(proposals)), proposals, infos);
}

std::vector<Detections> FastRcnn::decode(const RegionHead::Output& output,
                                         const std::vector<Tensor>& proposals,
                                         const std::vector<BatchImage>& infos) const {
  const NoGradGuard guard;
  const auto& [logits, offsets] = output;
  const Tensor scores = softmax(logits);
  const std::int64_t classes = logits.size(1);
  const Tensor raw = offsets * box_std_ + box_mean_;  // [R, 1 + K, 4], as the targets were
  std::vector<std::int64_t> first{0};
  for (const Tensor& boxes : proposals) first.push_back(first.back() + boxes.size(0));

  std::vector<Detections> result(infos.size());
  parallel_for(static_cast<std::int64_t>(infos.size()), 1, [&](std::int64_t image, std::int64_t) {
    const NoGradGuard here_too;
    const auto n = static_cast<std::size_t>(image);
    const std::int64_t count = first[n + 1] - first[n];
    // Each class has a box of its own: the region is its anchor (1 + K) times.
    const Tensor anchors = repeat_boxes(proposals[n], classes);
    const Tensor boxes =
        decode_boxes(reshape(slice(raw, 0, first[n], first[n + 1]), {count * classes, 4}), anchors,
                     kUnitBoxWeights);
    const BatchImage& info = infos[n];
    result[n] = postprocess(
        reshape(boxes, {count, classes, 4}), slice(scores, 0, first[n], first[n + 1]),
        static_cast<Scalar>(info.width), static_cast<Scalar>(info.height), options_.postprocess);
  });
  return result;
}

}  // namespace boxgrad::detection
