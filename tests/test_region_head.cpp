// detection/models/region_head.h: the layers on a region, and the multi-task loss.
#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "detection/models/region_head.h"
#include "tests/check_gradients.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("RegionHead has the published parts", "[region_head]") {
  manual_seed(1);
  const RegionHead head(2 * 2 * 5, 3, {.hidden = {8, 6}});
  std::vector<std::string> names;
  for (const auto& [name, tensor] : head.parameters()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias",
                                          "cls_score.weight", "cls_score.bias", "bbox_pred.weight",
                                          "bbox_pred.bias"});
  const auto [logits, offsets] = head(Tensor::randn({7, 2, 2, 5}));
  CHECK(logits.shape() == Shape{7, 4});
  CHECK(offsets.shape() == Shape{7, 4, 4});
  CHECK(head(Tensor({0, 2, 2, 5})).logits.shape() == Shape{0, 4});
  std::vector<std::string> layers;
  RegionHead dropping(20, 3, {.hidden = {8, 6}, .dropout = 0.5});
  dropping.visit([&](const std::string& path, nn::Module&) { layers.push_back(path); });
  CHECK(layers ==
        std::vector<std::string>{"", "fc6", "drop6", "fc7", "drop7", "cls_score", "bbox_pred"});
  CHECK(dropping.hidden_width() == 6);
  CHECK(RegionHead(20, 3, {.hidden = {}}).hidden_width() == 20);
  CHECK_THROWS_WITH(RegionHead(20, 3, {.dropout = -1}),
                    "fc_layers: dropout must be in [0, 1), got -1");
  CHECK_THROWS_WITH(RegionHead(0, 3, {}), "RegionHead: needs features and classes, got 0 and 3");
}

TEST_CASE("multi_task_loss by hand", "[region_head]") {
  // Cross entropies 1.098612, .169846, .094923; box errors (.5, -1.5, 0, .2) -> 1.145 and
  // (.1, 0, 0, 0) -> .005; background's is ignored.
  RegionHead::Output output{Tensor({3, 3}, {0, 0, 0, 2, 0, -1, 0, 3, 0}), Tensor({3, 3, 4})};
  const auto set = [&](std::int64_t r, std::int64_t label, const std::vector<double>& values) {
    for (std::int64_t k = 0; k < 4; ++k)
      output.offsets.set({r, label, k}, static_cast<Scalar>(values[static_cast<std::size_t>(k)]));
  };
  set(0, 1, {0.5, -1.5, 0, 0.2});
  set(1, 0, {9, 9, 9, 9});
  set(1, 1, {9, 9, 9, 9});
  set(2, 1, {0.1, 0, 0, 0});
  set(2, 2, {7, 7, 7, 7});
  const std::vector<std::int64_t> labels{1, 0, 1};
  const Tensor targets({3, 4});
  const auto [classification, boxes] = multi_task_loss(output, labels, targets);
  CHECK(classification.item() + boxes.item() == Approx(0.837794).epsilon(1e-5));
  CHECK(multi_task_loss(output, labels, targets, 2).boxes.item() == Approx(2 * boxes.item()));
  CHECK(multi_task_loss(output, labels, targets, 0).boxes.item() == 0);

  const auto each = multi_task_losses(output, labels, targets);
  CHECK(each[0] == Approx(1.098612 + 1.145).epsilon(1e-5));
  CHECK(each[1] == Approx(0.169846).epsilon(1e-4));
  CHECK(each[2] == Approx(0.094923 + 0.005).epsilon(1e-4));
}

TEST_CASE("multi_task_loss gradients", "[region_head][gradcheck]") {
  manual_seed(3);
  const std::vector<std::int64_t> labels{1, 0, 2};
  const Tensor targets = Tensor::randn({3, 4});
  check_gradients(
      [&](const auto& in) {
        const auto [a, b] = multi_task_loss({in[0], in[1]}, labels, targets, 1.5);
        return a + b;
      },
      {Tensor::randn({3, 3}), Tensor::randn({3, 3, 4})});
}

TEST_CASE("multi_task_loss: no region at all, none with an object, and a wrong label",
          "[region_head][errors]") {
  const RegionHead::Output none{Tensor({0, 3}), Tensor({0, 3, 4})};
  CHECK(multi_task_loss(none, {}, Tensor({0, 4})).classification.item() == 0);
  const RegionHead::Output one{Tensor({1, 3}), Tensor({1, 3, 4})};
  CHECK(multi_task_loss(one, {0}, Tensor({1, 4})).boxes.item() == 0);
  CHECK_THROWS_WITH(multi_task_loss(one, {3}, Tensor({1, 4})),
                    "multi_task_loss: label 3 of region 0 is not one of 0 to 2");
  CHECK_THROWS_WITH(multi_task_loss(one, {0, 1}, Tensor({1, 4})),
                    "multi_task_loss: expected 1 labels and targets [1, 4], got 2 and [1, 4]");
  // Offsets of another number of classes would be read at another class's place.
  const RegionHead::Output other{Tensor({1, 3}), Tensor({1, 5, 4})};
  CHECK_THROWS_WITH(multi_task_loss(other, {1}, Tensor({1, 4})),
                    "multi_task_loss: offsets must have shape [1, 3, 4], got [1, 5, 4]");
  // A head without boxes has a loss as long as nobody asks for boxes.
  const RegionHead::Output classes{Tensor({1, 3}), {}};
  CHECK(multi_task_loss(classes, {1}, Tensor({1, 4}), 0).classification.item() == Approx(1.098612));
  CHECK(multi_task_losses(classes, {0}, Tensor({1, 4}))[0] == Approx(1.098612));
  CHECK_THROWS_WITH(multi_task_losses(classes, {1}, Tensor({1, 4})),
                    "multi_task_loss: the head says no boxes (RegionHeadOptions)");
}
