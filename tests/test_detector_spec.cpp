// detection/models/detector_spec.h, detection/training/trained_detector.cpp,
// detection/training/dense_recipe.cpp and detection/training/photo_recipe.cpp.
#include <unistd.h>

#include <filesystem>

#include "core/random.h"
#include "core/serialize.h"
#include "detection/models/detector_spec.h"
#include "detection/training/photo_recipe.h"
#include "detection/training/trained_detector.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

PhotoRecipe small_photo_recipe(const std::string& model) {
  PhotoRecipe recipe = PhotoRecipe::of(model);
  recipe.iterations() = 2;
  std::visit(
      [](auto& r) {
        r.longer_px = 64;
        r.batch_size = 2;
        r.anchor_sides = 3;
      },
      recipe.settings);
  if (auto* region = std::get_if<RegionRecipe>(&recipe.settings)) {
    region->channels = 4;
    region->hidden = 8;
    region->proposals = 20;
  }
  return recipe;
}

fs::path temporary(const std::string& name) {
  return fs::temp_directory_path() / concat("boxgrad_spec_", getpid(), "_", name);
}

bool same_numbers(const nn::StateDict& a, const nn::StateDict& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].first != b[i].first || a[i].second.to_vector() != b[i].second.to_vector())
      return false;
  return true;
}

}  // namespace

TEST_CASE("a spec comes back from JSON, and gives the same network without the photos",
          "[detector_spec]") {
  for (const std::string& model : detector_models()) {
    INFO(model);
    const DetectorSpec spec = describe(small_photo_recipe(model), kSquares);
    CHECK(spec.model == model);
    CHECK(spec.classes == kSquares.class_names());
    const std::string text = spec_to_json(spec);
    const DetectorSpec back = spec_from_json(text, "spec.json");
    CHECK(spec_to_json(back) == text);
    CHECK(back.mean == spec.mean);
    manual_seed(1);
    const auto first = make_detector(spec);
    manual_seed(1);
    const auto second = make_detector(back);
    CHECK(same_numbers(first->state_dict(), second->state_dict()));
  }
}

TEST_CASE("a spec that no network can have is refused, by file and key",
          "[detector_spec][errors]") {
  const std::string good = spec_to_json(describe(small_photo_recipe("ssd-small"), kSquares));
  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::string& reason) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
    CHECK_THROWS_WITH(spec_from_json(text, "spec.json"),
                      Catch::StartsWith("spec.json: ") && Catch::Contains(reason));
  };
  refused("ssd-small", "ssd-large", "there is no model \"ssd-large\"");
  refused("\"bright\"", "", "classes must be 1 to 10000 names, got 0");
  refused("\"bright\"", "\"a\", \"a\"", "one class twice");
  refused("\"longer_px\": 64", "\"longer_px\": 1000000", "preparation.longer_px");
  refused("\"std\"", "\"deviation\"", "\"preparation.std\" is missing");
  refused("\"heights_px\": [", "\"heights_px\": [9,", "as many widths_px as heights_px");
  DetectorSpec spec = spec_from_json(good, "spec.json");
  spec.maps = {"stage9"};
  spec.anchors.resize(1);
  CHECK_THROWS_WITH(make_detector(spec), Catch::Contains("got \"stage9\""));
  spec.maps.clear();
  CHECK_THROWS_WITH(make_detector(spec), Catch::Contains("needs anchors for each of its maps"));
  spec = describe(small_photo_recipe("faster-rcnn"), kSquares);
  spec.ranks = {{"fast_rcnn.head.fc9", 2}};
  CHECK_THROWS_WITH(make_detector(spec), Catch::Contains("no fully connected layer"));
  spec.ranks = {{"fast_rcnn.head.fc7", 200}};
  CHECK_THROWS_WITH(make_detector(spec), Catch::Contains("is at most 8, got 200"));
}

TEST_CASE("the dense recipes put anchors on the maps that fit them", "[detector_spec]") {
  // 20 to 30 px of 80, seen at 320: 80 to 120.
  DenseRecipe recipe;
  Preparation preparation = dense_preparation(recipe, kSquares);
  CHECK(describe_dense_detector(recipe, kSquares, preparation).maps ==
        std::vector<std::string>{"stage4", "stage5"});
  recipe = DenseRecipe::retinanet();
  const DetectorSpec retina = describe_dense_detector(recipe, kSquares, preparation);
  CHECK(retina.maps == std::vector<std::string>{"stage3", "stage4", "stage5"});
  for (const AnchorLevel& level : retina.anchors) CHECK(level.sizes.size() == 2);
  CHECK(retina.anchors[0].sizes[1].width < retina.anchors[1].sizes[0].width);
  CHECK(retina.box_weights == kUnitBoxWeights);
  recipe.anchor_sides = 4;
  CHECK_THROWS_WITH(describe_dense_detector(recipe, kSquares, preparation),
                    Catch::Contains("must be a multiple of 3"));
  recipe = {.rate = 0};
  CHECK_THROWS_WITH(describe_dense_detector(recipe, kSquares, preparation),
                    Catch::Contains("rate and trunk_factor must be > 0"));
}

TEST_CASE("dense detectors train: the same bits for the same seed", "[detector_spec]") {
  for (const char* model : {"ssd-small", "retinanet"}) {
    INFO(model);
    const auto trained = [&] {
      manual_seed(1);
      const PhotoRecipe recipe = small_photo_recipe(model);
      const DetectorSpec spec = describe(recipe, kSquares);
      const auto detector = make_detector(spec);
      CHECK(start(*detector, recipe, spec, kSquares).empty());
      int looks = 0;
      train_on_photos(*detector, recipe, spec, kSquares, &kSquares, 2, {}, false,
                      [&](const ValidationRecord&) { ++looks; });
      CHECK(looks == 2);
      return detector->state_dict();
    };
    CHECK(same_numbers(trained(), trained()));
  }
}

TEST_CASE("weights travel with what they mean", "[detector_spec][trained_detector]") {
  const fs::path file = temporary("weights.safetensors"), other = temporary("other.safetensors");
  manual_seed(3);
  const DetectorSpec spec = describe(small_photo_recipe("ssd-small"), kSquares);
  const auto detector = make_detector(spec);
  save_trained(file, *detector, spec);
  TrainedDetector back = load_trained(file);
  CHECK(same_numbers(back.detector->state_dict(), detector->state_dict()));
  CHECK_FALSE(back.detector->is_training());
  CHECK(spec_to_json(back.spec) == spec_to_json(spec));
  detector->eval();
  const Sample sample = kSquares.get(0);
  const Detections found = detect_in_photo(back, sample.image, sample.name);
  for (const Scalar v : found.boxes.data()) CHECK((v >= 0 && v <= 80));

  // Without a spec, with one of another network, with a number that is none.
  save_safetensors(other, {detector->state_dict(), {}});
  CHECK_THROWS_WITH(load_trained(other), Catch::Contains("does not say of which detector"));
  DetectorSpec wider = spec;
  wider.classes.push_back("dark");
  save_trained(other, *detector, wider);
  CHECK_THROWS_WITH(load_trained(other), Catch::StartsWith(other.string()));
  detector->state_dict()[0].second.data()[0] = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK_THROWS_WITH(save_trained(other, *detector, spec), Catch::Contains("is not written"));

  // Other weights start from it: all but the heads, which have another class.
  const auto next = make_detector(wider);
  const FilledWeights taken = fill_from_weights(*next, file);
  CHECK_THAT(taken.told, Catch::Contains(" tensors from "));
  CHECK_FALSE(taken.missing.empty());
  for (const std::string& name : taken.missing) CHECK_THAT(name, Catch::StartsWith("class_head"));
  CHECK(next->find("backbone")->state_dict()[0].second.to_vector() ==
        back.detector->find("backbone")->state_dict()[0].second.to_vector());
  save_safetensors(other, {{{"nothing", Tensor({1})}}, {}});
  CHECK_THROWS_WITH(fill_from_weights(*next, other), Catch::Contains("no tensor has the name"));
  fs::remove(file);
  fs::remove(other);
}

TEST_CASE("a recipe starts from weights of its own model only", "[detector_spec][errors]") {
  const fs::path file = temporary("start.safetensors");
  const DetectorSpec spec = describe(small_photo_recipe("ssd-small"), kSquares);
  save_trained(file, *make_detector(spec), spec);
  PhotoRecipe recipe = small_photo_recipe("ssd-small");
  recipe.pretrained = file;
  const DetectorSpec next = describe(recipe, kSquares);
  CHECK(next.mean == spec.mean);
  CHECK_THAT(start(*make_detector(next), recipe, next, kSquares), Catch::Contains("tensors from"));
  recipe = small_photo_recipe("retinanet");
  recipe.pretrained = file;
  CHECK_THROWS_WITH(describe(recipe, kSquares),
                    Catch::Contains("holds a ssd-small, not a retinanet"));
  recipe.pretrained = fs::temp_directory_path();
  CHECK_THROWS_WITH(describe(recipe, kSquares), Catch::Contains("fits ssd-mobilenet alone"));
  recipe.pretrained = "/nowhere/at/all";
  CHECK_THROWS_WITH(describe(recipe, kSquares), Catch::Contains("there is no"));
  CHECK_THROWS_WITH(PhotoRecipe::of("yolo"), Catch::Contains("there is no model \"yolo\""));
  fs::remove(file);
}
