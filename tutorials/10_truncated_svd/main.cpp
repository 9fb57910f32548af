// Tutorial 10: truncated SVD. The sections are the README's.
#include <algorithm>
#include <cmath>
#include <cstdio>
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
#include "core/stopwatch.h"
#include "detection/data/fashion_mnist.h"
#include "detection/evaluation.h"
#include "detection/training/fast_rcnn_presets.h"
#include "detection/training/region_task.h"
#include "layers/count.h"
#include "layers/flatten.h"
#include "layers/losses.h"
#include "layers/schedule.h"
#include "layers/sequential.h"
#include "layers/sgd.h"
#include "layers/svd_linear.h"

using namespace boxgrad;
using detection::FashionMnist;
using std::make_shared;

namespace {

/// The Frobenius norm: the root of the sum of squares.
double norm(const Tensor& a) { return std::sqrt(double(sum(square(a)).item())); }
double distance(const Tensor& a, const Tensor& b) { return norm(a - b); }

/// Section 3: "1" and "2" are what Fast R-CNN calls fc6 and fc7, "3" gives the class.
std::shared_ptr<nn::Sequential> classifier() {
  const nn::LinearOptions relu{.activation = Activation::relu};
  return make_shared<nn::Sequential>(make_shared<nn::Flatten>(),
                                     make_shared<nn::Linear>(FashionMnist::kPixels, 512, relu),
                                     make_shared<nn::Linear>(512, 512, relu),
                                     make_shared<nn::Linear>(512, FashionMnist::kNumClasses));
}

const Tensor& weight(nn::Sequential& net, std::size_t layer) {
  return dynamic_cast<nn::Linear&>(net[layer]).weight;
}

void train(nn::Module& net, const FashionMnist& data, std::int64_t steps, double rate) {
  constexpr std::int64_t kBatch = 128;
  nn::SGD sgd(net, {.rate = rate, .momentum = 0.9, .weight_decay = 5e-4});
  const nn::Schedule schedule = nn::warm_up(steps / 20 + 1, 0.1) * nn::cosine(0, steps);
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
    progress.update(step + 1, concat("loss ", loss.item()));
  }
}

double right(const Tensor& logits, const std::vector<std::int64_t>& labels) {
  const auto answers = argmax(logits);
  std::size_t count = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) count += answers[i] == labels[i];
  return 100. * double(count) / double(labels.size());
}

/// All singular values as a share of the first.
Series spectrum(const std::string& name, const Svd& d, int color, bool dashed) {
  Series series{.name = name, .dashed = dashed, .color = color};
  for (std::size_t k = 0; k < d.s.size(); ++k) {
    series.x.push_back(double(k + 1));
    series.y.push_back(double(d.s[k] / d.s[0]));
  }
  return series;
}

/// Lesson 09's Fast R-CNN after half as many steps, its fc6 and fc7 at falling ranks: AP50 over t.
Series detector_curve(const Program& program) {
  const detection::RegionTask task(
      program.out().parent_path() / "region_task",
      program.quick() ? detection::RegionTaskOptions::quick() : detection::RegionTaskOptions{});
  detection::FastRcnnPreset preset = detection::fast_rcnn_preset("narrow", task.num_classes());
  preset.iterations = program.quick() ? 4 : 1500;
  const auto detector = [&] {
    const auto backbone = task.backbone();
    backbone->freeze_through(preset.frozen_through);
    return make_shared<detection::FastRcnn>(backbone, preset.model);
  };
  manual_seed(program.seed());
  const auto whole = detector();
  whole->set_target_statistics(dataset_target_statistics(task.train, preset.model.regions));
  nn::SGD sgd(*whole, preset.sgd);
  detection::TrainerOptions training = preset.training();
  training.seed = program.seed();
  training.checkpoint_every = 0;
  detection::train(*whole, sgd, task.train, preset.augmentation(), {}, training);

  Series curve{.name = "AP50", .markers = true};
  std::printf("Fast R-CNN, t   fc6 and fc7  ms an image   AP50  whatever the class\n");
  for (const std::int64_t t : {256, 100, 64, 32, 16, 8, 4}) {
    const auto model = detector();
    model->load_state_dict(whole->state_dict());
    std::int64_t parameters = 3200 * 256 + 256 + 256 * 256 + 256;
    if (t < 256) {
      parameters = 0;
      for (const auto& layer : nn::compress(*model, {.layers = "head[.]fc.*", .t = t}))
        parameters += layer.parameters_after;
    }
    detection::Answers answers;
    const double seconds =
        seconds_of([&] { answers = detection::detect_all(*model, task.val, {}, -1, 1); });
    const auto result = detection::evaluate_detections(answers.detections, answers.targets,
                                                       preset.model.num_classes);
    std::printf("%13lld  %12lld  %11.1f  %5.3f  %18.3f\n", (long long)t, (long long)parameters,
                1e3 * seconds / double(task.val.size()), result.mean_ap.value_or(0),
                result.class_agnostic.ap.value_or(0));
    curve.x.push_back(double(t));
    curve.y.push_back(result.mean_ap.value_or(0));
  }
  return curve;
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "10_truncated_svd",
                   .about = "Fully connected layers as two thin ones: what that saves and costs."});
  return program.run(argc, argv, [&] {
    const bool quick = program.quick();

    // 1. One matrix, two thin ones.
    const Tensor diagonal({3, 4}, {3, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0});
    const Svd three = svd(diagonal);
    for (const std::int64_t t : {1, 2, 3})
      std::printf("diag(3, 2, 1), t = %lld: error %.3f, %lld numbers instead of 12\n", (long long)t,
                  distance(low_rank(three, t), diagonal), (long long)(t * (3 + 4)));
    nn::Linear layer(3, 4);
    const Tensor x = Tensor::randn({5, 3});
    nn::SVDLinear thin(layer, svd(layer.weight), 3);
    for (const auto& [name, parameter] : thin.parameters())
      std::cout << "  " << name << " " << parameter.shape() << "\n";
    std::cout << "with t = 3 the two layers "
              << (relative_error(thin(x), layer(x)) < 1e-4 ? "answer as the one"
                                                           : "ANSWER OTHERWISE")
              << "\n";

    // 2. When it pays: t (u + v) < u v.
    const auto count = [](const char* name, std::int64_t in, std::int64_t out, std::int64_t t) {
      std::printf("%s: %lld numbers, break-even at t = %lld; t = %lld: %lld\n", name,
                  (long long)(in * out), (long long)(in * out / (in + out)), (long long)t,
                  (long long)(t * (in + out)));
    };
    count("fc6", 25088, 4096, 1024);
    count("fc7", 4096, 4096, 256);

    // 3. The singular values of a layer that has learned.
    const FashionMnist training(FashionMnist::Split::train), test(FashionMnist::Split::test);
    const auto net = classifier();
    try {
      nn::compress(*net, {.layers = "2", .t = 256});
    } catch (const std::invalid_argument& error) {
      std::cout << error.what() << "\n";
    }
    std::vector<Series> values;
    std::vector<Image> sheet;
    const auto look = [&](const std::string& when, bool dashed) {
      for (const std::size_t i : {1U, 2U}) {
        const Svd d = svd(weight(*net, i));
        values.push_back(
            spectrum(concat(i == 1 ? "784 x 512" : "512 x 512", ", ", when), d, int(i), dashed));
        std::cout << when << " layer " << i
                  << ": half of the energy in t = " << nn::rank_for_energy(d.s, 0.5)
                  << ", nine tenths in " << nn::rank_for_energy(d.s, 0.9) << "\n";
        if (i == 1)  // the first columns of V: what the first layer looks at, as pictures
          for (const Image& map :
               channel_maps(reshape(slice(d.u, 1, 0, 12), {28, 28, 12}), 3, ColorMap::diverging))
            sheet.push_back(map);
      }
    };
    look("random", true);
    const std::int64_t epoch = quick ? 10 : training.size() / 128;
    train(*net, training, 6 * epoch, 0.05);
    look("trained", false);
    image_grid(sheet, {}, {.columns = 12}).write_png(program.out() / "directions.png");

    // 4. Rank against size, time and accuracy.
    std::vector<std::int64_t> indices(std::size_t(quick ? 1000 : test.size()));
    std::iota(indices.begin(), indices.end(), 0);
    const Tensor images = test.images(indices), some = test.images(std::span(indices).first(500));
    const auto labels = test.labels(indices);
    const auto answers = [&](nn::Module& model) {
      const NoGradGuard guard;
      return model(images);
    };
    const Tensor before = answers(*net);
    Series curve{.name = "compressed", .markers = true};
    Series again{.name = "after one more epoch", .markers = true};
    std::printf(
        "  t  energy 1  energy 2  parameters  multiply-adds  ms of 500  change  right %%\n");
    const auto row = [&](nn::Module& model, std::int64_t t, double energy1, double energy2) {
      const auto count = nn::count_layers(model, {1, 28, 28, 1});
      const Tensor after = answers(model);
      const NoGradGuard guard;
      const double seconds = shortest_s(quick ? 0.02 : 0.4, [&] { model(some); });
      std::printf("%3lld  %8.3f  %8.3f  %10lld  %13lld  %9.2f  %6.3f  %7.2f\n", (long long)t,
                  energy1, energy2, (long long)count.parameters, (long long)count.multiply_adds,
                  1e3 * seconds, distance(after, before) / norm(before), right(after, labels));
      curve.x.push_back(double(count.multiply_adds));
      curve.y.push_back(right(after, labels));
      curve.labels.push_back(concat("t = ", t));
    };
    row(*net, 512, 1, 1);
    std::string verdict, trained_again;
    for (const std::int64_t t : {192, 128, 64, 32, 16, 8, 4}) {
      const auto smaller = classifier();
      smaller->load_state_dict(net->state_dict());
      const auto report = nn::compress(*smaller, {.layers = "[12]", .t = t});
      row(*smaller, t, report[0].energy, report[1].energy);
      if (t > 16) continue;
      // What the discarded singular values say, and what is so.
      const auto& two = dynamic_cast<nn::SVDLinear&>((*smaller)[2]);
      const double error = distance(matmul(two.v, two.u), weight(*net, 2)) / norm(weight(*net, 2));
      verdict = std::abs(error / report[1].error() - 1) < 1e-3 ? "is that of" : "IS NOT THAT OF";
      train(*smaller, training, epoch, 0.02);
      again.x.push_back(curve.x.back());
      again.y.push_back(right(answers(*smaller), labels));
      trained_again += concat(" t = ", t, ": ", again.y.back(), " %");
    }
    std::cout << "the weight's error " << verdict << " the discarded singular values\n"
              << "after one more epoch:" << trained_again << "\n";

    // 5. Without all the others: a few products instead of the whole decomposition.
    {
      const NoGradGuard guard;
      const Tensor& w = weight(*net, 2);
      const double least = distance(low_rank(svd(w), 16), w);
      for (const int q : {0, 1, 2, 4}) {
        const Tensor close = low_rank(truncated_svd(w, 16, {.power_iterations = q}), 16);
        std::printf("power iterations: %d, error %.4f of the least\n", q,
                    distance(close, w) / least);
      }
    }

    // 6. VGG16's fc6 and fc7, 2000 regions.
    if (quick) {
      std::cout << "fc6 and fc7 at full size: skipped by --quick\n";
    } else {
      const NoGradGuard guard;
      const nn::LinearOptions relu{.activation = Activation::relu};
      nn::Sequential head(make_shared<nn::Linear>(25088, 4096, relu),
                          make_shared<nn::Linear>(4096, 4096, relu));
      const Tensor regions = Tensor::rand({2000, 25088}), features = Tensor::rand({2000, 4096});
      const auto times = [&](const char* when) {
        std::printf("%s: fc6 %.0f ms, fc7 %.0f ms\n", when,
                    1e3 * shortest_s(3, [&] { head[0](regions); }),
                    1e3 * shortest_s(1, [&] { head[1](features); }));
      };
      times("whole");
      auto report = nn::compress(head, {.layers = "0", .t = 1024});
      report.push_back(nn::compress(head, {.layers = "1", .t = 256})[0]);
      times("compressed");
      std::cout << nn::to_table(report);
      std::printf("decomposed in %.1f and %.1f s\n", report[0].seconds, report[1].seconds);
    }

    // 7. A detector: rank against AP.
    const Series ap = detector_curve(program);

    Report("10 Truncated SVD")
        .section("Singular values")
        .svg(line_chart(values, {.title = "Singular values, as a share of the first",
                                 .x_label = "number",
                                 .log_y = true,
                                 .y_min = 1e-3}))
        .picture({"directions.png",
                  "The first 12 columns of V: random above, trained below. Red adds, blue takes."})
        .section("What a rank costs")
        .svg(line_chart({curve, again}, {.title = "Accuracy over arithmetic",
                                         .x_label = "multiply-adds per image",
                                         .y_label = "% right",
                                         .log_x = true}))
        .svg(line_chart({ap}, {.title = "A detector's AP50 over the rank of fc6 and fc7",
                               .x_label = "t",
                               .y_label = "AP50",
                               .log_x = true}))
        .write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
  });
}
