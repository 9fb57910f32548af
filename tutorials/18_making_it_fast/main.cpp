// Tutorial 18: making it fast. The sections are the README's.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "core/autograd.h"
#include "core/blas.h"
#include "core/charts.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/models/mobilenet_v1.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/profile.h"
#include "layers/sgd.h"

using namespace boxgrad;

namespace {

/// Section 2: a 3x3 convolution of [1, H, W, C] with padding 1. The windows of `block` output
/// pixels at a time are copied into a matrix and multiplied by the filters [9 C, K].
Tensor convolve_in_blocks(const Tensor& x, const Tensor& w, std::int64_t block) {
  const std::int64_t height = x.size(1), width = x.size(2), c = x.size(3), k = w.size(3);
  Tensor y({1, height, width, k});
  parallel_for(height * width, block, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Scalar> windows(std::size_t((end - begin) * 9 * c));  // 0 outside the map
    Scalar* to = windows.data();
    for (std::int64_t pixel = begin; pixel < end; ++pixel)
      for (std::int64_t tap = 0; tap < 9; ++tap, to += c) {
        const std::int64_t row = pixel / width + tap / 3 - 1, col = pixel % width + tap % 3 - 1;
        if (row >= 0 && row < height && col >= 0 && col < width)
          std::copy_n(x.data().data() + (row * width + col) * c, c, to);
      }
    gemm_serial(Trans::no, Trans::no, end - begin, k, 9 * c, 1, windows.data(), 9 * c,
                w.data().data(), k, 0, y.data().data() + begin * k, k);
  });
  return y;
}

/// Section 3: two outputs of a 3-tap filter g over d with four multiplications instead of six.
std::array<double, 2> winograd_by_hand(std::array<double, 4> d, std::array<double, 3> g) {
  const double m1 = (d[0] - d[2]) * g[0];
  const double m2 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2);
  const double m3 = (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2);
  const double m4 = (d[1] - d[3]) * g[2];
  return {m1 + m2 + m3, m2 - m3 - m4};
}

double sum_of_gradients(const nn::Module& net) {
  double sum = 0;
  for (const auto& [path, parameter] : net.parameters())
    for (const Scalar g : parameter.grad().data()) sum += double(g);
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "18_making_it_fast",
                   .about = "One layer six ways, passes over memory, a network's roofline."});
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    const int threads = num_threads();

    // 1. Two roofs.
    const MachinePeaks peaks = measure_peaks(quick ? 0.05 : 0.5);
    std::printf("%d threads: %.0f GFLOP/s in registers, %.1f GB/s of main memory\n", threads,
                peaks.gflops, peaks.gb_per_s);

    // 2. One layer: seven loops, one matrix of windows, the matrix in blocks.
    const std::int64_t side = quick ? 28 : 56, channels = quick ? 64 : 128, pixels = side * side;
    const Tensor x = Tensor::randn({1, side, side, channels});
    const Tensor w = Tensor::randn({3, 3, channels, channels});
    const auto with = [&](ConvAlgorithm algorithm) {
      return
          [&x, &w, algorithm] { return conv2d(x, w, {}, {.padding = 1, .algorithm = algorithm}); };
    };
    const auto in_blocks = [&](std::int64_t rows) {
      return [&x, &w, rows] { return convolve_in_blocks(x, w, rows); };
    };
    const Tensor definition = with(ConvAlgorithm::direct)();
    nn::Profile ways;  // a row of the table and a dot of the roofline for each
    const auto measure = [&](const std::string& name, const std::function<Tensor()>& run) {
      nn::ProfileRow row{.path = name, .op = "conv2d", .remark = ""};
      Tensor y;
      row.seconds = shortest_s(0.3, [&] { y = run(); });
      row.multiply_adds = y.numel() * 9 * channels;
      row.bytes = (x.numel() + w.numel() + y.numel()) * std::int64_t(sizeof(Scalar));
      const bool equal = relative_error(y, definition) < 1e-4;
      std::printf("%s %s the definition\n  %.2f ms, %.1f GFLOP/s, %.1f %% of the peak\n",
                  name.c_str(), equal ? "equals" : "DIFFERS FROM", 1e3 * row.seconds, row.gflops(),
                  100 * row.gflops() / peaks.gflops);
      ways.rows.push_back(row);
    };
    measure("seven loops", with(ConvAlgorithm::direct));
    measure("one matrix of windows", in_blocks(pixels));
    Series sweep{.markers = true};
    for (std::int64_t rows = 16; rows < 2 * pixels; rows *= 2) {
      sweep.x.push_back(double(rows));
      sweep.y.push_back(1e3 * shortest_s(0.1, in_blocks(rows)));
    }
    const auto best = std::ranges::min_element(sweep.y) - sweep.y.begin();
    measure("windows in blocks", in_blocks(std::int64_t(sweep.x[std::size_t(best)])));
    measure("the library's im2col", with(ConvAlgorithm::im2col));

    // 3. Fewer multiplications.
    const auto y = winograd_by_hand({1, 2, 3, 4}, {1, -1, 2});
    std::cout << "winograd by hand: " << y[0] << ", " << y[1] << "; by definition " << 1 - 2 + 2 * 3
              << ", " << 2 - 3 + 2 * 4 << "\n";
    measure("winograd F(2,3)", with(ConvAlgorithm::winograd2));
    measure("winograd F(4,3)", with(ConvAlgorithm::winograd4));

    // 4. Where nothing is multiplied: passes over memory.
    const std::int64_t map = quick ? 28 : 112;
    const Tensor z = Tensor::randn({8, map, map, 64}).requires_grad_(),
                 dy = Tensor::randn(z.shape());
    nn::BatchNorm2d norm(64), norm_relu(64, {.activation = Activation::relu});
    const double apart = shortest_s(0.5, [&] { relu(norm(z)).backward(dy); });
    const double together = shortest_s(0.5, [&] { norm_relu(z).backward(dy); });
    std::printf(
        "batch norm and ReLU of %.0f MB, forward and backward: %.1f ms; as one op %.1f ms\n",
        double(z.numel() * std::int64_t(sizeof(Scalar))) / 1e6, 1e3 * apart, 1e3 * together);

    // 5. A step of a whole network.
    detection::MobileNetV1 net({.width = quick ? 0.25 : 1});
    const std::int64_t batch = quick ? 2 : 8, size = quick ? 96 : 224;
    const Tensor images = Tensor::randn({batch, size, size, 3});
    nn::SGD sgd(net, {.rate = 1e-6, .momentum = 0.9});
    const auto step = [&] {
      sgd.zero_grad();
      mean(square(net(images))).backward();
      sgd.step();
    };
    step();                            // the first meets fresh memory
    std::vector<std::string> between;  // asked for, what is there becomes a map: two ops, not one
    for (int block = 1; block <= 13; ++block)
      between.push_back(concat("block", block, ".depthwise"));
    const auto step_apart = [&] {
      const nn::OutputTap tap(between);
      step();
    };
    const int steps = quick ? 1 : 10;
    nn::Profile profile = [&] {
      nn::Profiler profiler;
      for (int i = 0; i < steps; ++i) step_apart();
      return profiler.profile();
    }();
    profile.steps = steps;
    std::cout << profile.by_op().table(peaks, nn::ProfileOrder::time);
    const double budget_s = quick ? 0 : 2;
    const double two_ops = shortest_s(budget_s, step_apart), one_op = shortest_s(budget_s, step);
    std::printf("a step: %.0f ms with two ops in each block, %.0f ms with one\n", 1e3 * two_ops,
                1e3 * one_op);

    // 6. More threads, the same bits.
    std::vector<double> sums;
    for (const int count : {1, 2, 3}) {
      set_num_threads(count);
      sgd.zero_grad();
      mean(square(net(images))).backward();
      sums.push_back(sum_of_gradients(net));
    }
    std::cout << (sums[0] == sums[1] && sums[1] == sums[2] ? "the same bits" : "OTHER BITS")
              << " with 1, 2 and 3 threads\n";
    for (const int count : {1, threads}) {
      set_num_threads(count);
      std::printf("threads: %d, %.1f ms a step\n", count, 1e3 * shortest_s(quick ? 0 : 1, step));
    }

    Report("18 Making it fast")
        .section("One layer, six ways")
        .svg(nn::roofline(ways, peaks, "One layer, six ways"))
        .svg(line_chart({sweep}, {.title = "How many windows at a time?",
                                  .x_label = "windows in a block",
                                  .y_label = "ms",
                                  .log_x = true}))
        .section("A network")
        .svg(nn::roofline(profile, peaks, "MobileNet v1, a step of training"))
        .preformatted(profile.table(peaks))
        .write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
  });
}
