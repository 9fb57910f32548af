// Tutorial 04: boxes, IoU, encoding, anchors, NMS. The sections are the README's.
#include <cmath>
#include <cstdio>

#include "core/charts.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/anchors.h"
#include "detection/boxes.h"
#include "detection/data/fashion_scenes.h"
#include "detection/draw.h"
#include "detection/matcher.h"
#include "detection/nms.h"
#include "detection/training/run_report.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

void print_row(const char* what, const Tensor& x) {
  std::printf("%s:", what);
  for (const Scalar v : x.data()) std::printf(" %.6f", double(v));
  std::printf("\n");
}

// Section 3: what an offset that is wrong by d costs.
using Loss = double (*)(double d);
double l2(double d) { return d * d / 2; }
double l1(double d) { return std::abs(d); }
double smooth_l1(double d) { return std::abs(d) < 1 ? d * d / 2 : std::abs(d) - 0.5; }

/// The number that minimises the sum of a loss over some values, by trying many.
double best_constant(const std::vector<double>& values, Loss loss) {
  double best = 0, lowest = HUGE_VAL;
  for (double c = -2; c < 12; c += 0.001) {
    double sum = 0;
    for (const double v : values) sum += loss(v - c);
    if (sum < lowest) lowest = sum, best = c;
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "04_boxes_iou_anchors_nms",
                   .about = "What a box is worth, how a network sees it, which of many survive."});
  return program.run(argc, argv, [&] {
    Report report("04 Boxes, IoU, anchors, NMS");
    const auto out = program.out();

    // 1. Intersection over union.
    const Tensor others({5, 4},
                        {0, 0, 10, 10, 5, 5, 15, 15, 2, 2, 8, 8, 9, 0, 19, 10, 10, 10, 20, 20});
    print_row("IoU of [0 0 10 10] with five boxes",
              box_iou(Tensor({1, 4}, {0, 0, 10, 10}), others));
    std::vector<Scalar> shifted;
    for (int dy = -20; dy <= 20; ++dy)
      for (int dx = -20; dx <= 20; ++dx)
        for (const int side : {dx - 16, dy - 10, dx + 16, dy + 10}) shifted.push_back(Scalar(side));
    const Tensor iou = box_iou(Tensor({1, 4}, {-16, -10, 16, 10}), Tensor({41 * 41, 4}, shifted));
    enlarge_pixels(heat_map(reshape(iou, {41, 41})), 8).write_png(out / "iou.png");
    report.section("IoU").picture(
        {"iou.png", "IoU of a 32 x 20 box with itself, shifted by up to 20 px."});

    // 2. Residuals: what a network has to say.
    const Tensor anchor({1, 4}, {10, 20, 50, 80}), truth({1, 4}, {14, 18, 62, 90});
    print_row("offsets of the truth, weights 1", encode_boxes(truth, anchor, kUnitBoxWeights));
    print_row("offsets of the truth, weights 10 10 5 5", encode_boxes(truth, anchor));
    print_row("decoded again", decode_boxes(encode_boxes(truth, anchor), anchor));
    print_row("decoded from 0 0 10 10 (clamped)",
              decode_boxes(Tensor({1, 4}, {0, 0, 10, 10}), anchor, kUnitBoxWeights));

    // 3. One outlier's pull: the constant that fits four offsets and a wrong one best.
    const std::vector<double> offsets = {0.9, 1.0, 1.1, 1.0, 10.0};
    std::printf("best constant by L2 %.3f, by L1 %.3f, by smooth L1 %.3f\n",
                best_constant(offsets, l2), best_constant(offsets, l1),
                best_constant(offsets, smooth_l1));
    std::vector<Series> curves;
    for (const auto& [name, loss] :
         {std::pair<const char*, Loss>{"L1", l1}, {"L2 / 2", l2}, {"smooth L1", smooth_l1}}) {
      curves.push_back({.name = name});
      for (double d = -3; d <= 3.001; d += 0.05) {
        curves.back().x.push_back(d);
        curves.back().y.push_back(loss(d));
      }
    }
    report.section("Three losses")
        .svg(line_chart(curves, {.x_label = "error of one offset", .y_label = "loss", .y_max = 4}));

    // 4. Anchors, and which of them a truth finds.
    const AnchorGenerator generator({{ratio_box_sizes({20, 30}, {Scalar(0.5), 1, 2}), 8},
                                     {ratio_box_sizes({40, 54}, {Scalar(0.5), 1, 2}), 16}});
    const Tensor anchors = generator({{16, 16}, {8, 8}});
    const Tensor ssd300 = AnchorGenerator(ssd300_levels())(ssd300_maps());
    std::printf("%d anchors; ssd300 has %d\n", int(anchors.size(0)), int(ssd300.size(0)));
    const FashionScenes scenes = FashionScenes::train(7);
    const Sample scene = scenes.get(2);
    const auto [canvas, scale] = enlarged(scene.image);
    const DrawOptions options{.scale = double(scale), .text_scale = 0};
    Image one_cell = canvas, matched = canvas;
    for (const int cell : {8 * 16 + 8, 16 * 16 + 4 * 8 + 4})  // the middle of each map
      draw_boxes(one_cell, slice(anchors, 0, 6 * cell, 6 * cell + 6), kIgnoredColor, options);
    const Matches matches = ssd_match(box_iou(scene.target.boxes, anchors));
    std::vector<std::int64_t> found;
    for (std::size_t k = 0; k < matches.truth.size(); ++k)
      if (matches.truth[k] >= 0) found.push_back(std::int64_t(k));
    draw_boxes(matched, index_select(anchors, 0, found), kPositiveColor, options);
    draw_truths(matched, scene.target, scenes.class_names(), options);
    image_grid(std::vector{one_cell, matched}).write_png(out / "anchors.png");
    report.section("Anchors").picture(
        {"anchors.png", "Left: the anchors of one cell on each map. Right: those a truth found."});

    // 5. Non-maximum suppression, step by step, on eight noisy copies of each truth.
    const Tensor copies = cat(std::vector<Tensor>(8, scene.target.boxes), 0);
    const Tensor noise = sqrt(reshape(box_area(copies), {copies.size(0), 1})) * Scalar(0.06);
    const Tensor boxes = copies + noise * Tensor::randn(copies.shape());
    const std::vector<Scalar> scores = Tensor::rand({boxes.size(0)}).to_vector();
    std::vector<Image> steps;
    std::vector<std::int64_t> alive = argsort_descending(scores), chosen;
    while (!alive.empty()) {
      chosen.push_back(alive.front());
      steps.push_back(canvas);
      draw_boxes(steps.back(), index_select(boxes, 0, alive), {150, 150, 150}, options);
      draw_boxes(steps.back(), index_select(boxes, 0, chosen), kPositiveColor, options);
      const Tensor iou = box_iou(slice(boxes, 0, alive[0], alive[0] + 1), boxes);
      std::erase_if(alive, [&](std::int64_t i) { return iou.at({0, i}) > Scalar(0.45); });
    }
    std::printf("by hand and by nms(): %s\n",
                chosen == nms(boxes, scores, 0.45) ? "the same boxes" : "DIFFERENT BOXES");
    image_grid(steps, {}, {.columns = 2}).write_png(out / "nms.png");
    report.section("Non-maximum suppression")
        .picture({"nms.png", "Each step keeps the best box that is left and drops its overlaps."});
    const Tensor five({5, 4},
                      {0, 0, 10, 10, 1, 1, 11, 11, 0, 0, 10, 5, 20, 20, 30, 30, 20, 20, 30, 30});
    const std::vector<Scalar> five_scores{Scalar(.9), Scalar(.8), Scalar(.7), Scalar(.6),
                                          Scalar(.6)};
    for (const double threshold : {0.3, 0.5, 0.7}) {
      std::printf("threshold %.1f keeps", threshold);
      for (const auto i : nms(five, five_scores, threshold)) std::printf(" %c", char('A' + i));
      std::printf("\n");
    }
    report.write(out / "index.html");
    std::printf("pictures: %s\n", (out / "index.html").c_str());
  });
}
