// detection/training/log.cpp, layers/weight_average.cpp,
// detection/training/evaluate.cpp and detection/training/run_report.cpp.
#include <unistd.h>

#include <filesystem>

#include "core/files.h"
#include "core/ops.h"
#include "detection/training/evaluate.h"
#include "detection/training/log.h"
#include "detection/training/run_report.h"
#include "layers/weight_average.h"
#include "tests/bright_boxes.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

TrainingLog make_log() {
  TrainingLog log;
  log.steps.push_back({20, 1.5, 3.25, {{"class", 2.25}, {"box", 1}}, 0.1, 64, 20.5});
  log.validations.push_back({20, 1.5, 0.25, 0.5});
  return log;
}

/// Knows the truth: answers every image with its own box, in the batch's pixels.
struct Oracle : Detector {
  bool trained_mode = true;
  DetectorLoss loss(const Batch&, Random&) override { return {}; }
  std::vector<Detections> detect(const Batch& batch) override {
    trained_mode = is_training();
    std::vector<Detections> result;
    for (const Target& target : batch.targets)
      result.push_back({target.boxes, target.labels, std::vector<Scalar>(target.labels.size(), 1)});
    return result;
  }
};

}  // namespace

TEST_CASE("training log: JSON there and back, and a table", "[log]") {
  TrainingLog log = make_log();
  log.validations.insert(log.validations.begin(), {10, 0.75, 0.125, 0.25});
  CHECK(TrainingLog::from_json(log.to_json()).to_json() == log.to_json());
  CHECK(log.to_csv() ==
        "iteration,seconds,loss,class_loss,box_loss,rate,images_per_second,positives_per_image,"
        "ap50,ap50_class_agnostic\n"
        "10,0.75,,,,,,,0.125,0.25\n"
        "20,1.5,3.25,2.25,1,0.1,64,20.5,,\n"
        "20,1.5,,,,,,,0.25,0.5\n");
  CHECK_THROWS_AS(TrainingLog::from_json("{}"), std::invalid_argument);
  CHECK_THROWS_AS(TrainingLog::from_json("[1"), std::invalid_argument);
}

TEST_CASE("weight average follows the weights slowly and changes places with them",
          "[weight_average]") {
  struct One : nn::Module {
    Tensor w = add_parameter("w", Tensor({1}, {0}));
  } module;
  nn::WeightAverage average(module, 0.5);
  module.w.data()[0] = 10;
  average.update(100);  // d = min(0.5, 101/110)
  CHECK(average.state_dict()[0].second.item() == 5);
  average.swap();
  CHECK(module.w.item() == 5);
  average.swap();
  CHECK(module.w.item() == 10);
  average.update(1);  // d = 2/11
  CHECK(average.state_dict()[0].second.item() == Approx(5 + 5 * 9.0 / 11));
  CHECK_THROWS_WITH(average.load_state_dict({{"v", Tensor({1})}}),
                    "WeightAverage: \"w\" [1] expected, got \"v\" [1]");
  CHECK_THROWS_WITH(nn::WeightAverage(module, 1), "WeightAverage: decay must be in [0, 1), got 1");
  nn::WeightAverage off(module, 0);
  off.update(1);
  off.swap();
  CHECK(module.w.item() == 10);
  CHECK(off.state_dict().empty());
}

TEST_CASE("detect_all answers in pixels of the original images", "[evaluate]") {
  const ToyDataset data(5);
  Preparation twice;
  twice.resize = [](Sample sample, Random&) { return resize(sample, 64, 48); };
  Oracle oracle;
  std::int64_t seen = 0;
  const Answers answers =
      detect_all(oracle, data, twice, 5, 2, [&](std::int64_t done) { seen = done; });
  CHECK(seen == 5);
  CHECK_FALSE(oracle.trained_mode);
  CHECK(oracle.is_training());
  REQUIRE(answers.detections.size() == 5);
  for (std::int64_t i = 0; i < 5; ++i) {
    const auto truth = data.get(i).target.boxes.to_vector();
    const auto found = answers.detections[std::size_t(i)].boxes.to_vector();
    for (std::size_t k = 0; k < 4; ++k) CHECK(found[k] == Approx(truth[k]).margin(1e-3));
    CHECK(answers.names[std::size_t(i)] == concat("toy/", i));
  }
  CHECK(detect_all(oracle, data, {}, 3).targets.size() == 3);
}

TEST_CASE("a run's report: figures for programs, a page for people", "[run_report]") {
  const ToyDataset data(4);
  Oracle oracle;
  RunResult result;
  result.training = {make_log(), 20, 20, 1.5, false};
  result.answers = detect_all(oracle, data, {});
  result.class_names = data.class_names();
  result.evaluation = evaluate_detections(result.answers.detections, result.answers.targets, 2);
  result.parameters = 123;
  result.batch_size = 4;
  result.figures = {{"ms_per_image", 2.5}};
  const std::string json = metrics_json(result);
  for (const char* part : {"\"ap50\": 1.0", "\"ap50_class_agnostic\": 1.0", "\"<script>\": 1.0",
                           "\"seconds_train\": 1.5", "\"images\": 80", "\"parameters\": 123",
                           "\"ms_per_image\": 2.5"}) {
    INFO(part);
    CHECK(json.find(part) != std::string::npos);
  }
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_report_", getpid());
  Report report("test");
  add_run_sections(report, result, data, folder);
  CHECK(report.html().find("<script>") == std::string::npos);
  CHECK(report.html().find("&lt;script&gt;") != std::string::npos);
  CHECK(Image::read(folder / "images/found.png").width() == 280);
  CHECK_FALSE(fs::exists(folder / "images/worst.png"));  // nothing went wrong
  fs::remove_all(folder);
}

TEST_CASE("the worst pictures: not larger than asked for, boxes where they belong",
          "[run_report]") {
  const BrightBoxes data({{30, 30}, {20, 20}});  // in the first from y = 6 to 36, of 60
  RunResult result;
  result.class_names = data.class_names();
  for (std::int64_t i = 0; i < data.size(); ++i) {
    result.answers.detections.push_back({});  // both are missed
    result.answers.targets.push_back(data.get(i).target);
  }
  result.evaluation = evaluate_detections(result.answers.detections, result.answers.targets, 1);
  CHECK(worst_pictures(result, data, 1, 60).size() == 1);
  const std::vector<Image> pictures = worst_pictures(result, data, 5, 60);
  REQUIRE(pictures.size() == 2);
  CHECK(pictures[0].width() == 60);
  CHECK(pictures[0].height() == 45);
  // The dashed frame ends at .75 * 36 = 27.
  int lowest = 0;
  for (int y = 0; y < 45; ++y)
    for (int x = 0; x < 60; ++x) {
      const auto pixel = pictures[0].pixel(x, y);
      if (pixel[0] > 250 && pixel[1] > 250 && pixel[2] > 250) lowest = y;
    }
  CHECK(lowest >= 25);
  CHECK(lowest <= 29);
  // Small ones grow, as far as they may.
  CHECK(worst_pictures(result, data, 1, 320)[0].width() == 320);
  CHECK(ap_chart(make_log()).find("AP50, any class") != std::string::npos);
}
