// Tutorial 13: MobileNet. The sections are the README's.
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/files.h"
#include "core/gradcheck.h"
#include "core/peaks.h"
#include "core/program.h"
#include "core/report.h"
#include "detection/models/mobilenet_small.h"
#include "detection/models/mobilenet_v1.h"
#include "detection/models/separable_block.h"
#include "detection/training/fashion_training.h"
#include "layers/conv_norm.h"
#include "layers/count.h"
#include "layers/inference.h"
#include "layers/profile.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Count = long long;
using nn::ConvTail;

namespace {

/// Sections 1 and 2: one block of the network and the convolution that it replaces, as inference
/// has them: batch norm folded, and what depends on the filters alone computed beforehand.
struct Pair {
  std::int64_t side, in, out;
  SeparableBlock block{in, out, {.depthwise = ConvTail::bias, .pointwise = ConvTail::bias}};
  std::shared_ptr<nn::Module> plain = make_conv3x3(in, out, ConvTail::bias, {});

  std::shared_ptr<nn::Module> ready() const {
    return std::make_shared<nn::FrozenConv2d>(dynamic_cast<nn::Conv2d&>(*plain));
  }
  Tensor map() const { return Tensor::rand({1, side, side, in}); }
  Count count(nn::Module& layer) const {
    return nn::count_layers(layer, {1, side, side, in}).multiply_adds;
  }
};

Classifier mobilenet(double alpha, bool separable = true) {
  return {std::make_shared<MobileNetV1>(MobileNetV1Options{.width = alpha, .separable = separable}),
          1000};
}

double ms(nn::Module& net, const Tensor& x, double budget_s) {
  const NoGradGuard guard;
  return 1e3 * shortest_s(budget_s, [&] { net(x); });
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "13_mobilenet",
                   .about = "Convolutions in two steps: what they cost, save and lose."});
  int steps = 300;
  program.option("--steps", steps, "training steps of 128 images, for each network", 1);
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();
    const double budget = quick ? 0.01 : 0.3;
    if (quick && !program.given("--steps")) steps = 5;

    // 1. The price of a convolution: table 3 of the paper.
    Pair one{14, 512, 512}, thin{14, 384, 384}, small{10, 384, 384};
    std::printf("convolution 3x3, 14 x 14, 512 -> 512: %lld multiply-adds\n",
                one.count(*one.plain));
    std::printf("depthwise and pointwise:              %lld\n", one.count(one.block));
    std::printf("with alpha = 0.75:                    %lld\n", thin.count(thin.block));
    std::printf("and on 10 x 10, rho = 0.714:          %lld\n", small.count(small.block));

    // 2. Theory, counted, measured.
    std::printf(
        "side    M -> N      theory  counted  measured   ms 3x3  ms both  GFLOP/s of each\n");
    for (const auto& [side, in, out] : std::initializer_list<std::array<std::int64_t, 3>>{
             {112, 32, 64}, {56, 128, 128}, {28, 256, 256}, {14, 512, 512}, {7, 1024, 1024}}) {
      Pair p{side, in, out};
      const Tensor x = p.map();
      const double whole = ms(*p.ready(), x, budget), both = ms(p.block, x, budget),
                   counted = double(p.count(p.block)) / double(p.count(*p.plain));
      std::printf("%4lld %4lld -> %-4lld", Count(side), Count(in), Count(out));
      std::printf("  %7.4f  %7.4f", 1. / double(out) + 1. / 9, counted);
      std::printf("  %8.4f  %7.2f  %7.2f  %5.0f %5.0f\n", both / whole, whole, both,
                  2e-6 * double(p.count(*p.plain)) / whole, 2e-6 * double(p.count(p.block)) / both);
    }

    // 3. The network and its twin, which has ordinary convolutions.
    Classifier net = mobilenet(1), twin = mobilenet(1, false);
    const Shape photo{1, 224, 224, 3};
    const nn::ModelCount counted = nn::count_layers(net, photo);
    for (const char* kind : {"pointwise", "depthwise", "conv0", "fc"}) {
      Count adds = 0, parameters = 0;
      for (const nn::LayerCount& layer : counted.layers)
        if (layer.path.find(kind) != std::string::npos)
          adds += layer.multiply_adds, parameters += layer.parameters;
      std::printf("%-10s %6.2f %% of the multiply-adds, %6.2f %% of the parameters\n", kind,
                  100 * double(adds) / double(counted.multiply_adds),
                  100 * double(parameters) / double(counted.parameters));
    }
    // 4. Batch norm disappears. The four networks take turns, so that whatever else the machine
    // does meanwhile makes none of them look slow.
    Classifier ready = mobilenet(1), ready_twin = mobilenet(1, false);
    ready.load_state_dict(net.state_dict());
    ready_twin.load_state_dict(twin.state_dict());
    net.eval(), twin.eval(), ready.eval();
    const Tensor image = Tensor::rand(photo);
    const auto folded = nn::fold_batch_norms(ready);
    nn::prepare_for_inference(ready_twin);
    const std::array<nn::Module*, 4> networks{&net, &twin, &ready, &ready_twin};
    std::array<double, 4> times;
    times.fill(1e300);
    for (int turn = 0; turn < (quick ? 1 : 5); ++turn)
      for (std::size_t k = 0; k < networks.size(); ++k)
        times[k] = std::min(times[k], ms(*networks[k], image, budget));
    for (const std::size_t k : {0, 2}) {
      if (k == 2)
        std::cout << "folded " << folded << " batch norms; the answers "
                  << (relative_error(ready(image), net(image)) < 1e-4 ? "stay" : "CHANGE") << "\n";
      std::printf("%s: separable %.1f ms, ordinary %.1f ms: %.1f times\n",
                  k == 2 ? "ready to answer" : "with batch norm", times[k], times[k + 1],
                  times[k + 1] / times[k]);
    }
    nn::Profiler profiler;
    const int runs = quick ? 1 : 20;
    for (int i = 0; i < runs; ++i) ms(ready, image, 0);
    nn::Profile profile = profiler.profile().by_op();
    profile.steps = 3 * runs;  // shortest_s() runs it three times at least
    std::cout << profile.table(measure_peaks(quick ? 0.02 : 0.2), nn::ProfileOrder::time);

    // 5. Width and resolution: sixteen networks.
    std::vector<Series> milliseconds;
    for (const double alpha : {1., 0.75, 0.5, 0.25}) {
      Classifier thinner = mobilenet(alpha);
      thinner.eval();
      nn::fold_batch_norms(thinner);
      std::printf("alpha %4.2f:", alpha);
      Series series{.name = concat("alpha ", alpha), .markers = true};
      for (const std::int64_t side : {224, 192, 160, 128}) {
        const Shape shape{1, side, side, 3};
        series.x.push_back(double(nn::count_layers(thinner, shape).multiply_adds));
        series.y.push_back(ms(thinner, Tensor::rand(shape), budget / 2));
        std::printf(" %9.0f", series.x.back());
      }
      std::printf("\n    in ms:");
      for (const double time : series.y) std::printf(" %9.2f", time);
      std::printf("\n");
      milliseconds.push_back(std::move(series));
    }

    // 6. What that costs in accuracy: an eighth of the resolution, and clothes.
    const FashionMnist training(FashionMnist::Split::train), test(FashionMnist::Split::test);
    std::vector<Series> accuracy;
    std::printf(
        "                 alpha  px  parameters  multiply-adds  us an image  right %%  trained in "
        "s\n");
    const auto row = [&](double alpha, int side, bool separable) {
      manual_seed(program.seed());
      const auto model = make_mobilenet_small({.width = alpha, .separable = separable});
      const double seconds = train_on_fashion(
          *model, training, {.steps = steps, .side = side, .seed = program.seed()});
      const double right = 100 * fashion_accuracy(*model, test, side, quick ? 500 : test.size());
      const auto size = nn::count_layers(*model, {1, side, side, 1});
      nn::fold_batch_norms(*model);
      model->eval();
      const Tensor batch = Tensor::rand({100, side, side, 1});
      const double us = 10 * ms(*model, batch, budget);
      std::printf("%-15s  %4.2f  %2d  %10lld  %13lld  %11.1f  %7.2f  %12.1f\n",
                  separable ? "separable" : "ordinary 3x3", alpha, side, Count(size.parameters),
                  Count(size.multiply_adds), us, right, seconds);
      std::fflush(stdout);
      return std::pair(double(size.multiply_adds), right);
    };
    for (const double alpha : {1., 0.75, 0.5, 0.25}) {
      accuracy.push_back({.name = concat("alpha ", alpha), .markers = true});
      for (const int side : {28, 24, 20, 16}) {
        const auto [adds, right] = row(alpha, side, true);
        accuracy.back().x.push_back(adds);
        accuracy.back().y.push_back(right);
        accuracy.back().labels.push_back(concat(side, " px"));
      }
    }
    Series twins{.name = "ordinary 3x3", .markers = true, .dashed = true};
    for (const double alpha : {1., 0.5, 0.25}) {
      const auto [adds, right] = row(alpha, 28, false);
      twins.x.push_back(adds);
      twins.y.push_back(right);
      twins.labels.push_back(concat("alpha ", alpha));
    }
    accuracy.push_back(std::move(twins));

    const std::string chart = line_chart(
        accuracy, {.x_label = "multiply-adds per image", .y_label = "% right", .log_x = true});
    write_file_atomically(program.out() / "accuracy.svg", chart);
    Report("13 MobileNet")
        .section("Accuracy over arithmetic, Fashion-MNIST")
        .svg(chart)
        .section("Time over arithmetic, MobileNet v1 at 224 to 128 px")
        .svg(line_chart(
            milliseconds,
            {.x_label = "multiply-adds per image", .y_label = "ms", .log_x = true, .log_y = true}))
        .write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
  });
}
