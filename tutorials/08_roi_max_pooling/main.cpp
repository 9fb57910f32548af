// Tutorial 08: RoI max pooling and its backward. The sections are the README's.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/draw.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/data/fashion_scenes.h"
#include "detection/draw.h"
#include "detection/roi_pool.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// [1, H, W, 1] as rows of numbers.
void print_map(const char* what, const Tensor& map) {
  std::printf("%s:", what);
  for (std::int64_t h = 0; h < map.size(1); ++h) {
    std::printf(h == 0 ? " " : " / ");
    for (std::int64_t w = 0; w < map.size(2); ++w)
      std::printf(w == 0 ? "%g" : " %g", double(map.at({0, h, w, 0})));
  }
  std::printf("\n");
}

Tensor region(double x1, double y1, double x2, double y2) {
  return Tensor({1, 5}, {0, Scalar(x1), Scalar(y1), Scalar(x2), Scalar(y2)});
}

/// Cell (h, w) that bin (i, j) of a region took its number from: where a gradient of one lands.
std::pair<double, double> winner(const Tensor& map, const Tensor& rois, std::int64_t bins,
                                 std::int64_t i, std::int64_t j) {
  const Tensor x = map.clone().requires_grad_();
  Tensor dy({1, bins, bins, 1});
  dy.set({0, i, j, 0}, 1);
  roi_max_pool(x, rois, bins, bins, 1).backward(dy);
  for (std::int64_t h = 0; h < map.size(1); ++h)
    for (std::int64_t w = 0; w < map.size(2); ++w)
      if (x.grad().at({0, h, w, 0}) != 0) return {double(w), double(h)};
  return {-1, -1};  // an empty bin
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "08_roi_max_pooling",
                   .about = "Regions of any size become grids; gradients find the way back."});
  return program.run(argc, argv, [&] {
    Report report("08 RoI max pooling");
    const auto out = program.out();

    // 1. From a box to bins.
    Tensor map({1, 4, 4, 1});
    for (std::size_t i = 0; i < 16; ++i) map.data()[i] = Scalar(i);
    const auto pool = [&](const Tensor& rois, double scale = 1) {
      return roi_max_pool(map, rois, 2, 2, scale);
    };
    print_map("the map", map);
    print_map("region 0 0 3 3", pool(region(0, 0, 3, 3)));
    print_map("region 0 0 2 2", pool(region(0, 0, 2, 2)));
    print_map("region 1 1 1 1", pool(region(1, 1, 1, 1)));
    print_map("region 2 2 6 6", pool(region(2, 2, 6, 6)));
    print_map("region 7 7 39 39 at 1/16", pool(region(7, 7, 39, 39), 1. / 16));
    print_map("region 8 8 40 40 at 1/16", pool(region(8, 8, 40, 40), 1. / 16));

    // 2. Who won.
    const std::int64_t side = 12, bins = 3;
    const Tensor bumps = Tensor::rand({1, side, side, 1});
    const Tensor roi = region(1, 2, 8, 10);
    const int cell = 28, bin = 64, left = int(side + 2) * cell, top = 2 * cell;
    Image arrows(left + int(bins) * bin, int(side) * cell, kWhite);
    paste(arrows, enlarge_pixels(heat_map(reshape(bumps, {side, side}), 0, 1), cell), 0, 0);
    draw_rectangle(arrows, 1 * cell, 2 * cell, 9 * cell, 11 * cell, kWhite, {.thickness = 3});
    const Tensor grid = reshape(roi_max_pool(bumps, roi, bins, bins, 1), {bins, bins});
    paste(arrows, enlarge_pixels(heat_map(grid, 0, 1), bin), left, top);
    for (std::int64_t i = 0; i < bins; ++i)
      for (std::int64_t j = 0; j < bins; ++j) {
        const auto [w, h] = winner(bumps, roi, bins, i, j);
        draw_arrow(arrows, left + (double(j) + 0.5) * bin, top + (double(i) + 0.5) * bin,
                   (w + 0.5) * cell, (h + 0.5) * cell, {230, 80, 80});
      }
    arrows.write_png(out / "arrows.png");

    // 3. Gradients land, and add up.
    const Tensor x = map.clone().requires_grad_();
    const Tensor two = cat({region(0, 0, 2, 2), region(0, 0, 3, 3)}, 0);
    roi_max_pool(x, two, 2, 2, 1).backward(Tensor::ones({2, 2, 2, 1}));
    print_map("gradient of both regions", x.grad());
    Tensor distinct({1, 5, 6, 2});  // far from ties, where the maximum has no derivative
    for (std::size_t i = 0; i < 60; ++i) distinct.data()[i] = Scalar(37 * i % 60) * Scalar(0.1);
    const GradcheckReport check = gradcheck(
        [&](const auto& in) { return roi_max_pool(in[0], region(0.4, 1, 4.2, 4), 2, 3, 1); },
        {distinct});
    std::cout << "finite differences " << (check.ok ? "agree" : "DISAGREE") << "\n"
              << check.table();

    // 4. Rounding: a box that slides.
    Series steps{.name = "RoI max pooling", .x = {}, .y = {}};
    Tensor ramp({1, 1, 8, 1});  // the map's numbers are their own places
    for (std::int64_t w = 0; w < 8; ++w) ramp.set({0, 0, w, 0}, Scalar(w));
    for (double shift = 0; shift <= 64; shift += 0.5) {
      steps.x.push_back(shift);
      steps.y.push_back(double(
          roi_max_pool(ramp, region(shift, 0, shift + 40, 0), 1, 1, 1. / 16).at({0, 0, 0, 0})));
    }
    report.section("Rounding")
        .svg(line_chart({steps}, {.title = "The pooled number while a box slides by 64 pixels",
                                  .x_label = "shift in pixels",
                                  .y_label = "right end in cells"}));

    // 5. On a picture: seven by seven, whatever the size.
    const FashionScenes scenes(FashionScenes::Split::val, 1, 1);
    const Sample scene = scenes.get(0);
    const Tensor pixels =
        reshape(scene.image.to_tensor(), {1, scene.image.height(), scene.image.width(), 3});
    std::vector<Image> sheet{enlarge_pixels(scene.image, 3)};
    draw_boxes(sheet[0], scene.target.boxes, {255, 255, 255}, {.scale = 3});
    for (std::int64_t g = 0; g < scene.target.boxes.size(0); ++g) {
      const Tensor roi = cat({Tensor({1, 1}), slice(scene.target.boxes, 0, g, g + 1)}, 1);
      sheet.push_back(enlarge_pixels(
          Image::from_tensor(reshape(roi_max_pool(pixels, roi, 7, 7, 1), {7, 7, 3})), 52));
    }
    image_grid(sheet, {}, {.columns = 2, .background = {60, 70, 90}}).write_png(out / "grids.png");

    // 6. All of it as a table: where the gradients of every object land, in one channel.
    const Tensor red = slice(pixels, 3, 0, 1);
    Tensor rois({0, 5});
    std::printf("what           pixels  bins  cells that won  most won by one  gradients\n");
    const auto landed = [&](const std::string& what, const Tensor& regions, std::int64_t area) {
      const Tensor map = red.clone().requires_grad_();
      roi_max_pool(map, regions, 7, 7, 1).backward(Tensor::ones({regions.size(0), 7, 7, 1}));
      const Tensor& dx = map.grad();
      std::int64_t won = 0, most = 0;
      for (const Scalar d : dx.data()) {
        won += d > 0;
        most = std::max(most, static_cast<std::int64_t>(d));
      }
      std::printf("%-13s  %6d  %4d  %14d  %15d  %9d\n", what.c_str(), int(area),
                  int(49 * regions.size(0)), int(won), int(most), int(sum(dx).item()));
    };
    std::int64_t areas = 0;
    for (std::int64_t g = 0; g < scene.target.boxes.size(0); ++g) {
      const Tensor roi = cat({Tensor({1, 1}), slice(scene.target.boxes, 0, g, g + 1)}, 1);
      const auto extent = [&](std::int64_t axis) {  // both end cells count
        return std::lround(roi.at({0, 3 + axis})) - std::lround(roi.at({0, 1 + axis})) + 1;
      };
      landed(scenes.class_names()[std::size_t(scene.target.labels[std::size_t(g)] - 1)], roi,
             extent(0) * extent(1));
      areas += extent(0) * extent(1);
      rois = cat({rois, roi}, 0);
    }
    landed("all together", rois, areas);
    std::vector<Tensor> copies;  // as proposals are: the same objects over and over
    for (const Scalar dx : {-3, 0, 3})
      for (const Scalar dy : {-3, 0, 3})
        copies.push_back(rois + Tensor({1, 5}, {0, dx, dy, dx, dy}));
    landed("nine of each", cat(copies, 0), 9 * areas);

    report.section("Winners")
        .picture({"arrows.png", "Each number of the grid and the cell it came from."})
        .section("A picture")
        .picture({"grids.png", "A scene, and the 7 x 7 grid of each object."})
        .write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
