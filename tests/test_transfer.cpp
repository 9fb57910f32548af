// A trunk that somebody else trained, under new heads: detection/training/ssd_recipe.cpp and the
// part of detection/training/photo_recipe.cpp that starts from the face detector's package. The
// package here has the layout of the real one and numbers of our own.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"
#include "detection/models/face_trunk.h"
#include "detection/training/photo_recipe.h"
#include "detection/training/ssd_recipe.h"
#include "detection/training/trained_detector.h"
#include "layers/batch_norm.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"
#include "tests/face_package.h"
#include "tests/golden_network.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

constexpr double kHeadsRate = 0.01, kTrunkRate = 1e-4;

/// Written once: four million numbers.
const std::filesystem::path& synthetic_package() {
  static const ScratchFolder folder("transfer");
  static const bool written = [] {
    MobileNetV1 trunk(face_trunk_options());
    fill(trunk, 17);
    TfjsWriter writer;
    add_to_package(writer, trunk, face_trunk_names());
    write_package(folder, writer);
    return true;
  }();
  CHECK(written);
  return folder.path();
}

/// Two steps without averaging, so that what is compared is where the optimizer went.
SsdRecipe two_steps(Trunk trunk) {
  SsdRecipe recipe;
  recipe.pretrained = synthetic_package();
  recipe.trunk = trunk;
  recipe.longer_px = 64;
  recipe.anchor_sides = 2;
  recipe.iterations = 2;
  recipe.batch_size = 2;
  recipe.rate = kHeadsRate;
  recipe.trunk_rate = kTrunkRate;
  recipe.weight_decay = 0;
  recipe.average_decay = 0;
  return recipe;
}

using Numbers = std::map<std::string, std::vector<Scalar>>;
Numbers numbers_of(const nn::Module& model) {
  Numbers result;
  for (const auto& [name, tensor] : model.state_dict()) result[name] = tensor.to_vector();
  return result;
}

double largest_move(const std::vector<Scalar>& before, const std::vector<Scalar>& after) {
  double largest = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    largest = std::max(largest, std::abs(double(after[i]) - double(before[i])));
  return largest;
}

bool of_norm(const std::string& name) { return name.find(".norm.") != std::string::npos; }

/// What may change of a pretrained network, and by how much.
void check_moves(const Numbers& before, const Numbers& after, Trunk trunk) {
  REQUIRE(before.size() == after.size());
  // AdamW's first steps are as long as the rate times the schedule's factor, whatever the gradient:
  // the heads show the factors' sum.
  double factor = 0;
  int norms = 0, trunk_tensors = 0, heads = 0;
  for (const auto& [name, numbers] : before)
    if (!name.starts_with("backbone."))
      factor = std::max(factor, largest_move(numbers, after.at(name)) / kHeadsRate), ++heads;
  CHECK(heads == 4);
  REQUIRE(factor > 0.01);
  for (const auto& [name, numbers] : before) {
    INFO(name);
    const std::vector<Scalar>& now = after.at(name);
    const double move = largest_move(numbers, now) / factor;
    if (!name.starts_with("backbone.")) {
      CHECK(move > 0.3 * kHeadsRate);
    } else if (trunk == Trunk::frozen || of_norm(name)) {
      // Statistics, scale and offset, or everything: the same bits.
      norms += of_norm(name);
      CHECK(now == numbers);
    } else {
      ++trunk_tensors;
      CHECK(move > 0.3 * kTrunkRate);
      CHECK(move < 3 * kTrunkRate);
    }
  }
  // Squares of 20 px sit on block5: a norm of four tensors in each of five depthwise layers, and
  // filters of eleven convolutions, six of which have a bias.
  CHECK(norms == 5 * 4);
  CHECK(trunk_tensors == (trunk == Trunk::frozen ? 0 : 11 + 6));
}

}  // namespace

TEST_CASE("make_ssd_mobilenet starts from the package's numbers", "[transfer]") {
  manual_seed(1);
  const SsdRecipe recipe = two_steps(Trunk::tuned);
  const Preparation preparation = ssd_preparation(recipe, kSquares);
  const auto model = make_ssd_mobilenet(recipe, kSquares, preparation);
  REQUIRE(model->options().levels.size() == 1);
  REQUIRE(model->options().levels[0].stride_px == 8);
  const Numbers ours = numbers_of(*model);
  const auto trunk = load_face_trunk(synthetic_package(), {"block5"});
  for (const auto& [name, tensor] : trunk->state_dict()) {
    INFO(name);
    CHECK(ours.at("backbone." + name) == tensor.to_vector());
  }
}

TEST_CASE("train_ssd_mobilenet: batch norm of a pretrained trunk stays, filters follow slowly",
          "[transfer]") {
  for (const Trunk trunk : {Trunk::tuned, Trunk::frozen}) {
    INFO((trunk == Trunk::tuned ? "tuned" : "frozen"));
    manual_seed(1);
    const SsdRecipe recipe = two_steps(trunk);
    const Preparation preparation = ssd_preparation(recipe, kSquares);
    const auto model = make_ssd_mobilenet(recipe, kSquares, preparation);
    const Numbers before = numbers_of(*model);
    train_ssd_mobilenet(*model, recipe, preparation, kSquares);
    check_moves(before, numbers_of(*model), trunk);
    // A validation in between switches modes: what is frozen stays so.
    model->eval();
    model->train();
    model->visit([](const std::string& path, nn::Module& module) {
      if (const auto* norm = dynamic_cast<nn::BatchNorm2d*>(&module)) {
        INFO(path);
        CHECK(norm->frozen);
      }
    });
  }
}

TEST_CASE("train_ssd_mobilenet: without a package batch norm learns, all at one rate",
          "[transfer]") {
  manual_seed(1);
  SsdRecipe recipe = two_steps(Trunk::tuned);
  recipe.pretrained.clear();
  const Preparation preparation = ssd_preparation(recipe, kSquares);
  const auto model = make_ssd_mobilenet(recipe, kSquares, preparation);
  const Numbers before = numbers_of(*model);
  train_ssd_mobilenet(*model, recipe, preparation, kSquares);
  const Numbers after = numbers_of(*model);
  for (const auto& [name, numbers] : before) {
    INFO(name);
    CHECK(largest_move(numbers, after.at(name)) > (name.ends_with("running_mean") ? 0 : 1e-3));
  }
}

TEST_CASE("the command's steps from a package: describe, start, train", "[transfer]") {
  for (const Trunk trunk : {Trunk::tuned, Trunk::frozen}) {
    INFO((trunk == Trunk::tuned ? "tuned" : "frozen"));
    manual_seed(1);
    PhotoRecipe recipe = PhotoRecipe::of("ssd-mobilenet");
    recipe.settings = two_steps(trunk);
    std::get<SsdRecipe>(recipe.settings).pretrained.clear();  // the command's own field counts
    recipe.pretrained = synthetic_package();
    const DetectorSpec spec = describe(recipe, kSquares);
    CHECK(spec.tensorflow_trunk);
    CHECK(spec.mean == std::array{.5, .5, .5});
    CHECK(spec.std == std::array{.5, .5, .5});
    const auto model = make_detector(spec);
    const std::string told = start(*model, recipe, spec, kSquares);
    CHECK(told == "the trunk of " + synthetic_package().string());
    const Numbers before = numbers_of(*model);
    const auto package = load_face_trunk(synthetic_package(), {"block5"});
    CHECK(before.at("backbone.block5.pointwise.weight") ==
          package->find("block5.pointwise")->state_dict()[0].second.to_vector());
    train_on_photos(*model, recipe, spec, kSquares, nullptr, 1, {}, false);
    check_moves(before, numbers_of(*model), trunk);
  }
}

TEST_CASE("a run whose trunk ends too early is no start; one that goes further is", "[transfer]") {
  const ScratchFolder folder("transfer_runs");
  // Squares of 20 to 30 px sit on block5; seen at 64 px of 80, these have sides of 43 px.
  const BrightBoxes large({{56, 52}, {50, 62}, {58, 52}, {50, 64}});
  PhotoRecipe recipe = PhotoRecipe::of("ssd-mobilenet");
  recipe.settings = two_steps(Trunk::tuned);
  std::get<SsdRecipe>(recipe.settings).pretrained.clear();
  const auto saved = [&](const BrightBoxes& photos, const char* name) {
    manual_seed(1);
    const DetectorSpec spec = describe(recipe, photos);
    const auto file = folder.path() / name;
    save_trained(file, *make_detector(spec), spec);
    return std::pair(file, spec.maps);
  };
  const auto [shallow, first_maps] = saved(kSquares, "shallow.safetensors");
  const auto [deep, deep_maps] = saved(large, "deep.safetensors");
  REQUIRE(first_maps == std::vector<std::string>{"block5"});
  REQUIRE(deep_maps == std::vector<std::string>{"block11"});
  const auto start_from = [&](const std::filesystem::path& file, const BrightBoxes& photos) {
    recipe.pretrained = file;
    const DetectorSpec spec = describe(recipe, photos);
    const auto model = make_detector(spec);
    const std::string told = start(*model, recipe, spec, photos);
    for (const auto& [name, tensor] : model->parameters()) {
      INFO(name);
      CHECK(tensor.requires_grad() == !of_norm(name));
    }
    return told;
  };
  CHECK_THROWS_WITH(start_from(shallow, large),
                    Catch::StartsWith("--pretrained: " + shallow.string()) &&
                        Catch::Contains("ends before block11") && Catch::Contains("make faces"));
  CHECK_THAT(start_from(deep, kSquares), Catch::Contains(" tensors from " + deep.string()));
  CHECK_THAT(start_from(deep, large), Catch::Contains(" tensors from " + deep.string()));
}

TEST_CASE("settle_trunk freezes a package's trunk alone", "[transfer]") {
  manual_seed(1);
  const SsdRecipe recipe = two_steps(Trunk::frozen);
  const Preparation preparation = ssd_preparation(recipe, kSquares);
  const auto model = make_ssd_mobilenet(recipe, kSquares, preparation);
  for (const auto& [name, tensor] : model->parameters()) {
    INFO(name);
    CHECK(tensor.requires_grad() == !name.starts_with("backbone."));
  }
  SsdRecipe own = two_steps(Trunk::tuned);
  own.pretrained.clear();
  const auto fresh = make_ssd_mobilenet(own, kSquares, ssd_preparation(own, kSquares));
  for (const auto& [name, tensor] : fresh->parameters()) {
    INFO(name);
    CHECK(tensor.requires_grad());
  }
  // Frozen as they were drawn: never what somebody wants.
  own.trunk = Trunk::frozen;
  const auto refused = Catch::Contains("a frozen trunk must be a pretrained one");
  CHECK_THROWS_WITH(make_ssd_mobilenet(own, kSquares, ssd_preparation(own, kSquares)), refused);
  CHECK_THROWS_WITH(settle_trunk(*fresh, own), refused);
  CHECK_THROWS_WITH(train_ssd_mobilenet(*fresh, own, preparation, kSquares), refused);
  PhotoRecipe command = PhotoRecipe::of("ssd-mobilenet");
  command.settings = own;
  CHECK_THROWS_WITH(describe(command, kSquares), refused);
  class NoTrunk : public Detector {
    DetectorLoss loss(const Batch&, Random&) override { return {}; }
    std::vector<Detections> detect(const Batch&) override { return {}; }
  } no_trunk;
  CHECK_THROWS_WITH(settle_trunk(no_trunk, recipe), "settle_trunk: the detector has no backbone");
}
