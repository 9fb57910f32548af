// Tutorial 02: SGD, momentum, weight decay, rates per layer. The sections are the README's.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "core/charts.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/report.h"
#include "layers/linear.h"
#include "layers/schedule.h"
#include "layers/sgd.h"

using namespace boxgrad;
using Path = std::vector<Tensor>;

namespace {

/// Where the parameter w stands before each step of SGD on loss(w), and after the last.
template <class Loss>
Path descend(Tensor w, int steps, const nn::SGDOptions& options, const Loss& loss,
             const nn::Schedule& schedule = nn::constant()) {
  w.requires_grad_();
  nn::SGD sgd({{"w", w}}, options);
  Path path{w.clone()};
  for (int i = 0; i < steps; ++i) {
    sgd.zero_grad();
    loss(w).backward();
    sgd.step(schedule(i));
    path.push_back(w.clone());
  }
  return path;
}

/// Section 2: a bent valley with steep walls; its floor y = x^2 / 4 falls gently towards (2, 1).
Tensor valley(const Tensor& w) {
  const Tensor x = slice(w, 0, 0, 1), y = slice(w, 0, 1, 2);
  return Scalar(4) * square(y - square(x) / Scalar(4)) + square(x - Scalar(2)) / Scalar(20);
}

double map_x(double x) { return 100 * (x + 4.2); }
double map_y(double y) { return 100 * (4.0 - y); }

/// The valley from above: the higher, the darker, and a line wherever the height doubles.
Image draw_valley() {
  Image image(760, 520);
  const auto level = [](int px, int py) {
    const double x = px / 100.0 - 4.2, y = 4.0 - py / 100.0;
    return std::log2(4 * std::pow(y - x * x / 4, 2) + std::pow(x - 2, 2) / 20 + 0.004);
  };
  for (int py = 0; py < image.height(); ++py)
    for (int px = 0; px < image.width(); ++px) {
      const double v = level(px, py);
      const double slope = std::hypot(level(px + 1, py) - v, level(px, py + 1) - v);
      const double line = std::max(0.0, 1 - std::abs(v - std::round(v)) / (slope + 1e-9));
      const Color shade = mix({255, 250, 225}, {96, 140, 178}, std::clamp((v + 6) / 12, 0., 1.));
      fill_rectangle(image, px, py, px + 1, py + 1, mix(shade, {40, 70, 100}, 0.35 * line));
    }
  return image;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "02_sgd_momentum_weight_decay",
                   .about = "What an optimiser does with a gradient, in pictures."});
  return program.run(argc, argv, [&] {
    Report report("02 SGD, momentum, weight decay");

    std::printf("1. One weight, loss k/2 w^2, k = 16\n");
    const auto bowl = [](const Tensor& w) { return square(w) * Scalar(8); };
    for (const double factor : {0.5, 1.0, 1.5, 2.0, 2.5}) {
      std::printf("rate %.1f / k:", factor);
      for (const Tensor& w : descend(Tensor({1}, {1}), 4, {.rate = factor / 16}, bowl))
        std::printf(" %8.4f", double(w.item()));
      std::printf("\n");
    }

    std::printf("\n2. Three paths in one valley\n");
    Image map = draw_valley();
    const auto walk = [&](const char* name, const nn::SGDOptions& options, Color color, int row) {
      Path path = descend(Tensor({2}, {Scalar(-3.6), Scalar(2.6)}), 2000, options, valley);
      std::size_t steps = path.size();
      while (steps > 0 && valley(path[steps - 1]).item() < Scalar(0.001)) --steps;
      std::printf("%-8s loss below 0.001 for good after %4zu steps\n", name, steps);
      for (std::size_t i = 0; i < 120; ++i) {
        const auto a = path[i].data(), b = path[i + 1].data();
        draw_line(map, map_x(a[0]), map_y(a[1]), map_x(b[0]), map_y(b[1]), color);
        fill_circle(map, map_x(a[0]), map_y(a[1]), 3.5, color);
      }
      draw_label(map, 14, 508 - 26 * row, name, color, 2);
    };
    walk("SGD", {.rate = 0.05}, {0, 90, 190}, 2);
    walk("momentum", {.rate = 0.05, .momentum = 0.9}, {213, 84, 0}, 1);
    walk("Nesterov", {.rate = 0.05, .momentum = 0.9, .nesterov = true}, {135, 30, 135}, 0);
    draw_plus(map, map_x(2), map_y(1), 11, kBlack, {.thickness = 3});
    map.write_png(program.out() / "valley.png");
    report.section("Three paths").picture({"valley.png", "The first 120 steps at rate 0.05."});

    std::printf("\n3. Weight decay: 24 noisy examples, 16 inputs of which 2 matter\n");
    Random random(program.seed());
    Tensor truth({16, 1});
    truth.set({0, 0}, 2);
    truth.set({1, 0}, -1);
    const Tensor x = Tensor::randn({24, 16}, random), fresh_x = Tensor::randn({1000, 16}, random);
    const Tensor y = matmul(x, truth) + Tensor::randn({24, 1}, random);
    const auto seen = [&](const Tensor& w) { return mean(square(matmul(x, w) - y)); };
    std::vector<Series> sizes;
    for (const double decay : {0.0, 0.1, 0.3, 1.0, 3.0}) {
      Path path = descend(Tensor::full({16, 1}, 1), program.quick() ? 400 : 2000,
                          {.rate = 0.03, .momentum = 0.9, .weight_decay = decay}, seen);
      const Tensor w = path.back(), fresh = mean(square(matmul(fresh_x, w - truth)));
      std::printf("decay %.1f: |w| %.2f, error on seen examples %.2f, on fresh ones %.2f\n", decay,
                  double(sqrt(sum(square(w))).item()), double(seen(w).item()),
                  double(fresh.item()));
      sizes.push_back({.name = "decay " + std::to_string(decay).substr(0, 3)});
      path.resize(121);
      for (const Tensor& p : path) sizes.back().y.push_back(double(sqrt(sum(square(p))).item()));
    }
    report.section("Weight decay").svg(line_chart(sizes, {.x_label = "step", .y_label = "|w|"}));

    std::printf("\n4. The rate drops from 0.1 to 0.01: where does the old one live on?\n");
    const auto slope = [](const Tensor& w) { return sum(w); };  // gradient 1, everywhere
    std::vector<Series> strides;
    for (const auto kind : {nn::Velocity::caffe, nn::Velocity::torch}) {
      const char* name = kind == nn::Velocity::caffe ? "Caffe" : "PyTorch";
      const nn::SGDOptions options{.rate = 0.1, .momentum = 0.9, .velocity = kind};
      std::printf("%-7s w after a step at 0.1 and one at 0.01: %.3f\n", name,
                  double(descend(Tensor({1}, {1}), 2, options, slope, nn::step(1))[2].item()));
      const Path path = descend(Tensor({1}), 120, options, slope, nn::step(60));
      strides.push_back({.name = name});
      for (std::size_t i = 0; i < 120; ++i)
        strides.back().y.push_back(double((path[i] - path[i + 1]).item()));
    }
    report.section("A drop of the rate");
    report.svg(line_chart(strides, {.x_label = "step", .y_label = "length of the step"}));

    std::printf("\n5. Rates per layer: biases twice as fast and without decay\n");
    nn::Linear fc(1, 1);
    for (auto& [name, parameter] : fc.parameters()) Tensor(parameter).data()[0] = 2;
    nn::SGD sgd(fc, {.rate = 0.001,
                     .momentum = 0.9,
                     .weight_decay = 0.0005,
                     .groups = {{.pattern = "bias", .rate = 2, .decay = 0}}});
    for (int step = 1; step <= 2; ++step) {
      sgd.zero_grad();
      sum(fc(Tensor({1, 1}, {1})) * Scalar(0.5)).backward();  // gradient 0.5 for both
      sgd.step();
      for (const auto& [name, w] : fc.parameters())
        std::printf("step %d  %-6s %.6f\n", step, name.c_str(), double(w.item()));
    }

    std::printf("\n6. Schedules are functions of the iteration\n");
    std::vector<Series> factors;
    const auto show = [&](const char* name, const nn::Schedule& schedule) {
      std::printf("%-26s at 1000, 29999, 30000: %.4f %.4f %.4f\n", name, schedule(1000),
                  schedule(29999), schedule(30000));
      factors.push_back({.name = name});
      for (int i = 0; i <= 400; ++i) factors.back().y.push_back(schedule(100 * i));
    };
    show("step(30000)", nn::step(30000));
    show("warm_up(2000) * multistep", nn::warm_up(2000) * nn::multistep({24000, 34000}));
    show("warm_up(2000) * cosine", nn::warm_up(2000) * nn::cosine(2000, 40000));
    report.section("Schedules").svg(line_chart(factors, {.x_label = "iteration / 100"}));
    report.write(program.out() / "index.html");
    std::printf("\npictures: %s\n", (program.out() / "index.html").c_str());
  });
}
