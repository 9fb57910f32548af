// detection/training/region_recipe.h.
#include <unistd.h>

#include "core/parallel.h"
#include "core/random.h"
#include "detection/data/fashion_scenes.h"
#include "detection/models/faster_rcnn.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/with_proposals.h"
#include "detection/training/evaluate.h"
#include "detection/training/region_recipe.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// Grey pictures, 80 x 60 and 60 x 80 in turn, with one bright box of the given size each.
class Boxes : public Dataset {
 public:
  explicit Boxes(std::vector<BoxSize> sizes) : sizes_(std::move(sizes)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(sizes_.size()); }
  Sample get(std::int64_t index) const override {
    const BoxSize box = sizes_[static_cast<std::size_t>(index)];
    const bool wide = index % 2 == 0;
    Sample sample{.image = Image(wide ? 80 : 60, wide ? 60 : 80, Color{100, 100, 100}),
                  .name = concat("grey ", index)};
    const int x = 4 + static_cast<int>(index % 7), y = 6;
    for (int h = y; h < y + static_cast<int>(box.height); ++h)
      for (int w = x; w < x + static_cast<int>(box.width); ++w) sample.image.pixel(w, h)[1] = 240;
    if (box.width > 0)
      sample.target = {.boxes = Tensor({1, 4}, {Scalar(x), Scalar(y), Scalar(x) + box.width,
                                                Scalar(y) + box.height}),
                       .labels = {1},
                       .difficult = {false}};
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<BoxSize> sizes_;
  std::vector<std::string> names_{"bright"};
};

const Boxes kSquares({{20, 20}, {24, 24}, {30, 30}, {22, 22}, {26, 26}, {28, 28}});

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

TEST_CASE("region_preparation measures size and colours", "[region_recipe]") {
  const Preparation preparation =
      region_preparation({.longer_px = 40}, Boxes({{0, 0}, {0, 0}, {0, 0}}));
  const Sample sample = preparation.apply(kSquares.get(1));
  CHECK(sample.image.height() == 40);
  CHECK(sample.image.width() == 30);
  // Grey without contrast: the deviation has a floor, nothing is divided by 0.
  for (const double mean : preparation.batch.mean) CHECK(mean == Approx(100. / 255));
  for (const double std : preparation.batch.std) CHECK(std == Approx(0.01));
  const Preparation bright = region_preparation({.longer_px = 80}, kSquares);
  CHECK(bright.batch.mean[1] > bright.batch.mean[0]);
  CHECK(bright.batch.std[1] > 0.1);
  CHECK_THROWS_WITH(region_preparation({}, Boxes({})), "region_preparation: the dataset is empty");
  CHECK_THROWS_WITH(region_preparation({.longer_px = 8}, kSquares),
                    "RegionRecipe: longer_px must be >= 32, got 8");
}

TEST_CASE("fitting_anchors take one ratio, or three where boxes differ", "[region_recipe]") {
  const auto squares = fitting_anchors(kSquares, {}, 3);
  REQUIRE(squares.size() == 3);
  for (const BoxSize& size : squares) CHECK(size.width == Approx(size.height));
  CHECK(squares.front().width >= 20);
  CHECK(squares.back().width <= 30);

  const Boxes poles({{10, 40}, {10, 40}, {20, 20}, {20, 20}, {20, 20}, {40, 10}, {40, 10}});
  const auto mixed = fitting_anchors(poles, {}, 2);
  REQUIRE(mixed.size() == 6);
  CHECK(mixed[0].height == Approx(mixed[0].width / 4));
  CHECK(mixed[2].height == Approx(mixed[2].width));
  CHECK(mixed[4].height == Approx(mixed[4].width * 4));
  CHECK_THROWS_AS(fitting_anchors(Boxes({{0, 0}}), {}, 3), std::invalid_argument);
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

TEST_CASE("a recipe's detector takes pictures with nothing on them", "[region_recipe]") {
  // No truth in most pictures, and no proposal in any.
  const Boxes sparse({{20, 20}, {0, 0}, {0, 0}, {0, 0}});
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
