// Tutorial 02: SGD, momentum, weight decay, rates per layer. The sections are the README's.
#include <cmath>
#include <cstdio>
#include <utility>

#include "core/charts.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/report.h"
#include "core/svg.h"
#include "layers/linear.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

using namespace boxgrad;

namespace {

using Path = std::vector<std::vector<Scalar>>;

/// Where the parameter `w` is before each step of SGD on loss(w), and after the last.
template <class Loss>
Path descend(Tensor w, int steps, const nn::SGDOptions& options, const Loss& loss,
             const nn::Schedule& schedule = nn::constant()) {
  w.requires_grad_();
  nn::SGD sgd({{"w", w}}, options);
  Path path{w.to_vector()};
  for (int i = 0; i < steps; ++i) {
    sgd.zero_grad();
    loss(w).backward();
    sgd.step(schedule(i));
    path.push_back(w.to_vector());
  }
  return path;
}

/// Section 2: a bent valley with steep walls, y = x^2 / 4, whose floor falls gently towards (2, 1).
Tensor valley(const Tensor& w) {
  const Tensor x = slice(w, 0, 0, 1), y = slice(w, 0, 1, 2);
  return Scalar(4) * square(y - square(x) * Scalar(0.25)) + Scalar(0.05) * square(x - Scalar(2));
}

/// The valley from above: pixels, a colour for each height, a line wherever the height doubles.
struct Map {
  static constexpr double kLeft = -4.2, kTop = 4.0, kPxPerUnit = 100;
  Image image{760, 520};
  static double x(double w) { return (w - kLeft) * kPxPerUnit; }
  static double y(double w) { return (kTop - w) * kPxPerUnit; }
  Map() {
    const auto level = [](int px, int py) {
      const double a = kLeft + (px + 0.5) / kPxPerUnit, b = kTop - (py + 0.5) / kPxPerUnit;
      return std::log2(4 * std::pow(b - a * a / 4, 2) + 0.05 * std::pow(a - 2, 2) + 0.004);
    };
    for (int py = 0; py < image.height(); ++py)
      for (int px = 0; px < image.width(); ++px) {
        const double v = level(px, py),
                     slope = std::hypot(level(px + 1, py) - v, level(px, py + 1) - v);
        const Color shade = color_at(ColorMap::viridis, 0.10 + 0.85 * (6.5 - v) / 14.5);
        const double line = std::max(0.0, 1 - std::abs(v - std::round(v)) / (slope + 1e-9));
        const Color pixel = mix(mix(shade, kWhite, 0.45), kBlack, 0.25 * line);
        fill_rectangle(image, px, py, px + 1, py + 1, pixel);
      }
  }
  void draw(const Path& path, Color color, const std::string& name, int row) {
    for (std::size_t i = 1; i < path.size(); ++i)
      draw_line(image, x(path[i - 1][0]), y(path[i - 1][1]), x(path[i][0]), y(path[i][1]), color,
                {.thickness = 2});
    for (const auto& w : path) fill_circle(image, x(w[0]), y(w[1]), 3.5, color);
    draw_label(image, 14, 508 - 26 * row, name, color, 2);
  }
};

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "02_sgd_momentum_weight_decay",
                   .about = "What an optimiser does with a gradient, in pictures."});
  return program.run(argc, argv, [&] {
    Report report("02 SGD, momentum, weight decay");

    // 1. One step downhill, and how long it may be.
    const Scalar curvature = 16;
    const auto bowl = [&](const Tensor& w) { return square(w) * (curvature / 2); };
    for (const double r : {0.5, 1.0, 1.5, 2.0, 2.5}) {
      std::printf("rate %.1f / k:", r);
      for (const auto& w : descend(Tensor({1}, {1}), 4, {.rate = r / double(curvature)}, bowl))
        std::printf(" %8.4f", double(w[0]));
      std::printf("\n");
    }

    // 2. Three paths in one valley.
    Map map;
    const Color blue{0, 90, 170}, red{200, 60, 0}, violet{150, 40, 140};
    const auto walk = [&](const std::string& name, const nn::SGDOptions& options, Color color,
                          int row) {
      Path path = descend(Tensor({2}, {Scalar(-3.6), Scalar(2.6)}), 2000, options, valley);
      std::size_t first = path.size();
      while (first > 0 && valley(Tensor({2}, path[first - 1])).item() < 1e-3) --first;
      std::printf("%-9s at a loss below 0.001 for good after %4zu steps\n", name.c_str(), first);
      path.resize(121);
      map.draw(path, color, name, row);
    };
    std::printf("\n");
    walk("SGD", {.rate = 0.05}, blue, 2);
    walk("momentum", {.rate = 0.05, .momentum = 0.9}, red, 1);
    walk("Nesterov", {.rate = 0.05, .momentum = 0.9, .nesterov = true}, violet, 0);
    draw_plus(map.image, Map::x(2), Map::y(1), 11, kBlack, {.thickness = 3});
    map.image.write_png(program.out() / "valley.png");
    report.section("Three paths in one valley").picture({"valley.png", "120 steps, rate 0.05."});

    // 3. Weight decay: 8 examples, 16 inputs of which 2 matter.
    Random random(program.seed());
    Tensor truth({16, 1});
    truth.set({0, 0}, 2);
    truth.set({1, 0}, -1);
    const auto examples = [&](std::int64_t n) {
      Tensor x = Tensor::randn({n, 16}, random);
      return std::pair(x, matmul(x, truth) + Tensor::randn({n, 1}, random) * Scalar(0.5));
    };
    const auto seen = examples(24), fresh = examples(1000);
    const auto error = [](const auto& set, const Tensor& w) {
      return mean(square(matmul(set.first, w) - set.second));
    };
    std::vector<Series> sizes;
    std::printf("\ndecay   |w|    error seen   error fresh\n");
    for (const double c : {0.0, 0.1, 0.3, 1.0, 3.0}) {
      const Path path = descend(Tensor::randn({16, 1}, random), program.quick() ? 300 : 1500,
                                {.rate = 0.03, .momentum = 0.9, .weight_decay = c},
                                [&](const Tensor& w) { return error(seen, w); });
      Series size{.name = "decay " + format_number(c)};
      for (const auto& w : path) {
        double sum = 0;
        for (const Scalar v : w) sum += double(v) * double(v);
        size.y.push_back(std::sqrt(sum));
      }
      const Tensor w({16, 1}, path.back());
      std::printf("%5.1f  %5.2f  %10.3f  %12.3f\n", c, size.y.back(), double(error(seen, w).item()),
                  double(error(fresh, w).item()));
      size.y.resize(201);
      sizes.push_back(size);
    }
    report.section("Weight decay")
        .svg(line_chart(sizes,
                        {.title = "Length of the weights", .x_label = "step", .y_label = "|w|"}));

    // 4. The rate drops: where does the old one live on?
    const auto slide = [](const Tensor& w) { return sum(w); };  // gradient 1, for ever
    std::vector<Series> lengths;
    std::printf("\n");
    for (const auto kind : {nn::Velocity::caffe, nn::Velocity::torch}) {
      const std::string name = kind == nn::Velocity::caffe ? "Caffe" : "PyTorch";
      const nn::SGDOptions options{.rate = 0.1, .momentum = 0.9, .velocity = kind};
      std::printf("%-7s w after a step at 0.1 and one at 0.01: %.3f\n", name.c_str(),
                  double(descend(Tensor({1}, {1}), 2, options, slide, nn::step(1))[2][0]));
      const Path path = descend(Tensor({1}), 120, options, slide, nn::step(60));
      Series length{.name = name};
      for (std::size_t i = 1; i < path.size(); ++i)
        length.y.push_back(double(path[i - 1][0] - path[i][0]));
      lengths.push_back(length);
    }
    report.section("After a drop of the rate")
        .svg(line_chart(lengths, {.title = "Length of each step, gradient 1",
                                  .x_label = "step",
                                  .y_label = "length",
                                  .marks = {{60, "rate / 10"}}}));

    // 5. Rates per layer: biases twice as fast and not decayed, as in Fast R-CNN's code.
    nn::Linear fc(1, 1);
    for (auto& [name, parameter] : fc.parameters()) Tensor(parameter).data()[0] = 2;
    nn::SGD sgd(fc, {.rate = 0.001,
                     .momentum = 0.9,
                     .weight_decay = 0.0005,
                     .groups = {{.pattern = "bias", .rate = 2, .decay = 0}}});
    std::printf("\n");
    for (int i = 0; i < 2; ++i) {
      sgd.zero_grad();
      sum(fc(Tensor({1, 1}, {1})) * Scalar(0.5)).backward();  // gradient 0.5 for both
      sgd.step();
      for (const auto& [name, parameter] : fc.parameters())
        std::printf("step %d  %-6s %.6f\n", i + 1, name.c_str(), double(parameter.item()));
    }

    // 6. Schedules are functions of the iteration.
    const std::pair<const char*, nn::Schedule> schedules[] = {
        {"step(30000)", nn::step(30000)},
        {"warm_up(2000) * multistep", nn::warm_up(2000) * nn::multistep({24000, 34000})},
        {"warm_up(2000) * cosine", nn::warm_up(2000) * nn::cosine(2000, 40000)}};
    std::vector<Series> curves;
    std::printf("\n");
    for (const auto& [name, schedule] : schedules) {
      Series curve{.name = name};
      for (int i = 0; i <= 40000; i += 100) {
        curve.x.push_back(i);
        curve.y.push_back(schedule(i));
      }
      std::printf("%-26s at 1000, 29999, 30000: %.4f %.4f %.4f\n", name, schedule(1000),
                  schedule(29999), schedule(30000));
      curves.push_back(curve);
    }
    report.section("Schedules")
        .svg(line_chart(curves, {.title = "Factor on the learning rate", .x_label = "iteration"}));
    report.write(program.out() / "index.html");
    std::printf("pictures: %s\n", (program.out() / "index.html").c_str());
  });
}
