// detection/models/fpn.cpp and detection/models/retinanet.cpp.
#include <cmath>

#include "core/ops.h"
#include "core/parallel.h"
#include "detection/models/fpn.h"
#include "detection/models/retinanet.h"
#include "detection/models/separable_net.h"
#include "layers/sgd.h"
#include "tests/check_gradients.h"
#include "tests/golden/fpn.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// The numbers of tests/golden/fpn.py.
void fill_sines(Tensor t, double k, double scale = 1) {
  const auto numbers = t.data();
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = Scalar(std::sin(double(i) * 0.7 + k) * scale);
}

/// Maps that are given.
class FixedMaps : public Backbone {
 public:
  explicit FixedMaps(std::vector<std::int64_t> channels) : channels_(std::move(channels)) {}
  std::vector<Tensor> maps(const Tensor&) override { return given; }
  std::vector<std::int64_t> channels() const override { return channels_; }
  std::vector<Tensor> given;

 private:
  std::vector<std::int64_t> channels_;
};

double sum_of_sizes(const Tensor& t) {
  double sum = 0;
  for (const Scalar v : t.data()) sum += std::abs(double(v));
  return sum;
}

void check_first(const Tensor& t, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < expected.size() && i < t.data().size(); ++i)
    CHECK(double(t.data()[i]) == Approx(expected[i]).margin(2e-5));
}

RetinaNetOptions toy_retina_options() {
  RetinaNetOptions options;
  options.num_classes = 2;
  options.levels = {{.sizes = {{8, 8}, {12, 12}}, .stride_px = 4},
                    {.sizes = {{16, 16}, {24, 24}}, .stride_px = 8}};
  options.tower_depth = 1;
  options.postprocess.score_threshold = 0.2;
  return options;
}

std::shared_ptr<RetinaNet> make_toy_retina(const RetinaNetOptions& options = toy_retina_options()) {
  manual_seed(1);
  SeparableNetOptions net;
  net.stem_channels = 8;
  net.stages = {{.channels = 16, .stride = 2, .output = true},
                {.channels = 16, .stride = 2, .output = true}};
  return std::make_shared<RetinaNet>(
      std::make_shared<Fpn>(std::make_shared<SeparableNet>(net),
                            FpnOptions{.channels = 16, .extra_levels = 0}),
      options);
}

Batch toy_retina_batch(std::int64_t images) {
  const ToyDataset data;
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < images; ++i) samples.push_back(data.get(i));
  return collate(samples);
}

}  // namespace

TEST_CASE("Fpn equals torchvision's, forward and backward", "[fpn]") {
  auto body = std::make_shared<FixedMaps>(std::vector<std::int64_t>{3, 4, 5});
  Fpn net(body, {.channels = 6, .extra_levels = 2});
  CHECK(net.channels() == std::vector<std::int64_t>(5, 6));
  double k = 0;
  const auto set = [&](const std::string& layer, double number) {
    const auto state = net.find(layer)->state_dict();
    fill_sines(state[0].second, number, 0.2);
    fill_sines(state[1].second, number + 50, 0.2);
  };
  for (int n = 0; n < 3; ++n)
    set(concat("lateral", n + 1), 1 + n), set(concat("smooth", n + 1), 11 + n);
  for (int n = 0; n < 2; ++n) set(concat("extra", n + 1), 21 + n);
  std::vector<Tensor> maps{Tensor({1, 7, 6, 3}), Tensor({1, 4, 3, 4}), Tensor({1, 2, 2, 5})};
  for (Tensor& map : maps) fill_sines(map, 31 + k++), map.requires_grad_();
  body->given = maps;

  const std::vector<Tensor> pyramid = net.maps(Tensor({1, 1, 1, 3}));
  REQUIRE(pyramid.size() == 5);
  const std::vector<double>* levels[] = {&kFpnLevel0, &kFpnLevel1, &kFpnLevel2, &kFpnLevel3,
                                         &kFpnLevel4};
  const double sums[] = {kFpnSum0, kFpnSum1, kFpnSum2, kFpnSum3, kFpnSum4};
  Tensor loss({1});
  for (std::size_t n = 0; n < 5; ++n) {
    INFO("level " << n);
    check_first(pyramid[n], *levels[n]);
    CHECK(sum_of_sizes(pyramid[n]) == Approx(sums[n]).epsilon(1e-5));
    Tensor weights(pyramid[n].shape());
    fill_sines(weights, 41 + double(n));
    loss = loss + sum(pyramid[n] * weights);
  }
  loss.backward();
  check_first(maps[0].grad(), kFpnGradient0);
  check_first(maps[1].grad(), kFpnGradient1);
  check_first(maps[2].grad(), kFpnGradient2);
  CHECK(sum_of_sizes(maps[0].grad()) == Approx(kFpnGradientSum0).epsilon(1e-5));
  CHECK(sum_of_sizes(maps[1].grad()) == Approx(kFpnGradientSum1).epsilon(1e-5));
  CHECK(sum_of_sizes(maps[2].grad()) == Approx(kFpnGradientSum2).epsilon(1e-5));
}

TEST_CASE("RetinaNet: heads line up with the anchors, one subnet for all maps", "[retinanet]") {
  const auto model = make_toy_retina();
  const Batch batch = toy_retina_batch(3);
  const auto heads = model->heads(batch.images);
  CHECK(heads.anchors.shape() == Shape{(8 * 8 + 4 * 4) * 2, 4});
  CHECK(heads.logits.shape() == Shape{3, 160, 2});
  CHECK(heads.offsets.shape() == Shape{3, 160, 4});
  CHECK(model->find("class_tower1")->parameter_count() == 16 * 16 * 9 + 16);
  CHECK(model->find("class_logits")->parameter_count() == (16 * 9 + 1) * 2 * 2);
  CHECK(model->find("box_offsets")->parameter_count() == (16 * 9 + 1) * 2 * 4);
  const Tensor scores = model->scores(heads.logits);
  CHECK(scores.shape() == Shape{3, 160, 3});
  CHECK(scores.at({0, 0, 0}) == 0);
}

TEST_CASE("RetinaNet: what the prior does to the first loss", "[retinanet]") {
  const Batch batch = toy_retina_batch(2);
  Random random(1);
  const auto first_loss = [&](double prior, DenseLoss loss, bool softmax) {
    RetinaNetOptions options = toy_retina_options();
    options.prior = prior;
    options.class_loss = loss;
    options.softmax = softmax;
    return make_toy_retina(options)->loss(batch, random).parts[0].second;
  };
  for (const bool softmax : {false, true}) {
    CHECK(first_loss(0.01, DenseLoss::focal, softmax) <
          0.1 * first_loss(0, DenseLoss::focal, softmax));
    CHECK(first_loss(0.01, DenseLoss::cross_entropy, softmax) <
          0.3 * first_loss(0, DenseLoss::cross_entropy, softmax));
    CHECK(first_loss(0.01, DenseLoss::focal, softmax) <
          first_loss(0.01, DenseLoss::balanced, softmax));
  }
  // Zero biases: .75 * .25 * ln 2 for each logit of a negative.
  const auto model = make_toy_retina([] {
    RetinaNetOptions options = toy_retina_options();
    options.prior = 0;
    return options;
  }());
  model->loss(batch, random);
  const auto& matches = model->last_assignment()[0].matches;
  for (std::size_t a = 0; a < 160; ++a) {
    const double loss = double(model->last_losses()[a]);
    if (matches.truth[a] == kIgnored) CHECK(loss == 0);
    if (matches.truth[a] == kUnmatched) CHECK(loss == Approx(2 * .129965).epsilon(0.05));
  }
}

TEST_CASE("RetinaNet: which anchors each loss looks at", "[retinanet]") {
  const Batch batch = toy_retina_batch(2);
  Random random(1);
  for (const bool softmax : {false, true})
    for (const DenseLoss loss : {DenseLoss::cross_entropy, DenseLoss::balanced, DenseLoss::ohem,
                                 DenseLoss::mining, DenseLoss::focal}) {
      RetinaNetOptions options = toy_retina_options();
      options.class_loss = loss;
      options.softmax = softmax;
      options.ohem.size = 5;
      const auto model = make_toy_retina(options);
      const DetectorLoss value = model->loss(batch, random);
      std::int64_t positives = 0, chosen_positives = 0, chosen_negatives = 0, background = 0;
      for (const auto& [matches, selection] : model->last_assignment()) {
        for (const std::int64_t truth : matches.truth)
          positives += truth >= 0, background += truth == kUnmatched;
        chosen_positives += std::int64_t(selection.positives.size());
        chosen_negatives += std::int64_t(selection.negatives.size());
      }
      CHECK(value.positives == positives);
      CHECK(value.negatives == chosen_negatives);
      if (loss == DenseLoss::ohem) {
        CHECK(chosen_positives + chosen_negatives <= 10);
        CHECK(chosen_positives + chosen_negatives > 0);
      } else {
        CHECK(chosen_positives == positives);
        CHECK(chosen_negatives == (loss == DenseLoss::mining ? 3 * positives : background));
      }
    }
}

TEST_CASE("RetinaNet: images without objects, and difficult ones", "[retinanet]") {
  const auto model = make_toy_retina();
  Batch batch = toy_retina_batch(2);
  Random random(1);
  batch.targets[0].difficult.assign(batch.targets[0].labels.size(), true);
  const std::int64_t before = model->loss(batch, random).positives;
  for (const std::int64_t truth : model->last_assignment()[0].matches.truth) CHECK(truth < 0);
  batch.targets[0] = {};
  CHECK(model->loss(batch, random).positives == before);
  batch.targets[1] = {};
  const DetectorLoss loss = model->loss(batch, random);
  CHECK(loss.positives == 0);
  CHECK(std::isfinite(loss.total.item()));
  loss.total.backward();
}

TEST_CASE("RetinaNet learns, with either form of the loss", "[retinanet]") {
  for (const bool softmax : {false, true}) {
    RetinaNetOptions options = toy_retina_options();
    options.softmax = softmax;
    const auto model = make_toy_retina(options);
    const Batch batch = toy_retina_batch(4);
    nn::SGD sgd(*model, {.rate = 0.01, .momentum = 0.9});
    Random random(1);
    double first = 0, last = 0;
    for (int step = 0; step < 80; ++step) {
      sgd.zero_grad();
      const DetectorLoss loss = model->loss(batch, random);
      last = double(loss.total.item());
      if (step == 0) first = last;
      loss.total.backward();
      sgd.step();
    }
    CHECK(last < 0.5 * first);
  }
}

TEST_CASE("RetinaNet: the same bits for any number of threads", "[retinanet][threads]") {
  const int before = num_threads();
  std::vector<Scalar> expected;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    RetinaNetOptions options = toy_retina_options();
    options.class_loss = DenseLoss::ohem;
    const auto model = make_toy_retina(options);
    Random random(1);
    model->loss(toy_retina_batch(3), random).total.backward();
    std::vector<Scalar> numbers;
    for (const auto& [name, parameter] : model->parameters())
      if (parameter.has_grad())
        numbers.insert(numbers.end(), parameter.grad().data().begin(),
                       parameter.grad().data().end());
    if (expected.empty()) expected = numbers;
    CHECK(numbers == expected);
  }
  set_num_threads(before);
}

TEST_CASE("RetinaNet and Fpn explain what does not fit", "[retinanet][errors]") {
  RetinaNetOptions options = toy_retina_options();
  options.levels.pop_back();
  CHECK_THROWS_WITH(make_toy_retina(options),
                    "RetinaNet: the backbone has 2 maps, the anchors 1 levels");
  options = toy_retina_options();
  options.levels[1].sizes.pop_back();
  CHECK_THROWS_WITH(make_toy_retina(options),
                    "RetinaNet: all levels must have as many anchor sizes, got 2 and 1");
  options = toy_retina_options();
  options.prior = 1;
  CHECK_THROWS_WITH(make_toy_retina(options), "RetinaNet: prior must be in [0, 1), got 1");
  CHECK_THROWS_WITH(
      RetinaNet(std::make_shared<FixedMaps>(std::vector<std::int64_t>{4, 5}), toy_retina_options()),
      "RetinaNet: one subnet serves all maps, which must have as many channels, got 4 and 5");
  CHECK_THROWS_WITH(Fpn(nullptr), "Fpn: the backbone is null");
  auto body = std::make_shared<FixedMaps>(std::vector<std::int64_t>{4});
  Fpn net(body, {.channels = 4});
  CHECK_THROWS_WITH(net.maps(Tensor({1, 4, 4, 3})), "Fpn: expected 1 maps, got 0");
}
