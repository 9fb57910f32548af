// detection/result_files.h.
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/check.h"
#include "core/files.h"
#include "core/random.h"
#include "detection/coco_evaluation.h"
#include "detection/evaluation.h"
#include "detection/result_files.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / concat("boxgrad_results_", getpid());
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
};

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Three photos, with an answer of each class, none, and two of the first.
std::vector<Detections> three_photos() {
  return {{.boxes = Tensor({2, 4}, {0, 0, 10, 20, Scalar(1.5), Scalar(2.25), 30, 40}),
           .labels = {1, 2},
           .scores = {Scalar(0.9), Scalar(0.5)}},
          {},
          {.boxes = Tensor({2, 4}, {5, 6, 7, 8, 1, 1, 2, 2}),
           .labels = {1, 1},
           .scores = {Scalar(0.25), Scalar(0.125)}}};
}

}  // namespace

TEST_CASE("write_voc_results: pixels from 1, both ends in the box", "[results]") {
  const Folder folder;
  const auto files = write_voc_results(folder.path / "new", "test", three_photos(),
                                       {"000001", "000002", "a-b"}, {"cat", "guinea pig", "dog"});
  REQUIRE(files.size() == 3);
  CHECK(files[0].filename() == "comp4_det_test_cat.txt");
  CHECK(files[1].filename() == "comp4_det_test_guinea_pig.txt");
  CHECK(text_of(files[0]) ==
        "000001 0.9 1 1 10 20\n"
        "a-b 0.25 6 7 7 8\n"
        "a-b 0.125 2 2 2 2\n");
  CHECK(text_of(files[1]) == "000001 0.5 2.5 3.25 30 40\n");
  CHECK(text_of(files[2]).empty());
  CHECK(fs::exists(files[2]));
}

TEST_CASE("write_voc_results: a file for each class of any name", "[results]") {
  const Folder folder;
  const std::vector<std::string> classes{"\u732b", "\u72ac", "a b", "a/b",
                                         "A_B",    "a_b_2",  "..",  std::string("c\0\n", 3)};
  std::vector<Detections> found(1);
  for (std::size_t k = 0; k < classes.size(); ++k) {
    found[0].labels.push_back(static_cast<std::int64_t>(k) + 1);
    found[0].scores.push_back(Scalar(k + 1) / 16);
  }
  found[0].boxes = Tensor({static_cast<std::int64_t>(classes.size()), 4});
  const auto files = write_voc_results(folder.path, "a/b", found, {"1"}, classes);
  std::vector<std::string> names;
  for (std::size_t k = 0; k < files.size(); ++k) {
    CHECK(files[k].parent_path() == folder.path);
    names.push_back(files[k].filename().string());
    CHECK_THAT(text_of(files[k]), Catch::StartsWith(concat("1 ", found[0].scores[k], " ")));
  }
  CHECK(names == std::vector<std::string>{"comp4_det_a_b_\u732b.txt", "comp4_det_a_b_\u72ac.txt",
                                          "comp4_det_a_b_a_b.txt", "comp4_det_a_b_a_b_2.txt",
                                          "comp4_det_a_b_A_B_3.txt", "comp4_det_a_b_a_b_2_2.txt",
                                          "comp4_det_a_b_...txt", "comp4_det_a_b_c__.txt"});
}

TEST_CASE("voc_result_ids: no blanks, and no two alike", "[results]") {
  CHECK(voc_result_ids({"a b", "a_b", "a\tb", "c", "a_b_2"}) ==
        std::vector<std::string>{"a_b_3", "a_b", "a_b_4", "c", "a_b_2"});
}

TEST_CASE("write_coco_results: the annotation file's ids", "[results]") {
  const Folder folder;
  const fs::path file = folder.path / "results.json";
  CHECK(write_coco_results(file, three_photos(), {"397133", "7", "b\"1"}, {"18", "90"}) == 0);
  CHECK(text_of(file) ==
        "[\n"
        " {\"image_id\": 397133, \"category_id\": 18, \"bbox\": [0, 0, 10, 20], \"score\": 0.9},\n"
        " {\"image_id\": 397133, \"category_id\": 90, \"bbox\": [1.5, 2.25, 28.5, 37.75], "
        "\"score\": 0.5},\n"
        " {\"image_id\": \"b\\\"1\", \"category_id\": 18, \"bbox\": [5, 6, 2, 2], \"score\": "
        "0.25},\n"
        " {\"image_id\": \"b\\\"1\", \"category_id\": 18, \"bbox\": [1, 1, 1, 1], \"score\": "
        "0.125}\n"
        "]\n");
  // A class that the file lacks; ids with leading zeros or letters are no numbers.
  CHECK(write_coco_results(file, three_photos(), {"007", "1e3", "x"}, {"", "2"}) == 3);
  const auto json = nlohmann::json::parse(text_of(file));
  REQUIRE(json.size() == 1);
  CHECK(json[0]["image_id"] == "007");
  // Strings stay strings, though they look like numbers.
  CHECK(write_coco_results(file, three_photos(), {"7", "8", "9"}, {"18", "90"},
                           {.photos = {"7"}, .classes = {"90"}}) == 0);
  const auto own = nlohmann::json::parse(text_of(file));
  REQUIRE(own.size() == 4);
  CHECK(own[0]["image_id"] == "7");
  CHECK(own[0]["category_id"] == 18);
  CHECK(own[1]["category_id"] == "90");
  CHECK(own[2]["image_id"] == 9);
  CHECK(write_coco_results(file, {{}}, {"1"}, {"2"}) == 0);
  CHECK(nlohmann::json::parse(text_of(file)).empty());
}

TEST_CASE("result files read back to the same figures", "[results]") {
  const Folder folder;
  Random random(4);
  std::vector<Detections> found(20);
  std::vector<Target> targets(20);
  std::vector<std::string> ids;
  for (std::size_t n = 0; n < 20; ++n) {
    ids.push_back(concat("photo_", n));
    std::vector<Scalar> truths, answers;
    for (int g = 0; g < 3; ++g) {
      const Scalar x = 200 * random.uniform(), y = 200 * random.uniform(),
                   w = 10 + 50 * random.uniform(), h = 10 + 50 * random.uniform();
      truths.insert(truths.end(), {x, y, x + w, y + h});
      const Scalar d = 8 * random.uniform();
      answers.insert(answers.end(), {x + d, y - d, x + w + d, y + h});
      targets[n].labels.push_back(1 + random.below(2));
      found[n].labels.push_back(random.below(4) == 0 ? 1 + random.below(2)
                                                     : targets[n].labels.back());
      found[n].scores.push_back(Scalar(random.uniform()));
    }
    targets[n].boxes = Tensor({3, 4}, truths);
    found[n].boxes = Tensor({3, 4}, answers);
  }
  const double voc = *evaluate_detections(found, targets, 2).mean_ap;
  const double coco = *evaluate_coco(found, targets, 2).all.ap;
  CHECK(voc > 0.1);
  CHECK(voc < 0.95);

  const auto files = write_voc_results(folder.path, "val", found, ids, {"a", "b"});
  std::map<std::string, std::vector<Scalar>> boxes;
  std::map<std::string, Detections> read;
  for (std::size_t k = 0; k < 2; ++k) {
    std::istringstream in(text_of(files[k]));
    std::string id;
    double score, x1, y1, x2, y2;
    while (in >> id >> score >> x1 >> y1 >> x2 >> y2) {
      boxes[id].insert(boxes[id].end(), {Scalar(x1 - 1), Scalar(y1 - 1), Scalar(x2), Scalar(y2)});
      read[id].labels.push_back(static_cast<std::int64_t>(k) + 1);
      read[id].scores.push_back(Scalar(score));
    }
  }
  std::vector<Detections> back;
  for (const std::string& id : ids) {
    back.push_back(read[id]);
    back.back().boxes = Tensor({static_cast<std::int64_t>(boxes[id].size() / 4), 4}, boxes[id]);
  }
  CHECK(*evaluate_detections(back, targets, 2).mean_ap == Approx(voc).epsilon(1e-9));

  write_coco_results(folder.path / "results.json", found, ids, {"5", "9"});
  back.assign(20, {});
  std::vector<std::vector<Scalar>> corners(20);
  for (const auto& one : nlohmann::json::parse(text_of(folder.path / "results.json"))) {
    const auto n = static_cast<std::size_t>(
        std::ranges::find(ids, one["image_id"].get<std::string>()) - ids.begin());
    const std::vector<double> b = one["bbox"];
    corners[n].insert(corners[n].end(),
                      {Scalar(b[0]), Scalar(b[1]), Scalar(b[0] + b[2]), Scalar(b[1] + b[3])});
    back[n].labels.push_back(one["category_id"] == 5 ? 1 : 2);
    back[n].scores.push_back(one["score"].get<Scalar>());
  }
  for (std::size_t n = 0; n < 20; ++n)
    back[n].boxes = Tensor({static_cast<std::int64_t>(corners[n].size() / 4), 4}, corners[n]);
  CHECK(*evaluate_coco(back, targets, 2).all.ap == Approx(coco).epsilon(1e-9));
}

TEST_CASE("result writers explain what does not fit", "[results][errors]") {
  const Folder folder;
  CHECK_THROWS_WITH(write_voc_results(folder.path, "val", three_photos(), {"1", "2"}, {"a", "b"}),
                    "write_voc_results: detections of 3 photos, ids of 2");
  CHECK_THROWS_WITH(write_voc_results(folder.path, "val", three_photos(), {"1", "2", "3"}, {"a"}),
                    "write_voc_results: photo \"1\" has label 2, expected 1 to 1");
  CHECK_THROWS_WITH(
      write_voc_results(folder.path, "val", three_photos(), {"1", "2", "a b"}, {"a", "b"}),
      "write_voc_results: a photo's id must not be empty or hold blanks, got \"a b\"");
  CHECK_THROWS_WITH(write_coco_results(folder.path / "x", three_photos(), {"1", "2", "3"}, {"1"}),
                    "write_coco_results: photo \"1\" has label 2, expected 1 to 1");
  CHECK(!fs::exists(folder.path));
  CHECK_THROWS(write_coco_results("/proc/nowhere/x.json", {}, {}, {}));
}
