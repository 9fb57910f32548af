// Tutorial 16: a real pretrained network. The sections are the README's.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "core/charts.h"
#include "core/peaks.h"
#include "core/program.h"
#include "core/report.h"
#include "core/resize.h"
#include "core/tfjs_weights.h"
#include "detection/detections_json.h"
#include "detection/draw.h"
#include "layers/conv.h"
#include "layers/inference.h"
#include "layers/profile.h"
#include "tutorials/16_pretrained_faces/parts.h"
#include "tutorials/16_pretrained_faces/stages.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Path = std::filesystem::path;

namespace {

void print(const char* what, const Tensor& values) {
  std::cout << what;
  for (const Scalar v : values.data()) std::cout << ' ' << v;
  std::cout << '\n';
}

/// Section 1: three bytes and a float, written as TensorFlow.js writes them, and read.
void read_a_small_manifest(const Path& folder) {
  const float one = 1.5F;
  std::ofstream(folder / "small.bin", std::ios::binary)
      .write("\x00\x80\xff", 3)
      .write(reinterpret_cast<const char*>(&one), 4);
  std::ofstream(folder / "small.json")
      << R"([{"weights": [{"name": "w", "shape": [3], "dtype": "float32",
               "quantization": {"dtype": "uint8", "scale": 0.125, "min": -16}},
              {"name": "b", "shape": [1], "dtype": "float32"}], "paths": ["small.bin"]}])";
  for (const auto& [name, tensor] : load_tfjs_weights(folder / "small.json").tensors)
    print(("small.json: " + name).c_str(), tensor);
}

/// Section 3: which pixels a filter with stride 2 is centred on, and which a resize samples.
void compare_conventions() {
  const Tensor row({1, 1, 8, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  Tensor middle({1, 3, 1, 1});
  middle.set({0, 1, 0, 0}, 1);
  const PerAxis stride(1, 2);
  print("stride 2, one zero at either side:",
        conv2d(row, middle, {}, {.stride = stride, .padding = Padding(0, 1)}));
  print("stride 2, TensorFlow's SAME:      ",
        conv2d(row, middle, {}, {.stride = stride, .same_padding = true}));
  const Tensor four({1, 4, 1}, {0, 1, 2, 3});
  print("4 pixels to 8, half_pixel:", resize_bilinear(four, 1, 8));
  print("4 pixels to 8, top_left:  ", resize_bilinear(four, 1, 8, PixelGrid::top_left));
}

/// Section 4: the worst difference of every stage of both pictures.
void compare_stages(Ssd& network, Report& report) {
  std::vector<std::string> names;
  std::vector<double> errors;
  for (const FaceGolden& golden : kFaceGolden) {
    const FaceInput input = face_input(reference_picture(golden.picture));
    const auto stages = face_stages(network, input, golden.stages);
    for (std::size_t i = 0; i < golden.stages.size(); ++i) {
      const double error = stage_error(stages.at(golden.stages[i].name), golden.stages[i]);
      if (names.size() <= i) names.push_back(golden.stages[i].name), errors.push_back(0);
      errors[i] = std::max(errors[i], error);
    }
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    std::printf("  %-32s %.1e\n", names[i].c_str(), errors[i]);
  const double worst = *std::ranges::max_element(errors);
  std::printf("%zu stages of two pictures, the worst off by %.1e of its largest number: %s\n",
              names.size(), worst, worst < 1e-3 ? "all within 1e-3" : "NOT ALL WITHIN 1e-3");
  report.section("Every stage beside the reference")
      .svg(bar_chart(names, {{"largest difference over largest number", errors}}));
}

/// Section 6: what a photo costs, by layer.
void cost(Ssd& network, const FaceInput& input, double seconds, const char* what) {
  const NoGradGuard guard;
  const double best = shortest_s(seconds, [&] { network.heads(input.image); });
  std::printf("%s: %.0f ms\n", what, 1e3 * best);
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "16_pretrained_faces",
                   .about = "A face detector that somebody else trained, from our own layers.",
                   .data_on_stdout = true});
  Path package = "out/face-api/package";
  double min_score = 0.5;
  bool json = false;
  std::vector<Path> photos;
  program.option("--package", package, "the unpacked npm package @vladmandic/face-api 1.7.15");
  program.option("--min-score", min_score, "report faces with a score above this", 0, 1);
  program.flag("--json", json, "only find faces: one line of JSON a photo");
  program.arguments("photos", photos, "pictures to find faces in");
  return program.run(argc, argv, [&] {
    // Every photo, or an error that names it; the others go on.
    std::size_t bad = 0;
    const auto each_photo = [&](Ssd& network, const auto& use) {
      for (const Path& path : photos) try {
          const Image photo = Image::read(path);
          use(path, photo, detect_faces(network, photo, {.min_score = min_score}));
        } catch (const std::exception& error) {
          ++bad;
          std::cerr << "error: " << error.what() << std::endl;
        }
    };
    const auto finish = [&] {
      if (bad > 0) throw std::runtime_error(concat(bad, " of ", photos.size(), " photos failed"));
    };
    if (json) {
      check(!photos.empty(), "--json: name the photos to find faces in");
      const auto network = load_face_ssd(package);
      nn::prepare_for_inference(*network);
      each_photo(*network, [](const Path& path, const Image& photo, const Detections& faces) {
        std::cout << detections_json(path.string(), photo, faces) << std::endl;
      });
      return finish();
    }

    // 1. What is in a file of weights: a small one of our own, then the package's.
    read_a_small_manifest(program.out());
    Report report("16 A real pretrained network");
    Path manifest;
    std::string missing;
    try {
      manifest = face_manifest(package);
    } catch (const std::invalid_argument& error) {
      missing = error.what();
    }
    if (missing.empty()) {
      report.section("What is in the file");
      look_at_weights(manifest, report).write_png(program.out() / "filters.png");
      report.picture({"filters.png", "The first layer's 32 filters, as what they look for."});
    }

    // 2. The same network from our own layers, and 3. the agreements.
    count_parts(*make_face_ssd());
    compare_conventions();
    if (!missing.empty()) {
      std::cout << "The rest needs the weights, which are not here: " << missing << "\n";
      return;
    }

    // 4. Every stage beside the reference, then faces.
    const auto network = load_face_ssd(package);
    compare_stages(*network, report);
    if (photos.empty())
      for (int i = 1; i <= (program.quick() ? 1 : 6); ++i)
        photos.push_back(package / "demo" / concat("sample", i, ".jpg"));
    std::vector<Picture> pictures;
    Image first;
    report.section("Faces");
    each_photo(*network, [&](const Path& path, const Image& photo, const Detections& faces) {
      std::printf("%s: %zu faces\n", path.string().c_str(), faces.scores.size());
      if (first.width() == 0) first = photo;
      Image drawn = photo;
      const int thickness = std::max(2, std::max(photo.width(), photo.height()) / 300);
      draw_detections(drawn, faces, {"face"},
                      {.min_score = min_score,
                       .thickness = thickness,
                       .text_scale = std::max(1, thickness / 2)});
      pictures.push_back({concat("faces_", pictures.size() + 1, ".png"), path.string()});
      resize_to_fit(drawn, 960, 960).write_png(program.out() / pictures.back().path);
    });
    if (!pictures.empty()) report.pictures(pictures, 320);

    // 5. One mistake at a time, and 6. what it costs.
    if (first.width() > 0) {
      Image drawn = first;
      break_it(package, first, drawn);
      resize_to_fit(drawn, 960, 960).write_png(program.out() / "broken.png");
      report.section("One mistake")
          .picture({"broken.png", "Green as it should be, red with one zero at every side."});
      const FaceInput input = face_input(first);
      const double budget = program.quick() ? 0.05 : 2;
      cost(*network, input, budget, "as loaded");
      nn::Profiler profiler;
      {
        const NoGradGuard guard;
        network->heads(input.image);
      }
      const nn::Profile profile = profiler.profile();
      const std::string table = profile.table(measure_peaks(), nn::ProfileOrder::time);
      std::cout << profile.by_op().table(measure_peaks(), nn::ProfileOrder::time);
      nn::prepare_for_inference(*network);
      cost(*network, input, budget, "folded, filters transformed before");
      report.section("Cost by layer").preformatted(table);
    }
    report.write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
    finish();
  });
}
