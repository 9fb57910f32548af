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
#include "layers/losses.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

void print_row(const char* what, const Tensor& x) {
  std::printf("%s:", what);
  for (const Scalar v : x.data()) std::printf(" %.6f", double(v));
  std::printf("\n");
}

/// The number that minimises a loss over some values, by trying many.
double best_constant(const std::vector<double>& values, double (*loss)(double)) {
  double best = 0, lowest = HUGE_VAL;
  for (double c = -2; c < 12; c += 0.001) {
    double sum = 0;
    for (const double v : values) sum += loss(v - c);
    if (sum < lowest) lowest = sum, best = c;
  }
  return best;
}

Image with_boxes(const Image& image, const Tensor& boxes, const std::vector<std::int64_t>& shown,
                 Color color, int scale) {
  Image canvas = image;
  for (const std::int64_t i : shown)
    draw_rectangle(canvas, double(boxes.at({i, 0})) * scale, double(boxes.at({i, 1})) * scale,
                   double(boxes.at({i, 2})) * scale, double(boxes.at({i, 3})) * scale, color);
  return canvas;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "04_boxes_iou_anchors_nms",
                   .about = "What a box is worth, how a network sees it, which of many survive."});
  return program.run(argc, argv, [&] {
    Report report("04 Boxes, IoU, anchors, NMS");
    const auto out = program.out();
    std::filesystem::create_directories(out / "images");

    // 1. Intersection over union.
    const Tensor a({1, 4}, {0, 0, 10, 10});
    const Tensor others({5, 4},
                        {0, 0, 10, 10, 5, 5, 15, 15, 2, 2, 8, 8, 9, 0, 19, 10, 10, 10, 20, 20});
    print_row("IoU of [0 0 10 10] with five boxes", box_iou(a, others));
    Tensor sliding({41, 41});
    for (std::int64_t dy = -20; dy <= 20; ++dy)
      for (std::int64_t dx = -20; dx <= 20; ++dx) {
        const auto x = Scalar(dx), y = Scalar(dy);
        sliding.set({dy + 20, dx + 20}, box_iou(Tensor({1, 4}, {-16, -10, 16, 10}),
                                                Tensor({1, 4}, {x - 16, y - 10, x + 16, y + 10}))
                                            .item());
      }
    enlarge_pixels(heat_map(sliding), 8).write_png(out / "images/iou.png");
    report.section("IoU").picture(
        {"images/iou.png", "IoU of a 32 x 20 box with itself, shifted by up to 20 px."});

    // 2. Encoding: what a network has to say.
    const Tensor anchor({1, 4}, {10, 20, 50, 80}), truth({1, 4}, {14, 18, 62, 90});
    print_row("offsets of the truth, weights 1", encode_boxes(truth, anchor, kUnitBoxWeights));
    print_row("offsets of the truth, weights 10 10 5 5", encode_boxes(truth, anchor));
    print_row("decoded again", decode_boxes(encode_boxes(truth, anchor), anchor));
    print_row("decoded from 0 0 10 10 (clamped)",
              decode_boxes(Tensor({1, 4}, {0, 0, 10, 10}), anchor, kUnitBoxWeights));

    // 3. One outlier's pull: the constant that fits four offsets and a wrong one best.
    const std::vector<double> offsets = {0.9, 1.0, 1.1, 1.0, 10.0};
    std::printf("best constant by L2 %.3f, by L1 %.3f, by smooth L1 %.3f\n",
                best_constant(offsets, [](double d) { return d * d; }),
                best_constant(offsets, [](double d) { return std::abs(d); }),
                best_constant(offsets, [](double d) {
                  return std::abs(d) < 1 ? d * d / 2 : std::abs(d) - 0.5;
                }));
    Series l1{.name = "L1"}, l2{.name = "L2 / 2"}, smooth{.name = "smooth L1"};
    for (double d = -3; d <= 3.001; d += 0.05) {
      for (Series* s : {&l1, &l2, &smooth}) s->x.push_back(d);
      const Tensor x({1}, Scalar(d)), zero({1});
      l1.y.push_back(std::abs(d));
      l2.y.push_back(d * d / 2);
      smooth.y.push_back(double(smooth_l1_loss(x, zero).item()));
    }
    report.section("Three losses")
        .svg(line_chart({l1, l2, smooth},
                        {.x_label = "error of one offset", .y_label = "loss", .y_max = 4}));

    // 4. Anchors, and which of them a truth finds.
    const AnchorGenerator generator({{ratio_box_sizes({20, 30}, {Scalar(0.5), 1, 2}), 8},
                                     {ratio_box_sizes({40, 54}, {Scalar(0.5), 1, 2}), 16}});
    const Tensor anchors = generator({{16, 16}, {8, 8}});
    std::printf("%lld anchors; ssd300 has %lld\n", static_cast<long long>(anchors.size(0)),
                static_cast<long long>(AnchorGenerator(ssd300_levels())(ssd300_maps()).size(0)));
    const FashionScenes scenes = FashionScenes::train(7);
    const Sample scene = scenes.get(2);
    const auto [canvas, scale] = enlarged(scene.image);
    std::vector<std::int64_t> one_cell;
    for (std::int64_t k = 0; k < 6; ++k) one_cell.push_back((8 * 16 + 8) * 6 + k);
    for (std::int64_t k = 0; k < 6; ++k) one_cell.push_back(16 * 16 * 6 + (4 * 8 + 4) * 6 + k);
    const Matches matches = ssd_match(box_iou(scene.target.boxes, anchors));
    Selection selection;
    for (std::size_t k = 0; k < matches.truth.size(); ++k)
      if (matches.truth[k] >= 0) selection.positives.push_back(std::int64_t(k));
    const DrawOptions options{.scale = double(scale), .text_scale = 0};
    Image matched = canvas;
    draw_anchors(matched, anchors, matches, selection, options);
    draw_truths(matched, scene.target, scenes.class_names(), options);
    image_grid(std::vector{with_boxes(canvas, anchors, one_cell, {230, 159, 0}, scale), matched})
        .write_png(out / "images/anchors.png");
    report.section("Anchors").picture(
        {"images/anchors.png",
         "Left: the anchors of one cell on each map. Right: those that a truth found."});

    // 5. Non-maximum suppression, step by step, on noisy copies of the truths.
    Random random(program.seed());
    const std::int64_t copies = 8, g = scene.target.boxes.size(0);
    Tensor boxes({g * copies, 4});
    std::vector<Scalar> scores;
    for (std::int64_t i = 0; i < g * copies; ++i) {
      const Tensor truth_box = slice(scene.target.boxes, 0, i / copies, i / copies + 1);
      const double noise = 0.06 * std::sqrt(double(box_area(truth_box).item()));
      for (std::int64_t k = 0; k < 4; ++k)
        boxes.set({i, k}, truth_box.at({0, k}) + Scalar(noise * random.normal()));
      scores.push_back(Scalar(random.uniform(0.3, 1)));
    }
    const auto kept = nms(boxes, scores, 0.45);
    std::vector<Image> steps;
    std::vector<std::int64_t> alive = argsort_descending(scores), chosen;
    while (!alive.empty() && steps.size() < 6) {
      Image step = with_boxes(canvas, boxes, alive, {150, 150, 150}, scale);
      chosen.push_back(alive.front());
      steps.push_back(with_boxes(step, boxes, chosen, kPositiveColor, scale));
      const Tensor best = slice(boxes, 0, chosen.back(), chosen.back() + 1);
      std::erase_if(alive, [&](std::int64_t i) {
        return i == chosen.back() || box_iou(best, slice(boxes, 0, i, i + 1)).item() > Scalar(0.45);
      });
    }
    if (alive.empty())
      std::printf("by hand and by nms(): %s\n",
                  chosen == kept ? "the same boxes" : "DIFFERENT BOXES");
    image_grid(steps, {}, {.columns = 3}).write_png(out / "images/nms.png");
    report.section("Non-maximum suppression")
        .picture({"images/nms.png",
                  "Each step keeps the best box that is left (green) and drops what overlaps it."});
    const Tensor five({5, 4},
                      {0, 0, 10, 10, 1, 1, 11, 11, 0, 0, 10, 5, 20, 20, 30, 30, 20, 20, 30, 30});
    for (const double t : {0.3, 0.5, 0.7}) {
      std::printf("threshold %.1f keeps", t);
      for (const std::int64_t i :
           nms(five,
               std::vector<Scalar>{Scalar(.9), Scalar(.8), Scalar(.7), Scalar(.6), Scalar(.6)}, t))
        std::printf(" %c", static_cast<char>('A' + i));
      std::printf("\n");
    }
    report.write(out / "index.html");
    std::printf("pictures: %s\n", (out / "index.html").c_str());
  });
}
