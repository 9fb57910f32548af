// detection/training/region_recipe.h.
#include <unistd.h>

#include <algorithm>

#include "core/parallel.h"
#include "core/random.h"
#include "detection/data/fashion_scenes.h"
#include "detection/models/faster_rcnn.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/evaluate.h"
#include "detection/training/region_recipe.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

RegionRecipe small(bool own_proposals) {
  RegionRecipe recipe;
  recipe.own_proposals = own_proposals;
  recipe.longer_px = 80;
  recipe.channels = 4;
  recipe.blocks = 1;
  recipe.pool = 3;
  recipe.hidden = 16;
  recipe.iterations = 3;
  recipe.batch_size = 2;
  return recipe;
}

std::vector<Scalar> trained(const RegionRecipe& recipe, const Dataset& data,
                            const fs::path& out = {}) {
  manual_seed(1);
  const Preparation preparation = region_preparation(recipe, data);
  const auto model = make_region_detector(recipe, data, preparation);
  const TrainingSummary summary =
      train_region_detector(*model, recipe, preparation, data, &data, out);
  CHECK(summary.iterations == recipe.iterations);
  std::vector<Scalar> all;
  for (const auto& [name, tensor] : model->state_dict())
    all.insert(all.end(), tensor.data().begin(), tensor.data().end());
  return all;
}

}  // namespace

TEST_CASE("region_preparation is that of photos, with sides for a stride of 8", "[region_recipe]") {
  const Preparation preparation = region_preparation({.longer_px = 40}, kSquares);
  CHECK(preparation.make_batch({kSquares.get(1)}).images.shape() == Shape{1, 48, 32, 3});
  CHECK_THROWS_WITH(region_preparation({}, BrightBoxes({})),
                    "photo_preparation: the dataset is empty");
  CHECK_THROWS_WITH(region_preparation({.longer_px = 8}, kSquares),
                    "RegionRecipe: longer_px must be >= 32, got 8");
}

TEST_CASE("region_search works on the picture that the network sees, and half more",
          "[region_recipe]") {
  CHECK(region_search({.longer_px = 320}).resize_width_px == 480);
}

TEST_CASE("either system trains from a recipe, the same bits every time", "[region_recipe]") {
  const WithProposals with(
      kSquares,
      std::vector<Tensor>(6, Tensor({3, 4}, {4, 4, 30, 28, 0, 0, 20, 20, 30, 30, 60, 60})));
  for (const bool own : {true, false}) {
    const RegionRecipe recipe = small(own);
    const Dataset& data = own ? static_cast<const Dataset&>(kSquares) : with;
    const auto first = trained(recipe, data);
    const int before = num_threads();
    set_num_threads(3);
    CHECK(trained(recipe, data) == first);
    set_num_threads(before);
    RegionRecipe other = recipe;
    other.seed = 1;
    CHECK(trained(other, data) != first);
  }
}

TEST_CASE("photos are mirrored, cut and lit, and proposals go with the boxes", "[region_recipe]") {
  Sample sample = kSquares.get(0);
  sample.proposals = sample.target.boxes.clone();
  const auto side = [](const Sample& s) {
    return s.target.boxes.at({0, 2}) - s.target.boxes.at({0, 0});
  };
  RegionRecipe recipe;
  int cut = 0, lit = 0;
  Random random(3, 0);
  for (int draw = 0; draw < 40; ++draw) {
    const Sample changed = recipe.augmentation()(sample, random);
    CHECK(changed.image.width() == 80);
    CHECK(changed.image.height() == 60);
    REQUIRE(changed.proposals.size(0) == changed.target.boxes.size(0));
    CHECK(std::ranges::equal(changed.proposals.data(), changed.target.boxes.data()));
    if (changed.target.boxes.size(0) == 0) continue;  // it lay outside of the window
    cut += side(changed) != 20;
    lit += changed.image.pixel(79, 59)[0] != 100;
  }
  CHECK(cut > 10);
  CHECK(lit > 20);

  recipe.crop_chance = recipe.brightness = recipe.contrast = 0;
  for (int draw = 0; draw < 10; ++draw) {
    const Sample mirrored = recipe.augmentation()(sample, random);
    CHECK(side(mirrored) == 20);
    CHECK(mirrored.image.pixel(79, 59)[0] == 100);
  }
}

TEST_CASE("a recipe's detector takes pictures with nothing on them", "[region_recipe]") {
  // No truth in most pictures, and no proposal in any.
  const BrightBoxes sparse({{20, 20}, {0, 0}, {0, 0}, {0, 0}});
  const WithProposals none(sparse, std::vector<Tensor>(4, Tensor({0, 4})));
  for (const bool own : {true, false}) {
    const Dataset& data = own ? static_cast<const Dataset&>(sparse) : none;
    const RegionRecipe recipe = small(own);
    const Preparation preparation = region_preparation(recipe, data);
    const auto model = make_region_detector(recipe, data, preparation);
    train_region_detector(*model, recipe, preparation, data);
    CHECK(detect_all(*model, data, preparation, -1, 2).detections.size() == 4);
  }
}

TEST_CASE("a recipe's training resumes, and refuses another recipe", "[region_recipe]") {
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_recipe_", getpid());
  const RegionRecipe recipe = small(true);
  trained(recipe, kSquares, folder);
  CHECK(fs::exists(folder / "log.csv"));
  const Preparation preparation = region_preparation(recipe, kSquares);
  const auto model = make_region_detector(recipe, kSquares, preparation);
  RegionRecipe other = recipe;
  other.rate = 0.1;
  CHECK_THROWS_WITH(
      train_region_detector(*model, other, preparation, kSquares, nullptr, folder, true),
      Catch::Contains("was made with other settings"));
  CHECK_THROWS_WITH(
      train_region_detector(*model, recipe, preparation, kSquares, nullptr, folder, true),
      Catch::Contains("has finished"));
  fs::remove_all(folder);
}

TEST_CASE("a recipe explains a wrong option", "[region_recipe][errors]") {
  RegionRecipe recipe = small(true);
  recipe.hidden = 0;
  CHECK_THROWS_AS(make_region_detector(recipe, kSquares, {}), std::invalid_argument);
}
