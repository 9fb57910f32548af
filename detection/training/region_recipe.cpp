#include "detection/training/region_recipe.h"

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/separable_net.h"
#include "detection/training/photo_fit.h"
#include "detection/training/region_task.h"
#include "layers/adamw.h"

namespace boxgrad::detection {

namespace {

constexpr std::int64_t kImagesForTargets = 300;
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
  return photo_preparation(train, recipe.longer_px, 2 * static_cast<int>(kStride));
}

SelectiveSearchOptions region_search(const RegionRecipe& recipe) {
  SelectiveSearchOptions search = SelectiveSearchOptions::preset("fast");
  search.resize_width_px = recipe.longer_px * 3 / 2;
  return search;
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
    model->set_target_statistics(dataset_target_statistics(small, fast.regions, kImagesForTargets));
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
  nn::AdamW optimizer(detector, {.rate = recipe.rate,
                                 .beta2 = 0.99,
                                 .weight_decay = recipe.weight_decay,
                                 .groups = {{.pattern = ".*[.]bias", .decay = 0}}});
  const TrainerOptions options{
      .iterations = recipe.iterations,
      .minutes = recipe.minutes,
      .batch_size = recipe.batch_size,
      .seed = recipe.seed,
      .schedule = warm_cosine,
      .average_decay = recipe.average_decay,
      .validations = 4,
      .out = out,
      .resume = resume,
      .config = concat("{\"proposals\": \"", recipe.own_proposals ? "own" : "given",
                       "\", \"longer_px\": ", recipe.longer_px,
                       ", \"vertical_flips\": ", recipe.vertical_flips,
                       ", \"batch_size\": ", recipe.batch_size, ", \"rate\": ", recipe.rate,
                       ", \"seed\": ", recipe.seed, ", \"images\": ", train_set.size(), "}")};
  return train(detector, optimizer, photos, random_flips(recipe.vertical_flips), preparation,
               options, validation);
}

}  // namespace boxgrad::detection
