// MobileNet's width and resolution, and its twin with ordinary convolutions (Howard et al., 2017,
// tables 4 to 7), on Fashion-MNIST at an eighth of the resolution.
#include <map>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/random.h"
#include "detection/models/mobilenet_small.h"
#include "detection/training/fashion_training.h"
#include "layers/conv_norm.h"
#include "layers/count.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

/// A network and the images it sees.
struct Variant {
  std::string text;
  MobileNetSmallOptions model = {};
  int side = FashionMnist::kSide;

  std::string name() const {
    return concat("mobilenet-", model.separable ? "" : "plain_", "a", 100 * model.width, "_r", side,
                  "_d", model.depth);
  }
};

/// Trained and measured once: "right" in percent, "seconds", "multiply_adds" in millions,
/// "parameters" in thousands.
Result run(const Variant& variant, const FashionMnist& data, const FashionMnist& test,
           const FashionTrainingOptions& options, bool quick) {
  manual_seed(options.seed);
  const auto net = make_mobilenet_small(variant.model);
  Result result;
  result.values["seconds"] = train_on_fashion(*net, data, options);
  result.values["right"] = 100 * fashion_accuracy(*net, test, variant.side, quick ? 500 : -1);
  const auto count = nn::count_layers(*net, {1, variant.side, variant.side, 1});
  result.values["multiply_adds"] = static_cast<double>(count.multiply_adds) / 1e6;
  result.values["parameters"] = static_cast<double>(count.parameters) / 1e3;
  return result;
}

constexpr std::int64_t kTimedBatch = 100;

/// A batch of images through the network, its batch norm folded. What the weights are costs no time.
Timed timed(const Variant& variant) {
  return {variant.name(), concat("a batch of ", kTimedBatch), [variant] {
            const auto net = make_mobilenet_small(variant.model);
            net->eval();
            nn::fold_batch_norms(*net);
            const Tensor batch = Tensor::rand({kTimedBatch, variant.side, variant.side, 1});
            return [net, batch](std::int64_t) {
              const NoGradGuard guard;
              (*net)(batch);
            };
          }};
}

}  // namespace

void reproduce_mobilenet(Lab& lab) {
  const bool quick = lab.options().quick;
  const std::int64_t steps = quick ? 5 : 470;
  lab.heading("MobileNet: width, resolution, separable convolutions");
  lab.paragraph(concat(
      "A MobileNet of 11 convolutions instead of 27 on Fashion-MNIST instead of ImageNet: ", steps,
      " steps of 128 images. 28, 24, 20 and 16 px are an eighth of the paper's 224, 192, 160 and "
      "128. Microseconds are those of an image in a batch of ",
      kTimedBatch, ", the networks in turn."));
  const std::vector<Variant> variants{
      {"alpha 1, 28 px"},
      {"alpha 0.75", {.width = 0.75}},
      {"alpha 0.5", {.width = 0.5}},
      {"alpha 0.25", {.width = 0.25}},
      {"24 px", {}, 24},
      {"20 px", {}, 20},
      {"16 px", {}, 16},
      {"shallow: one block of 7 x 7 instead of three", {.depth = 1}},
      {"ordinary convolutions", {.separable = false}},
      {"ordinary convolutions, alpha 0.25", {.width = 0.25, .separable = false}}};
  const FashionMnist data(FashionMnist::Split::train), test(FashionMnist::Split::test);
  std::vector<Timed> works;
  for (const Variant& variant : variants) works.push_back(timed(variant));
  const std::map<std::string, double> ms = lab.milliseconds("mobilenet", works);
  const auto us_of = [&](const Variant& variant) {
    return 1e3 / kTimedBatch * ms.at(variant.name());
  };
  std::vector<std::vector<double>> right, adds;
  std::vector<std::vector<std::string>> rows;
  Series widths{.name = "width", .markers = true}, sides{.name = "resolution", .markers = true},
      twins{.name = "ordinary convolutions", .markers = true};
  for (std::size_t v = 0; v < variants.size(); ++v) {
    const Variant& variant = variants[v];
    const std::vector<Result> runs = lab.by_seed(
        variant.name(), concat("version 1, ", steps, " steps"), [&](std::uint64_t seed) {
          return run(variant, data, test, {.steps = steps, .side = variant.side, .seed = seed},
                     quick);
        });
    right.push_back(values_of(runs, "right"));
    adds.push_back(values_of(runs, "multiply_adds"));
    rows.push_back({variant.text, mean_and_spread({adds[v][0]}, 2),
                    mean_and_spread({runs[0].value("parameters")}, 1), mean_and_spread(right[v], 2),
                    mean_and_spread({us_of(variant)}, 1), row_of("", runs, {"seconds"}).back()});
    Series& series = !variant.model.separable ? twins : variant.side < 28 ? sides : widths;
    if (variant.model.depth == 3) {
      series.x.push_back(adds[v][0]);
      series.y.push_back(mean_of(right[v]));
    }
    if (v == 0) {  // the curve of resolutions begins at the same network
      sides.x = widths.x;
      sides.y = widths.y;
    }
  }
  lab.table({"network", "million multiply-adds", "thousand parameters", "% right", "us an image",
             kSecondsHeader},
            rows);
  lab.chart(line_chart({widths, sides, twins},
                       {.x_label = "million multiply-adds", .y_label = "% right", .log_x = true}),
            "Accuracy over arithmetic, means of the seeds.");
  const auto against = [&](const char* what, const char* source, const char* paper, double size,
                           std::size_t larger, std::size_t smaller) {
    return Claim{.what = what,
                 .source = source,
                 .paper = paper,
                 .size = size,
                 .larger = right[larger],
                 .smaller = right[smaller],
                 .unit = "%",
                 .digits = 2};
  };
  Claim no_loss =
      against("separable convolutions lose little", "table 4", "71.7 → 70.6 %", 1.1, 8, 0);
  no_loss.effect = Effect::no_loss;
  lab.claims(
      {no_loss,
       {.what = "with an eighth of the multiply-adds",
        .source = "table 4",
        .paper = "4866 → 569 million",
        .effect = Effect::ratio,
        .size = 4866. / 569,
        .larger = {adds[8][0]},
        .smaller = {adds[0][0]},
        .unit = "million",
        .digits = 1},
       {.what = "and less time",
        .source = "section 3.1",
        .paper = "no times given",
        .effect = Effect::ratio,
        .larger = {us_of(variants[8])},
        .smaller = {us_of(variants[0])},
        .unit = "us",
        .digits = 0},
       against("thin beats shallow at equal cost", "table 5", "68.4 against 65.3 %", 3.1, 1, 7),
       against("alpha 0.5 costs accuracy", "table 6", "70.6 → 63.7 %", 6.9, 0, 2),
       against("alpha 0.25 costs much more", "table 6", "63.7 → 50.6 %", 13.1, 2, 3),
       against("so does 160 of 224 px", "table 7", "70.6 → 67.2 %", 3.4, 0, 5),
       against("and 128 px more", "table 7", "67.2 → 64.4 %", 2.8, 5, 6)});
}

}  // namespace boxgrad::reproduce
