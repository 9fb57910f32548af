// detection/training/starting_network.h.
#include <unistd.h>

#include "core/check.h"
#include "core/image.h"
#include "core/parallel.h"
#include "detection/data/dataset_hash.h"
#include "detection/models/vgg16.h"
#include "detection/training/starting_network.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// A red or a blue square on grey.
class Squares : public Dataset {
 public:
  explicit Squares(std::uint8_t grey = 110, Scalar truth_px = 12)
      : grey_(grey), truth_px_(truth_px) {}
  std::int64_t size() const override { return 20; }
  Sample get(std::int64_t index) const override {
    const int x = static_cast<int>(index % 5) * 4, side = 12;
    const bool red = index % 2 == 0;
    Sample sample{.image = Image(40, 40, Color{grey_, grey_, grey_}),
                  .name = concat("square ", index)};
    for (int h = 8; h < 8 + side; ++h)
      for (int w = x; w < x + side; ++w) {
        std::uint8_t* pixel = sample.image.pixel(w, h);
        pixel[0] = red ? 230 : 20, pixel[1] = 40, pixel[2] = red ? 20 : 230;
      }
    const auto left = static_cast<Scalar>(x);
    sample.target = {.boxes = Tensor({1, 4}, {left, 8, left + truth_px_, 8 + truth_px_}),
                     .labels = {red ? 1 : 2},
                     .difficult = {false}};
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::uint8_t grey_;
  Scalar truth_px_;
  std::vector<std::string> names_{"red", "blue"};
};

std::shared_ptr<Backbone> small() {
  manual_seed(1);
  return std::make_shared<Vgg16>(Vgg16Options{.width = 0.125, .outputs = {"conv1_2"}});
}

std::vector<Scalar> numbers(const Backbone& backbone) {
  std::vector<Scalar> all;
  for (const auto& [name, tensor] : backbone.state_dict())
    all.insert(all.end(), tensor.data().begin(), tensor.data().end());
  return all;
}

}  // namespace

TEST_CASE("a starting network learns to tell crops apart, the same bits every time",
          "[starting_network]") {
  const Squares scenes;
  const StartingNetworkOptions options{
      .steps = 80, .batch_size = 16, .crop_px = 8, .rate = 0.05, .seed = 5};
  const auto first = small(), second = small();
  const double share = train_starting_network(first, scenes, options);
  CHECK(share > 0.8);
  const int before = num_threads();
  set_num_threads(3);
  CHECK(train_starting_network(second, scenes, options) == share);
  set_num_threads(before);
  CHECK(numbers(*first) == numbers(*second));
  CHECK_THROWS_AS(train_starting_network(first, scenes, {.steps = 0}), std::invalid_argument);
  CHECK_THROWS_AS(train_starting_network(first, scenes, {.max_norm = 0}), std::invalid_argument);
}

TEST_CASE("a starting network is trained once", "[starting_network]") {
  const Squares scenes;
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_start_", getpid());
  const fs::path file = folder / "start.safetensors";
  const auto first = small(), second = small();
  const StartingNetworkOptions options{.steps = 2, .batch_size = 4, .crop_px = 16};
  const double seconds = starting_network(first, scenes, file, options);
  CHECK(seconds > 0);
  CHECK(starting_network(second, scenes, file, options) == Approx(seconds).epsilon(1e-4));
  CHECK(numbers(*first) == numbers(*second));
  const std::string images = concat(scenes.size(), " images (", hash_dataset(scenes).substr(0, 12),
                                    "), rate 0.05, gradients up to 1, seed 0");
  CHECK_THROWS_WITH(
      starting_network(second, scenes, file, {.steps = 3, .batch_size = 4, .crop_px = 16}),
      concat(file.string(), ": a starting network trained by 2 steps of 4 crops of 16 px from ",
             images, ", expected 3 steps of 4 crops of 16 px from ", images,
             "; delete the file to train anew"));
  // As many images, but others, or the same with other truths.
  CHECK_THROWS_WITH(starting_network(second, Squares(111), file, options),
                    ContainsSubstring("delete the file to train anew"));
  CHECK_THROWS_WITH(starting_network(second, Squares(110, 11), file, options),
                    ContainsSubstring("delete the file to train anew"));
  const auto other = std::make_shared<Vgg16>(Vgg16Options{.width = 0.5, .outputs = {"conv1_2"}});
  CHECK_THROWS_AS(starting_network(other, scenes, file, options), std::invalid_argument);
  fs::remove_all(folder);
}
