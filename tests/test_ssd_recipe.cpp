// detection/training/ssd_recipe.cpp and detection/training/recipe_fields.cpp.
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "core/random.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/training/photo_recipe.h"
#include "detection/training/ssd_recipe.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

SsdRecipe small() {
  SsdRecipe recipe;
  recipe.longer_px = 64;
  recipe.anchor_sides = 2;
  recipe.iterations = 2;
  recipe.batch_size = 2;
  return recipe;
}

/// The strides of the maps that a detector for such boxes looks at.
std::vector<Scalar> strides(const Dataset& data, int longer_px) {
  SsdRecipe recipe = small();
  recipe.longer_px = longer_px;
  const auto model = make_ssd_mobilenet(recipe, data, ssd_preparation(recipe, data));
  std::vector<Scalar> result;
  for (const AnchorLevel& level : model->options().levels) result.push_back(level.stride_px);
  return result;
}

}  // namespace

TEST_CASE("ssd_preparation: sides in multiples of 32, colours of the pretrained trunk",
          "[ssd_recipe]") {
  SsdRecipe recipe = small();
  const Preparation own = ssd_preparation(recipe, kSquares);
  CHECK(own.make_batch({kSquares.get(1)}).images.shape() == Shape{1, 64, 64, 3});
  CHECK(own.batch.mean[1] > own.batch.mean[0]);
  recipe.pretrained = "somewhere";
  CHECK(ssd_preparation(recipe, kSquares).batch.mean == std::array{.5, .5, .5});
}

TEST_CASE("make_ssd_mobilenet takes the maps that boxes of such sizes need", "[ssd_recipe]") {
  // 20 to 30 px of 80.
  CHECK(strides(kSquares, 80) == std::vector<Scalar>{8});
  CHECK(strides(kSquares, 240) == std::vector<Scalar>{16});
  CHECK(strides(kSquares, 400) == std::vector<Scalar>{32});
  CHECK(strides(BrightBoxes({{8, 8}, {8, 8}, {40, 40}, {40, 40}}), 160) ==
        std::vector<Scalar>{8, 16});
}

TEST_CASE("train_ssd_mobilenet: the same bits for the same seed", "[ssd_recipe]") {
  const auto trained = [] {
    manual_seed(1);
    const SsdRecipe recipe = small();
    const Preparation preparation = ssd_preparation(recipe, kSquares);
    const auto model = make_ssd_mobilenet(recipe, kSquares, preparation);
    const TrainingSummary summary =
        train_ssd_mobilenet(*model, recipe, preparation, kSquares, &kSquares, 1);
    CHECK(summary.iterations == 2);
    CHECK(summary.log.validations.size() == 1);
    std::vector<Scalar> all;
    for (const auto& [name, tensor] : model->parameters())
      all.insert(all.end(), tensor.data().begin(), tensor.data().end());
    return all;
  };
  CHECK(trained() == trained());
}

TEST_CASE("train_ssd_mobilenet: a run goes on with its own settings or not at all",
          "[ssd_recipe]") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_ssd_recipe_", getpid());
  manual_seed(1);
  const SsdRecipe recipe = small();
  const Preparation preparation = ssd_preparation(recipe, kSquares);
  const auto model = make_ssd_mobilenet(recipe, kSquares, preparation);
  train_ssd_mobilenet(*model, recipe, preparation, kSquares, nullptr, 1, folder);
  const auto resumed = [&](const SsdRecipe& other) {
    train_ssd_mobilenet(*model, other, preparation, kSquares, nullptr, 1, folder, true);
  };
  CHECK_THROWS_WITH(resumed(recipe), Catch::Contains("has finished its 2 steps"));

  const auto refused = [&](const std::string& difference,
                           const std::function<void(SsdRecipe&)>& change) {
    INFO(difference);
    SsdRecipe other = recipe;
    change(other);
    CHECK_THROWS_WITH(resumed(other),
                      Catch::EndsWith("was made with other settings: " + difference));
  };
  refused("frozen_trunk was false, is now true; pretrained was \"\", is now \"a/package\"",
          [](SsdRecipe& r) { r.pretrained = "a/package", r.trunk = Trunk::frozen; });
  refused("pretrained was \"\", is now \"a/package\"",
          [](SsdRecipe& r) { r.pretrained = "a/package"; });
  refused("longer_px was 64, is now 96", [](SsdRecipe& r) { r.longer_px = 96; });
  refused("vertical_flips was false, is now true", [](SsdRecipe& r) { r.vertical_flips = true; });
  refused("augmentation was \"photos\", is now \"ssd\"",
          [](SsdRecipe& r) { r.changes = Augmentation::ssd; });
  refused("crop_chance was 0.5, is now 0.25", [](SsdRecipe& r) { r.crop_chance = 0.25; });
  refused("brightness was 0.1, is now 0.5", [](SsdRecipe& r) { r.brightness = 0.5; });
  refused("contrast was 0.2, is now 0.5", [](SsdRecipe& r) { r.contrast = 0.5; });
  refused("anchor_sides was 2, is now 3", [](SsdRecipe& r) { r.anchor_sides = 3; });
  refused("nms_iou was 0.45, is now 0.5", [](SsdRecipe& r) { r.nms_iou = 0.5; });
  refused("iterations was 2, is now 4", [](SsdRecipe& r) { r.iterations = 4; });
  refused("minutes was 0.0, is now 1.0", [](SsdRecipe& r) { r.minutes = 1; });
  refused("batch_size was 2, is now 4", [](SsdRecipe& r) { r.batch_size = 4; });
  refused("rate was 0.003, is now 0.5", [](SsdRecipe& r) { r.rate = 0.5; });
  refused("trunk_rate was 0.0003, is now 0.5", [](SsdRecipe& r) { r.trunk_rate = 0.5; });
  refused("weight_decay was 0.01, is now 0.0", [](SsdRecipe& r) { r.weight_decay = 0; });
  refused("average_decay was 0.995, is now 0.5", [](SsdRecipe& r) { r.average_decay = 0.5; });
  refused("seed was 0, is now 7", [](SsdRecipe& r) { r.seed = 7; });
  refused("min_negatives was 3, is now 0", [](SsdRecipe& r) { r.min_negatives = 0; });
  refused("crop_chance was 0.5, is now 1.0; vertical_flips was false, is now true",
          [](SsdRecipe& r) { r.crop_chance = 1, r.vertical_flips = true; });
  const BrightBoxes fewer({{20, 20}, {24, 24}});
  CHECK_THROWS_WITH(
      train_ssd_mobilenet(*model, recipe, preparation, fewer, nullptr, 1, folder, true),
      Catch::EndsWith("other settings: images was 6, is now 2"));
  fs::remove_all(folder);
}

TEST_CASE("SSD's recipes learn from photos without objects, and as before from the others",
          "[ssd_recipe][dense_recipe]") {
  const BrightBoxes photos({{20, 20}, {24, 24}, {0, 0}, {30, 30}});
  CHECK(MiningOptions().min_negatives == 0);  // as published
  for (const char* name : {"ssd-mobilenet", "ssd-small"}) {
    INFO(name);
    PhotoRecipe recipe = PhotoRecipe::of(name);
    std::visit(
        [](auto& r) {
          r.longer_px = 64;
          r.anchor_sides = 3;
          r.iterations = 1;
        },
        recipe.settings);
    manual_seed(1);
    const DetectorSpec spec = describe(recipe, photos);
    const auto model = std::dynamic_pointer_cast<Ssd>(make_detector(spec));
    REQUIRE(model != nullptr);
    CHECK(model->options().mining.min_negatives == 0);
    train_on_photos(*model, recipe, spec, photos, nullptr, 1, {}, false);
    CHECK(model->options().mining.min_negatives == 3);
    CHECK(model->options().mining.negatives_per_positive == 3);

    const Preparation preparation = preparation_of(spec);
    struct Step {
      DetectorLoss loss;
      std::vector<Scalar> slopes;
    };
    const auto step = [&](const std::vector<Sample>& samples, std::int64_t min_negatives) {
      set_min_negatives(*model, min_negatives);
      const Batch batch = preparation.make_batch(samples);
      for (auto [path, tensor] : model->parameters()) tensor.zero_grad();
      Random random(1);
      Step result{model->loss(batch, random), {}};
      result.loss.total.backward();
      for (const auto& [path, tensor] : model->parameters())
        if (path.starts_with("class_head"))
          for (const Scalar slope : std::as_const(tensor).grad().to_vector())
            result.slopes.push_back(slope);
      return result;
    };
    // The same bits where every photo has a matched anchor.
    const std::vector<Sample> with{photos.get(0), photos.get(1), photos.get(3)};
    const Step asked = step(with, 3), published = step(with, 0);
    CHECK(asked.loss.positives >= 3);
    CHECK(asked.loss.negatives == published.loss.negatives);
    CHECK(asked.loss.total.item() == published.loss.total.item());
    CHECK(asked.slopes == published.slopes);
    // A photo with nothing on it.
    const Step nothing = step({photos.get(2)}, 3);
    CHECK(nothing.loss.positives == 0);
    CHECK(nothing.loss.negatives == 3);
    CHECK(nothing.loss.total.item() > 0);
    CHECK(std::ranges::any_of(nothing.slopes, [](Scalar slope) { return slope != 0; }));
    CHECK(step({photos.get(2)}, 0).loss.total.item() == 0);
  }
}

TEST_CASE("SsdRecipe: options out of range are refused", "[ssd_recipe]") {
  SsdRecipe recipe = small();
  const Preparation preparation = ssd_preparation(recipe, kSquares);
  recipe.crop_chance = 2;
  CHECK_THROWS_WITH(make_ssd_mobilenet(recipe, kSquares, preparation),
                    Catch::Contains("crop_chance"));
  recipe = small();
  recipe.min_negatives = -1;
  CHECK_THROWS_WITH(make_ssd_mobilenet(recipe, kSquares, preparation),
                    "SsdRecipe: min_negatives must be >= 0, got -1");
  DenseRecipe dense;
  dense.min_negatives = -1;
  CHECK_THROWS_WITH(describe_dense_detector(dense, kSquares, preparation),
                    "DenseRecipe: min_negatives must be >= 0, got -1");
  recipe = small();
  recipe.rate = 0;
  CHECK_THROWS_WITH(make_ssd_mobilenet(recipe, kSquares, preparation), Catch::Contains("rate"));
  recipe = small();
  recipe.pretrained = "/nonexistent/package";
  CHECK_THROWS_WITH(make_ssd_mobilenet(recipe, kSquares, preparation),
                    Catch::Contains("/nonexistent/package"));
  CHECK_THROWS_AS(make_ssd_mobilenet(small(), BrightBoxes({{0, 0}}), preparation),
                  std::invalid_argument);
}
