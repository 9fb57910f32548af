#include "detection/training/region_recipe.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/data/transforms.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/separable_net.h"
#include "detection/models/ssd_small.h"
#include "detection/training/region_task.h"
#include "layers/adamw.h"
#include "layers/schedule.h"

namespace boxgrad::detection {

namespace {

constexpr std::int64_t kMeasuredImages = 300;  // for figures that a sample of the pictures gives
constexpr Scalar kStride = 8;

void check_recipe(const RegionRecipe& r) {
  check(r.longer_px >= 32, "RegionRecipe: longer_px must be >= 32, got ", r.longer_px);
  check(r.channels >= 1 && r.blocks >= 1 && r.pool >= 1 && r.hidden >= 1 && r.proposals >= 1 &&
            r.regions >= 1,
        "RegionRecipe: channels, blocks, pool, hidden, proposals and regions must be >= 1");
}

std::shared_ptr<Backbone> recipe_backbone(const RegionRecipe& recipe) {
  SeparableNetOptions net;
  net.stem_channels = recipe.channels;
  net.stages = {
      {.channels = 2 * recipe.channels, .stride = 2},
      {.channels = 2 * recipe.channels},
      {.channels = 4 * recipe.channels, .blocks = recipe.blocks, .stride = 2, .output = true}};
  return std::make_shared<SeparableNet>(net);
}

}  // namespace

Preparation region_preparation(const RegionRecipe& recipe, const Dataset& train) {
  check_recipe(recipe);
  Preparation preparation;
  preparation.resize = [side = recipe.longer_px](Sample sample, Random&) {
    return resize_longer_side(sample, side);
  };
  preparation.batch.multiple_px = 2 * static_cast<int>(kStride);
  std::array<double, 3> sum{}, squares{};
  double pixels = 0;
  const std::int64_t images = std::min<std::int64_t>(train.size(), kMeasuredImages / 6);
  check(images > 0, "region_preparation: the dataset is empty");
  for (std::int64_t k = 0; k < images; ++k) {
    const Sample sample = preparation.apply(train.get(k * train.size() / images));
    const auto bytes = sample.image.data();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const double v = bytes[i] / 255.;
      sum[i % 3] += v;
      squares[i % 3] += v * v;
    }
    pixels += static_cast<double>(bytes.size()) / 3;
  }
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = sum[c] / pixels;
    preparation.batch.mean[c] = mean;
    // Pictures of one colour would otherwise be divided by nothing.
    preparation.batch.std[c] = std::sqrt(std::max(squares[c] / pixels - mean * mean, 1e-4));
  }
  return preparation;
}

SelectiveSearchOptions region_search(const RegionRecipe& recipe) {
  SelectiveSearchOptions search = SelectiveSearchOptions::preset("fast");
  search.resize_width_px = recipe.longer_px * 3 / 2;
  return search;
}

std::vector<BoxSize> fitting_anchors(const Dataset& dataset, const Preparation& preparation,
                                     int sides) {
  const InMemory small(dataset, {.resize = preparation.resize});  // looked at twice
  const std::vector<Scalar> all_sides = anchor_sides(small, {}, sides);
  std::vector<double> ratios;
  const std::int64_t images = std::min(dataset.size(), kMeasuredImages);
  for (std::int64_t k = 0; k < images; ++k) {
    const Sample sample = small.get(k * dataset.size() / images);
    const auto box = sample.target.boxes.data();
    for (std::size_t i = 0; i < box.size(); i += 4)
      if (box[i + 2] > box[i] && box[i + 3] > box[i + 1])
        ratios.push_back(static_cast<double>((box[i + 3] - box[i + 1]) / (box[i + 2] - box[i])));
  }
  check(!ratios.empty(), "fitting_anchors: there is no box with an area in ", images, " images");
  std::ranges::sort(ratios);
  const auto quantile = [&](double q) {
    return static_cast<Scalar>(
        ratios[static_cast<std::size_t>(q * static_cast<double>(ratios.size() - 1))]);
  };
  const Scalar low = quantile(0.1), middle = quantile(0.5), high = quantile(0.9);
  const Scalar spread = std::max(high / middle, middle / low);
  return ratio_box_sizes(all_sides, spread > Scalar(1.7) ? std::vector<Scalar>{low, middle, high}
                                                         : std::vector<Scalar>{middle});
}

std::shared_ptr<Detector> make_region_detector(const RegionRecipe& recipe, const Dataset& train,
                                               const Preparation& preparation) {
  check_recipe(recipe);
  FastRcnnOptions fast{.num_classes = static_cast<std::int64_t>(train.class_names().size()),
                       .pool = recipe.pool,
                       .scale = 1 / static_cast<double>(kStride),
                       .head = {.hidden = {recipe.hidden, recipe.hidden}, .dropout = 0}};
  fast.sampling.size = recipe.regions;
  // Regions that overlap nothing must be seen, too: most proposals on photos of small things do.
  fast.regions.negative_low = 0;
  fast.postprocess.nms_iou = recipe.nms_iou;
  fast.postprocess.score_threshold = 0.02;  // AP looks at the whole curve
  if (!recipe.own_proposals) {
    const auto model = std::make_shared<FastRcnn>(recipe_backbone(recipe), fast);
    // Resized on the way; nothing needs keeping for one pass.
    const InMemory small(train, {.resize = preparation.resize, .max_bytes = 0});
    model->set_target_statistics(dataset_target_statistics(small, fast.regions, kMeasuredImages));
    return model;
  }
  FasterRcnnOptions options;
  options.fast_rcnn = fast;
  options.rpn.anchors = {.sizes = fitting_anchors(train, preparation, recipe.anchor_sides),
                         .stride_px = kStride};
  options.rpn.channels = 128;
  options.rpn.matcher.positive = Scalar(0.6);
  // Anchors across the border learn, too: on photos many objects are cut by it.
  options.rpn.ignore_crossing = false;
  // A large object has dozens of good anchors, a small one has two or three, which the large ones
  // would keep out if only the best thousand entered suppression.
  options.rpn.train_before_nms = options.rpn.test_before_nms = 4000;
  options.rpn.train_proposals = options.rpn.test_proposals = recipe.proposals;
  return std::make_shared<FasterRcnn>(recipe_backbone(recipe), options);
}

TrainingSummary train_region_detector(Detector& detector, const RegionRecipe& recipe,
                                      const Preparation& preparation, const Dataset& train_set,
                                      const Dataset* validation, const std::filesystem::path& out,
                                      bool resume) {
  const InMemory photos(train_set, {.resize = preparation.resize});
  const Transform flips = [vertical = recipe.vertical_flips](Sample sample, Random& random) {
    if (random.bernoulli(0.5)) sample = flip_horizontal(sample);
    if (vertical && random.bernoulli(0.5)) sample = flip_vertical(sample);
    return sample;
  };
  nn::AdamW optimizer(detector, {.rate = recipe.rate,
                                 .beta2 = 0.99,
                                 .weight_decay = recipe.weight_decay,
                                 .groups = {{.pattern = ".*[.]bias", .decay = 0}}});
  const TrainerOptions options{
      .iterations = recipe.iterations,
      .minutes = recipe.minutes,
      .batch_size = recipe.batch_size,
      .seed = recipe.seed,
      .schedule =
          [](std::int64_t n) {
            const std::int64_t warm = std::max<std::int64_t>(1, n / 20);
            return nn::warm_up(warm, 0.02) * nn::cosine(warm, std::max(n, warm + 1), 0.01);
          },
      .average_decay = recipe.average_decay,
      .validations = 4,
      .out = out,
      .resume = resume,
      .config = concat("{\"proposals\": \"", recipe.own_proposals ? "own" : "given",
                       "\", \"longer_px\": ", recipe.longer_px,
                       ", \"vertical_flips\": ", recipe.vertical_flips,
                       ", \"batch_size\": ", recipe.batch_size, ", \"rate\": ", recipe.rate,
                       ", \"seed\": ", recipe.seed, ", \"images\": ", train_set.size(), "}")};
  return train(detector, optimizer, photos, flips, preparation, options, validation);
}

}  // namespace boxgrad::detection
