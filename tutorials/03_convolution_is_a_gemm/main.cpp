// Tutorial 03: a convolution is a matrix product. The sections are the README's.
#include <cmath>
#include <iostream>
#include <numeric>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/draw.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "core/peaks.h"
#include "core/program.h"
#include "core/progress.h"
#include "core/report.h"
#include "detection/data/fashion_mnist.h"
#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/losses.h"
#include "layers/pool.h"
#include "layers/schedule.h"
#include "layers/sequential.h"
#include "layers/sgd.h"

using namespace boxgrad;
using detection::FashionMnist;
using std::make_shared;

namespace {

void compare(const std::string& what, const Tensor& y, const Tensor& definition) {
  const double error = relative_error(y, definition);
  std::cout << what << (error < 1e-4 ? " equals" : " DIFFERS FROM") << " the definition\n"
            << "  greatest error " << error << " of the greatest value\n";
}

/// Section 2: the matrix of windows, one row per output pixel, for a 3x3 filter without padding.
Tensor windows(const Tensor& x) {
  const std::int64_t h = x.size(1) - 2, w = x.size(2) - 2, c = x.size(3);
  std::vector<Tensor> taps;
  for (int kh = 0; kh < 3; ++kh)
    for (int kw = 0; kw < 3; ++kw)  // all pixels shifted by one tap: columns kh, kw of the matrix
      taps.push_back(reshape(slice(slice(x, 1, kh, kh + h), 2, kw, kw + w), {h * w, c}));
  return cat(taps, 1);
}

/// Section 3: [N, 28, 28, 1] -> [N, 10].
struct Classifier : nn::Sequential {
  Classifier() {
    std::int64_t in = 1;
    for (const std::int64_t out : {16, 32, 64}) {  // 28 -> 14 -> 7 -> 3
      append(make_shared<nn::Conv2d>(in, out, 3, Conv2dOptions{.padding = 1, .bias = false}));
      append(make_shared<nn::BatchNorm2d>(out, BatchNormOptions{.activation = Activation::relu}));
      append(make_shared<nn::MaxPool2d>(2));
      in = out;
    }
    append(make_shared<nn::Flatten>());
    append(make_shared<nn::Linear>(3 * 3 * 64, 10));
  }
};

/// Some steps of SGD; returns the loss of each.
Series train(nn::Module& net, const FashionMnist& data, std::int64_t steps) {
  constexpr std::int64_t kBatch = 128;
  nn::SGD sgd(net, {.rate = 0.1, .momentum = 0.9, .weight_decay = 5e-4});
  const nn::Schedule schedule = nn::warm_up(steps / 20 + 1, 0.1) * nn::cosine(0, steps);
  Series curve{.name = "training loss"};
  std::vector<std::int64_t> order;
  Progress progress("training", steps);
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::int64_t first = step * kBatch % (data.size() - data.size() % kBatch);
    if (first == 0) order = default_random().permutation(data.size());
    const std::span indices(&order[std::size_t(first)], kBatch);
    sgd.zero_grad();
    const Tensor loss = cross_entropy(net(data.images(indices)), data.labels(indices));
    loss.backward();
    sgd.step(schedule(step));
    curve.y.push_back(double(loss.item()));
    progress.update(step + 1, concat("loss ", loss.item()));
  }
  std::cout << "trained for " << std::lround(progress.seconds()) << " s\n";
  return curve;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "03_convolution_is_a_gemm",
                   .about = "Seven loops, windows times filters, and a classifier made of them."});
  return program.run(argc, argv, [&] {
    Report report("03 Convolution is a GEMM");

    // 1. The definition, and the algorithms that must equal it.
    const Tensor x = Tensor::randn({1, 56, 56, 32}), w = Tensor::randn({3, 3, 32, 64});
    const Tensor definition = conv2d(x, w, {}, {.padding = 1, .algorithm = ConvAlgorithm::direct});
    std::cout << "output " << definition.shape() << ", " << definition.numel() * 9 * 32 / 1000000
              << " million multiply-adds\n";
    for (const auto algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col,
                                 ConvAlgorithm::winograd2, ConvAlgorithm::winograd4}) {
      Tensor y;
      const double seconds =
          shortest_s(0.1, [&] { y = conv2d(x, w, {}, {.padding = 1, .algorithm = algorithm}); });
      compare(to_string(algorithm), y, definition);
      std::cout << "  " << 1e3 * seconds << " ms\n";
    }

    // 2. By hand: a matrix of windows times a matrix of filters.
    const Tensor by_hand = matmul(windows(x), reshape(w, {9 * 32, 64}));
    const Tensor valid = conv2d(x, w, {}, {.algorithm = ConvAlgorithm::direct});
    compare(concat("windows ", windows(x).shape(), " x filters [288, 64]"), by_hand,
            reshape(valid, {54 * 54, 64}));

    // 3. A classifier out of three convolutions.
    const FashionMnist training(FashionMnist::Split::train), test(FashionMnist::Split::test);
    Classifier net;
    std::cout << net.parameter_count() << " parameters\n";
    const Series loss = train(net, training, program.quick() ? 20 : 4 * (training.size() / 128));

    // 4. What it has learned, and what it confuses.
    net.eval();
    const NoGradGuard no_grad;
    const auto& names = FashionMnist::class_names();
    const std::int64_t count = program.quick() ? 1000 : test.size();
    std::vector<double> confusion(100, 0);
    std::vector<Image> mistakes;
    std::vector<std::string> captions;
    int right = 0;
    for (std::int64_t first = 0; first < count; first += 500) {
      std::vector<std::int64_t> indices(500);
      std::iota(indices.begin(), indices.end(), first);
      const auto answers = argmax(net(test.images(indices))), labels = test.labels(indices);
      for (std::size_t i = 0; i < indices.size(); ++i) {
        right += answers[i] == labels[i];
        ++confusion[std::size_t(labels[i] * 10 + answers[i])];
        if (answers[i] == labels[i] || mistakes.size() == 24) continue;
        mistakes.push_back(enlarge_pixels(test.picture(indices[i]), 3));
        captions.push_back(names[std::size_t(answers[i])] + "?");
      }
    }
    std::cout << "accuracy " << 100. * right / double(count) << " % on " << count
              << " test images\n";
    report.section("The classifier")
        .svg(line_chart({smoothed(loss, 20)}, {.title = "Training loss", .x_label = "step"}))
        .svg(heat_map(names, names, confusion, {.title = "What is taken for what"}));

    const Tensor shoe = test.images(std::vector<std::int64_t>{0});
    const Tensor filters = net.parameters()[0].second, maps = net[1](net[0](shoe));
    auto pictures = channel_maps(reshape(filters, {3, 3, 16}), 28, ColorMap::diverging);
    for (const Image& map : channel_maps(reshape(maps, {28, 28, 16}), 3)) pictures.push_back(map);
    image_grid(pictures, {}, {.columns = 8}).write_png(program.out() / "maps.png");
    image_grid(mistakes, captions, {.columns = 8}).write_png(program.out() / "mistakes.png");
    report.picture({"maps.png", "Sixteen filters of the first layer, and their maps of one shoe."})
        .picture({"mistakes.png", "The first mistakes, with what the network said."})
        .write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
  });
}
