// detection/models/retinanet_small.cpp, detection/models/retinanet_inspect.cpp and
// detection/training/small_recipe.cpp.
#include <cmath>

#include "core/ops.h"
#include "core/random.h"
#include "detection/data/fashion_scenes.h"
#include "detection/models/retinanet_inspect.h"
#include "detection/models/retinanet_small.h"
#include "detection/training/small_recipe.h"
#include "layers/count.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

Batch scenes(std::int64_t count) {
  const FashionScenes data = FashionScenes::train(3);
  std::vector<Sample> samples;
  for (std::int64_t i = 0; i < count; ++i) samples.push_back(data.get(i));
  return SmallRecipe().preparation().make_batch(samples);
}

}  // namespace

TEST_CASE("make_retinanet_small: its maps and anchors", "[retinanet_small]") {
  RetinaNetSmallOptions options;
  options.retina.num_classes = 10;
  const auto model = make_retinanet_small(options);
  const auto heads = model->heads(Tensor({1, 128, 128, 3}));
  CHECK(heads.logits.shape() == Shape{1, (16 * 16 + 8 * 8) * 6, 10});
  CHECK(heads.anchors.shape() == Shape{1920, 4});
  // The first anchor: 20 px, twice as wide as high, in the middle of the first cell of 8 px.
  const Scalar w = Scalar(20 * std::sqrt(2.)) / 2, h = Scalar(20 / std::sqrt(2.)) / 2;
  CHECK(heads.anchors.at({0, 0}) == Approx(4 - w));
  CHECK(heads.anchors.at({0, 1}) == Approx(4 - h));
  options.sides = {20, 30};
  CHECK_THROWS_WITH(make_retinanet_small(options),
                    "make_retinanet_small: sides must be 4, two a level, got 2");
}

TEST_CASE("loss_mass: what the untrained network says, by hand", "[retinanet_small]") {
  // All logits start at ln(1/99) up to what Gaussians of .01 add, with gamma 0: a negative costs
  // 10 ln(1/.99), a positive 9 of these and ln 100.
  for (const bool softmax : {false, true}) {
    RetinaNetSmallOptions options;
    options.retina.num_classes = 10;
    options.retina.softmax = softmax;
    manual_seed(2);
    const auto model = make_retinanet_small(options);
    const Batch batch = scenes(2);
    const double no = -std::log(.99), yes = std::log(100.);
    const auto state = [&] {
      std::vector<std::vector<Scalar>> numbers;
      for (const auto& [name, tensor] : model->state_dict()) numbers.push_back(tensor.to_vector());
      return numbers;
    };
    const auto before = state();
    const LossMass mass = loss_mass(*model, batch, 0);
    CHECK((state() == before));  // running statistics, too
    CHECK(model->is_training());
    Random random;
    CHECK(std::int64_t(mass.positives.size()) == model->loss(batch, random).positives);
    CHECK(mass.negatives.size() > 3000);
    const double negative = softmax ? no : 10 * no,
                 positive = softmax ? yes + std::log(10.) : yes + 9 * no;
    CHECK(double(mass.negatives[mass.negatives.size() / 2]) == Approx(negative).epsilon(0.05));
    CHECK(double(mass.positives[mass.positives.size() / 2]) == Approx(positive).epsilon(0.05));
    // With gamma 2 a negative is multiplied by p^2 = 1e-4.
    const LossMass focal = loss_mass(*model, batch, 2);
    CHECK(double(focal.negatives[focal.negatives.size() / 2]) ==
          Approx(1e-4 * negative).epsilon(0.1));
  }
}

TEST_CASE("cumulative_loss and hardest_share by hand", "[retinanet_small]") {
  const std::vector<Scalar> losses{0, 1, 2, 5};
  const std::vector<double> shares = cumulative_loss(losses, 4);
  REQUIRE(shares.size() == 5);
  CHECK(shares[0] == 0);
  CHECK(shares[1] == 0);
  CHECK(shares[2] == Approx(0.125));
  CHECK(shares[3] == Approx(0.375));
  CHECK(shares[4] == Approx(1));
  CHECK(hardest_share(losses, 0.25) == Approx(0.625));
  CHECK(hardest_share(losses, 0) == 0);
  CHECK(hardest_share(losses, 1) == Approx(1));
  CHECK_THROWS_WITH(cumulative_loss({}, 3), "cumulative_loss: there are no losses");
  CHECK_THROWS_WITH(cumulative_loss({0, 0}, 3), "cumulative_loss: all losses are 0");
  CHECK_THROWS_WITH(cumulative_loss(losses, 0), "cumulative_loss: points must be >= 1, got 0");
  CHECK_THROWS_WITH(hardest_share(losses, 2), "hardest_share: fraction must be 0 to 1, got 2");
}

TEST_CASE("SmallRecipe lowers the loss", "[retinanet_small]") {
  RetinaNetSmallOptions options{.channels = 16};
  options.retina.num_classes = 10;
  manual_seed(4);
  const auto model = make_retinanet_small(options);
  const SmallRecipe recipe{.iterations = 12, .batch_size = 2, .seed = 1};
  nn::AdamW optimizer(*model, recipe.optimizer());
  std::vector<double> losses;
  TrainerOptions training = recipe.training();
  training.on_step = [&](std::int64_t, const DetectorLoss& loss) {
    losses.push_back(double(loss.total.item()));
  };
  const TrainingSummary summary =
      train(*model, optimizer, FashionScenes::train(5), {}, recipe.preparation(), training);
  CHECK(summary.iterations == 12);
  REQUIRE(losses.size() == 12);
  CHECK(losses[11] + losses[10] < losses[0] + losses[1]);
}
