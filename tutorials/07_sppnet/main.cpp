// Tutorial 07: SPPnet. The sections are the README's.
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "core/autograd.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "core/resize.h"
#include "detection/draw.h"
#include "detection/models/fast_rcnn.h"
#include "detection/spatial_pyramid_pool.h"
#include "detection/training/evaluate.h"
#include "detection/training/region_task.h"
#include "detection/training/run_report.h"
#include "detection/training/spp_net_training.h"
#include "detection/warp.h"
#include "layers/count.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

constexpr int kStride = 8, kCells = 16;  // of the map of a scene of 128 x 128

CellRange cells_of(Scalar low, Scalar high) {
  return spatial_pyramid_cells(low, high, 1. / kStride, kCells);
}
CellRange bin_of(const CellRange& cells, std::int64_t i, std::int64_t n) {
  const CellRange part = part_of(cells.end - cells.begin, i, n);
  return {cells.begin + part.begin, cells.begin + part.end};
}

void print_cells(Scalar low, Scalar high, std::int64_t n) {
  const CellRange cells = cells_of(low, high);
  std::printf("%g to %g px: cells %d to %d, in %d:", double(low), double(high), int(cells.begin),
              int(cells.end - 1), int(n));
  for (std::int64_t i = 0; i < n; ++i)
    std::printf(" %d-%d", int(bin_of(cells, i, n).begin), int(bin_of(cells, i, n).end - 1));
  std::printf("\n");
}

/// A region with what is around it, and the bins of one level on the cells that it has.
Image bins_picture(const Image& image, const Tensor& region, std::int64_t n) {
  constexpr int factor = 4, cell = factor * kStride;
  Image canvas = enlarge_pixels(image, factor);
  const auto box = region.to_vector();
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      const CellRange h = bin_of(cells_of(box[1], box[3]), i, n),
                      w = bin_of(cells_of(box[0], box[2]), j, n);
      const Color color = class_color(1 + (i + j) % 2);
      const auto at = [](std::int64_t edge) { return double(edge * cell); };
      fill_rectangle(canvas, at(w.begin), at(h.begin), at(w.end), at(h.end), color, 0.3);
      draw_rectangle(canvas, at(w.begin), at(h.begin), at(w.end), at(h.end), color);
    }
  draw_boxes(canvas, region, kTruthColor, {.scale = factor, .thickness = 3});
  const int x = std::max(0, int(box[0]) - 8), y = std::max(0, int(box[1]) - 8);
  return crop(canvas, x * factor, y * factor, (std::min(128, int(box[2]) + 8) - x) * factor,
              (std::min(128, int(box[3]) + 8) - y) * factor);
}

/// Milliseconds of one call, the best of three.
double milliseconds(const std::function<void()>& work) {
  double best = 1e300;
  for (int round = 0; round < 3; ++round) {
    const Progress watch("", 1);
    work();
    best = std::min(best, 1e3 * watch.seconds());
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "07_sppnet", .about = "One map for all regions of an image."});
  SppNetPreset preset = spp_net_preset("narrow", 10);
  int scenes = 2000, iterations = int(preset.training.iterations);
  bool five = false;
  program.option("--scenes", scenes, "training scenes", 2);
  program.option("--iterations", iterations, "steps of fine-tuning", 1);
  program.flag("--five", five, "five scales instead of one");
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    preset.training.iterations = quick ? 20 : iterations;
    if (quick) preset.training.classifier_images = 10;
    if (five) preset.model.pyramid = ScalePyramid::five().resized(128. / 600);
    preset.training.seed = program.seed();
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");
    const RegionTask task(
        out.parent_path() / "region_task",
        quick ? RegionTaskOptions::quick() : RegionTaskOptions{.train_scenes = scenes});
    std::cout << task.seconds_text() << "\n";
    SppNet model(task.backbone(), preset.model);
    model.eval();

    // 1. One map, and regions of any size from it.
    const Sample scene = task.val.get(3);
    const Tensor image = preset.preparation().make_batch({scene}).images, map = model.map(image);
    const Tensor object = slice(scene.target.boxes, 0, 0, 1);
    std::cout << "map " << map.shape() << ", its first object " << model.pool(map, object).shape()
              << "\n";
    std::vector<Image> maps{enlarge_pixels(scene.image, 2)}, bins;
    for (const std::size_t c : {3u, 40u, 77u})
      maps.push_back(channel_maps(reshape(map, {kCells, kCells, -1}), 16)[c]);
    image_grid(maps, {}, {.columns = 4}).write_png(out / "images/map.png");

    // 2. Bins, and rounding inwards.
    for (const std::int64_t n : preset.model.levels) print_cells(0, 104, n);
    for (const double low : {22, 20, 19, 28}) print_cells(Scalar(low), Scalar(80 - low), 3);
    for (const std::int64_t n : preset.model.levels)
      bins.push_back(bins_picture(scene.image, object, n));
    image_grid(bins, {}, {.columns = 4}).write_png(out / "images/bins.png");

    // 3. How much faster than one network run for each region?
    const auto cost = [&](std::int64_t count, std::int64_t side) {
      return nn::count_layers(*model.find("backbone"), {count, side, side, 3}).multiply_adds;
    };
    std::cout << "multiply-adds: the map " << cost(1, 128) << ", 100 crops " << cost(100, 48)
              << "\n";
    const Tensor& regions = scene.proposals;
    const double shared = milliseconds([&] { model.pool(model.map(image), regions); });
    const double apart = milliseconds([&] {
      const Tensor crops =
          warp_regions(reshape(image, {128, 128, 3}), regions, {.size = 48, .context = 0});
      const std::vector<Tensor> whole(std::size_t(regions.size(0)), Tensor({1, 4}, {0, 0, 48, 48}));
      spatial_pyramid_pool(model.map(crops), to_rois(whole), preset.model.scale);
    });
    std::printf("%d regions: one map %.1f ms, warped crops %.1f ms: %.1f times\n",
                int(regions.size(0)), shared, apart, apart / shared);

    // 4. Training in stages. Which layers learn?
    std::int64_t learning = 0;
    for (const auto& [name, parameter] : model.parameters())
      if (parameter.requires_grad()) learning += parameter.numel();
    std::cout << learning << " of " << model.parameter_count() << " parameters learn\n";
    const SppNetReport report =
        train_spp_net(model, task.train, preset.preparation(), out / "stores", preset.training);
    std::filesystem::remove_all(out / "stores");
    std::printf("maps %.0f s, fine-tuning %.0f s, features %.0f s, SVMs %.0f s, boxes %.0f s\n",
                report.seconds_maps, report.seconds_fine_tuning,
                report.classifiers.seconds_features, report.classifiers.seconds_svms,
                report.classifiers.seconds_boxes);
    std::printf("on disk: maps %.0f MB, features %.0f MB; loss %.2f, in the end %.2f\n",
                report.map_megabytes, report.classifiers.megabytes, report.losses.front(),
                report.losses.back());

    // 5. How good is it?
    RunResult result;
    result.class_names = task.val.class_names();
    result.parameters = model.parameter_count();
    const auto measure = [&](const char* what, RegionScoring scoring, bool boxes) {
      model.options().scoring = scoring;
      model.options().regress_boxes = boxes;
      const Progress watch("", 1);
      result.answers = detect_all(model, task.val, preset.preparation());
      const double ms = 1e3 * watch.seconds() / double(task.val.size());
      result.evaluation = evaluate_detections(result.answers.detections, result.answers.targets,
                                              task.num_classes());
      std::printf("%s: AP50 %.3f, whatever the class %s; %.1f ms an image\n", what,
                  result.evaluation.mean_ap.value_or(0),
                  result.evaluation.class_agnostic.ap_text().c_str(), ms);
    };
    measure("softmax", RegionScoring::softmax, false);
    measure("SVMs", RegionScoring::svm, false);
    measure("SVMs and boxes", RegionScoring::svm, true);
    Report page("07 SPPnet");
    add_run_sections(page, result, task.val, out);
    page.section("One map, any region")
        .picture({"images/map.png", "A scene and three channels of its map."})
        .picture({"images/bins.png", "The bins of its first object: 6 x 6, 3 x 3, 2 x 2, 1 x 1."})
        .write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
