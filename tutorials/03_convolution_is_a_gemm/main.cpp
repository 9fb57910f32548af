// Tutorial 03: a convolution is a matrix product. The sections are the README's.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/draw.h"
#include "core/ops.h"
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

double milliseconds(const std::function<void()>& f) {
  f();
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                  .count());
  }
  return best;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < a.data().size(); ++i) {
    difference = std::max(difference, std::abs(double(a.data()[i]) - double(b.data()[i])));
    scale = std::max(scale, std::abs(double(b.data()[i])));
  }
  return difference / scale;
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

std::shared_ptr<nn::Sequential> make_classifier() {
  auto net = make_shared<nn::Sequential>();
  std::int64_t in = 1;
  for (const std::int64_t out : {16, 32, 64}) {  // 28 -> 14 -> 7 -> 3
    net->append(make_shared<nn::Conv2d>(in, out, 3, Conv2dOptions{.padding = 1, .bias = false}));
    net->append(
        make_shared<nn::BatchNorm2d>(out, BatchNormOptions{.activation = Activation::relu}));
    net->append(make_shared<nn::MaxPool2d>(2));
    in = out;
  }
  net->append(make_shared<nn::Flatten>());
  net->append(make_shared<nn::Linear>(3 * 3 * 64, 10));
  return net;
}

/// A channel of a map [1, H, W, C] as a picture.
Image channel(const Tensor& map, std::int64_t c, int factor) {
  const Tensor plane = slice(reshape(map, {map.size(1), map.size(2), map.size(3)}), 2, c, c + 1);
  return enlarge_pixels(heat_map(reshape(plane, {map.size(1), map.size(2)})), factor);
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "03_convolution_is_a_gemm",
                   .about = "Seven loops, windows times filters, and a classifier made of them."});
  return program.run(argc, argv, [&] {
    Report report("03 Convolution is a GEMM");
    const auto out = program.out();

    // 1. The definition, and the algorithms that must equal it.
    Random random(1);
    const Tensor x = Tensor::randn({1, 56, 56, 32}, random),
                 w = Tensor::randn({3, 3, 32, 64}, random);
    const Tensor reference = conv2d(x, w, {}, {.padding = 1, .algorithm = ConvAlgorithm::direct});
    std::cout << "output " << reference.shape() << ", " << reference.numel() * 9 * 32 / 1000000
              << " million multiply-adds\n";
    std::vector<std::vector<std::string>> rows;
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col}) {
      Tensor y;
      const double ms =
          milliseconds([&] { y = conv2d(x, w, {}, {.padding = 1, .algorithm = algorithm}); });
      const bool equal = largest_difference(y, reference) < 1e-5;
      std::cout << to_string(algorithm) << (equal ? " equals" : " DIFFERS FROM")
                << " the definition\n";
      std::cout << "  " << ms << " ms\n";
      rows.push_back({to_string(algorithm), concat(ms),
                      concat(2e-6 * double(reference.numel()) * 9 * 32 / ms)});
    }
    report.section("The same numbers, faster").table({"algorithm", "ms", "GFLOP/s"}, rows);

    // 2. By hand: a matrix of windows times a matrix of filters.
    const Tensor by_hand = matmul(windows(x), reshape(w, {9 * 32, 64}));
    const Tensor valid = conv2d(x, w, {}, {.algorithm = ConvAlgorithm::direct});
    std::cout << "windows " << windows(x).shape() << " x filters [288, 64]"
              << (largest_difference(by_hand, reshape(valid, {54 * 54, 64})) < 1e-5
                      ? " equal"
                      : " DIFFER FROM")
              << " the definition\n";

    // 3. A classifier out of three convolutions.
    const FashionMnist train(FashionMnist::Split::train), test(FashionMnist::Split::test);
    manual_seed(program.seed());
    const auto net = make_classifier();
    std::cout << net->parameter_count() << " parameters\n";
    const std::int64_t batch = 128, epochs = program.quick() ? 1 : 4;
    const std::int64_t per_epoch = program.quick() ? 20 : train.size() / batch;
    const std::int64_t steps = epochs * per_epoch;
    nn::SGD sgd(*net, {.rate = 0.1, .momentum = 0.9, .weight_decay = 5e-4});
    const nn::Schedule schedule = nn::warm_up(steps / 20 + 1, 0.1) * nn::cosine(0, steps);
    Series loss_curve{.name = "training loss"};
    const auto start = std::chrono::steady_clock::now();
    {
      Progress progress("training", steps);
      for (std::int64_t step = 0; step < steps; ++step) {
        const auto order = Random(program.seed(), 1 + static_cast<std::uint64_t>(step / per_epoch))
                               .permutation(train.size());
        const std::span indices(order.data() + step % per_epoch * batch,
                                static_cast<std::size_t>(batch));
        sgd.zero_grad();
        const Tensor loss = cross_entropy((*net)(train.images(indices)), train.labels(indices));
        loss.backward();
        sgd.step(schedule(step));
        loss_curve.y.push_back(double(loss.item()));
        progress.update(step + 1, concat("loss ", loss.item()));
      }
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

    // 4. What it has learned, and what it confuses.
    net->eval();
    const NoGradGuard no_grad;
    const std::int64_t count = program.quick() ? 1000 : test.size();
    std::vector<double> confusion(100, 0);
    std::vector<Image> mistakes;
    std::vector<std::string> captions;
    std::int64_t right = 0;
    for (std::int64_t first = 0; first < count; first += 500) {
      std::vector<std::int64_t> indices(500);
      for (std::int64_t i = 0; i < 500; ++i) indices[std::size_t(i)] = first + i;
      const Tensor logits = (*net)(test.images(indices));
      for (std::int64_t i = 0; i < 500; ++i) {
        const std::int64_t label = test.label(first + i);
        const std::int64_t answer = topk(logits.data().subspan(std::size_t(i * 10), 10), 1)[0];
        right += answer == label;
        ++confusion[std::size_t(label * 10 + answer)];
        if (answer != label && mistakes.size() < 24) {
          Tensor picture = reshape(test.images(std::vector{first + i}, false), {28, 28, 1});
          mistakes.push_back(
              enlarge_pixels(Image::from_tensor(cat({picture, picture, picture}, 2)), 3));
          captions.push_back(FashionMnist::class_names()[std::size_t(answer)] + std::string("?"));
        }
      }
    }
    std::cout << "accuracy " << 100.0 * double(right) / double(count) << " % on " << count
              << " test images after " << seconds << " s of training\n";

    report.section("The classifier")
        .svg(line_chart({smoothed(loss_curve, 20)}, {.title = "Training loss", .x_label = "step"}));
    const std::vector<std::string> names(FashionMnist::class_names().begin(),
                                         FashionMnist::class_names().end());
    report.svg(heat_map(names, names, confusion, {.title = "What is taken for what"}));
    const Tensor input = test.images(std::vector<std::int64_t>{0});
    const Tensor filters = net->state_dict()[0].second;  // [3, 3, 1, 16]
    const nn::OutputTap tap({"1"});
    (*net)(input);
    std::vector<Image> maps;
    for (std::int64_t c = 0; c < 16; ++c)
      maps.push_back(channel(reshape(filters, {1, 3, 3, 16}), c, 28));
    for (std::int64_t c = 0; c < 16; ++c) maps.push_back(channel(tap.output("1"), c, 3));
    std::filesystem::create_directories(out / "images");
    image_grid(maps, {}, {.columns = 8}).write_png(out / "images/maps.png");
    image_grid(mistakes, captions, {.columns = 8}).write_png(out / "images/mistakes.png");
    report.picture(
        {"images/maps.png", "Sixteen filters of the first layer, and their maps of one shoe."});
    report.picture({"images/mistakes.png", "The first mistakes, with what the network said."});
    report.write(out / "index.html");
    std::cout << "pictures: " << (out / "index.html").string() << "\n";
  });
}
