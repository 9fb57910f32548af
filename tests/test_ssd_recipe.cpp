#include "core/random.h"
#include "detection/models/mobilenet_v1.h"
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

TEST_CASE("SsdRecipe: options out of range are refused", "[ssd_recipe]") {
  SsdRecipe recipe = small();
  const Preparation preparation = ssd_preparation(recipe, kSquares);
  recipe.crop_chance = 2;
  CHECK_THROWS_WITH(make_ssd_mobilenet(recipe, kSquares, preparation),
                    Catch::Contains("crop_chance"));
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
