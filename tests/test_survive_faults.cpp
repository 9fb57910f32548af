// A number that is not finite, put behind every op, forwards and backwards, and into every weight:
// what the trainer says of it (detection/training/trainer.h, core/nan_check.h).
#include <filesystem>
#include <functional>
#include <limits>
#include <set>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "detection/boxes.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/fpn.h"
#include "detection/models/retinanet.h"
#include "detection/models/vgg16.h"
#include "detection/roi_align.h"
#include "detection/roi_pool.h"
#include "detection/spatial_pyramid_pool.h"
#include "detection/training/checkpoint.h"
#include "detection/training/trainer.h"
#include "layers/activation.h"
#include "layers/dropout.h"
#include "layers/focal_loss.h"
#include "layers/l2_norm.h"
#include "layers/linear.h"
#include "layers/local_response_norm.h"
#include "layers/losses.h"
#include "layers/pool.h"
#include "layers/separable_batch_norm.h"
#include "layers/sgd.h"
#include "layers/upsample.h"
#include "tests/catch.h"
#include "tests/memory_folder.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

constexpr Scalar kNan = std::numeric_limits<Scalar>::quiet_NaN();

/// Puts NaN into what op number `at` of a step makes: its value, or the gradients of its inputs.
class Fault : public OpObserver {
 public:
  Fault(int at, bool backward) : at_(at), backward_(backward) {}

  void begin_step() { forward_ops_ = backward_ops_ = 0; }
  void after_forward(const Op& op) override {
    if (forward_ops_++ != at_ || backward_ || op.output.numel() == 0) return;
    Tensor output = op.output;
    std::ranges::fill(output.data(), kNan);
    note(op);
    constant = !op.output.requires_grad();
  }
  void after_backward(const Op& op, const Tensor&) override {
    if (backward_ops_++ != at_ || !backward_) return;
    for (const auto& slot : op.input_slots)
      if (slot && slot->written() && slot->shape().numel() > 0) {
        std::fill_n(slot->target().data, slot->shape().numel(), kNan);
        note(op);
      }
  }

  int ops_of_step() const { return backward_ ? backward_ops_ : forward_ops_; }
  std::string name, path;  ///< of the op that was hit; "" if none was
  bool constant = false;   ///< no gradient goes through it

 private:
  void note(const Op& op) {
    name = op.name;
    path = op.module_path;
  }
  int at_;
  bool backward_;
  int forward_ops_ = 0, backward_ops_ = 0;
};

/// The detector, telling the fault when a step begins.
class Watched : public Detector {
 public:
  Watched(std::shared_ptr<Detector> inner, Fault& fault)
      : inner_(std::move(inner)), child_(add_module("net", inner_)), fault_(fault) {}
  DetectorLoss loss(const Batch& batch, Random& random) override {
    fault_.begin_step();
    const ModuleScope scope("net");
    return inner_->loss(batch, random);
  }
  std::vector<Detections> detect(const Batch& batch) override { return inner_->detect(batch); }

 private:
  std::shared_ptr<Detector> inner_;
  nn::Child child_;
  Fault& fault_;
};

std::shared_ptr<Detector> toy_ssd() { return make_toy(); }

std::shared_ptr<Detector> toy_retinanet() {
  manual_seed(1);
  SeparableNetOptions net;
  net.stem_channels = 8;
  net.stages = {{.channels = 16, .stride = 2, .output = true},
                {.channels = 16, .stride = 2, .output = true}};
  RetinaNetOptions options;
  options.num_classes = 2;
  options.levels = {{.sizes = {{8, 8}, {12, 12}}, .stride_px = 4},
                    {.sizes = {{16, 16}, {24, 24}}, .stride_px = 8}};
  options.tower_depth = 1;
  return std::make_shared<RetinaNet>(
      std::make_shared<Fpn>(std::make_shared<SeparableNet>(net),
                            FpnOptions{.channels = 16, .extra_levels = 0}),
      options);
}

std::shared_ptr<Detector> toy_faster_rcnn() {
  manual_seed(5);
  FasterRcnnOptions options;
  options.rpn.anchors = {{{8, 8}, {12, 12}}, 4};
  options.rpn.channels = 16;
  options.rpn.sampling.size = 32;
  options.rpn.train_before_nms = 60;
  options.rpn.train_proposals = 20;
  options.fast_rcnn.num_classes = 2;
  options.fast_rcnn.pool = 3;
  options.fast_rcnn.scale = 0.25;
  options.fast_rcnn.head = {.hidden = {32}, .dropout = 0.5};
  options.fast_rcnn.sampling.size = 16;
  return std::make_shared<FasterRcnn>(
      std::make_shared<Vgg16>(Vgg16Options{.width = 0.125, .outputs = {"conv3_1"}}), options);
}

/// "Learns" the mean square of one op's result on its weights, a map [2, 6, 6, 4] of numbers from
/// 0.2 to 1.2: ops that the detectors have no use for.
class OneOp : public Detector {
 public:
  using Op = std::function<Tensor(const Tensor& x)>;
  explicit OneOp(Op op)
      : op_(std::move(op)), weight_(add_parameter("weight", Tensor({2, 6, 6, 4}))) {
    Random random(4);
    for (Scalar& v : weight_.data()) v = static_cast<Scalar>(0.2 + random.uniform());
  }
  DetectorLoss loss(const Batch&, Random&) override {
    const Tensor total = mean(square(op_(weight_)));
    return {.total = total, .parts = {{"op", static_cast<double>(total.item())}}};
  }
  std::vector<Detections> detect(const Batch& batch) override {
    return std::vector<Detections>(batch.infos.size());
  }

 private:
  Op op_;
  Tensor weight_;
};

ConvNormArguments conv_norm(std::int64_t kernel, std::int64_t groups) {
  const std::int64_t in = 4 / groups;
  Tensor weight({kernel, kernel, in, 4});
  Random random(6);
  for (Scalar& v : weight.data()) v = static_cast<Scalar>(random.uniform() - 0.5);
  return {.weight = weight,
          .gamma = Tensor::ones({4}),
          .beta = Tensor({4}),
          .running_mean = Tensor({4}),
          .running_var = Tensor::ones({4}),
          .conv = {.padding = kernel / 2, .groups = groups},
          .norm = {}};
}

/// A call of each op, by the name that it gives to from_op().
std::vector<std::pair<std::string, OneOp::Op>> single_ops() {
  const auto rows = [](const Tensor& x) { return reshape(x, {72, 4}); };
  const Tensor rois({2, 5}, {0, 0, 0, 5, 4, 1, 1, 2, 5, 5});
  const Tensor ones = Tensor::ones({4}), zeros({4});
  std::vector<std::int64_t> labels(72);
  for (std::size_t r = 0; r < labels.size(); ++r) labels[r] = static_cast<std::int64_t>(r % 4);
  Tensor anchors({72, 4});
  for (std::size_t i = 0; i < 288; ++i) anchors.data()[i] = i % 4 < 2 ? Scalar(2) : Scalar(9);
  const Tensor halves({2, 6, 6, 4}, Scalar(0.5)), hits = Tensor::ones({2, 6, 6, 4});
  const Tensor wide = Tensor::ones({4, 3});
  return {
      {"add", [=](const Tensor& x) { return x + halves; }},
      {"sub", [=](const Tensor& x) { return x - halves; }},
      {"mul", [=](const Tensor& x) { return x * halves; }},
      {"div", [=](const Tensor& x) { return halves / x; }},
      {"neg", [](const Tensor& x) { return neg(x); }},
      {"square", [](const Tensor& x) { return square(x); }},
      {"exp", [](const Tensor& x) { return exp(x); }},
      {"log", [](const Tensor& x) { return log(x); }},
      {"sqrt", [](const Tensor& x) { return sqrt(x); }},
      {"clamp", [](const Tensor& x) { return clamp(x, Scalar(0.1), Scalar(0.9)); }},
      {"matmul", [=](const Tensor& x) { return matmul(rows(x), wide); }},
      {"sum", [](const Tensor& x) { return sum(x, {3}); }},
      {"mean", [](const Tensor& x) { return mean(x, {3}); }},
      {"max", [](const Tensor& x) { return max(x, {3}); }},
      {"reshape", [=](const Tensor& x) { return rows(x); }},
      {"permute",
       [](const Tensor& x) {
         return permute(x, {0, 3, 1, 2});
       }},
      {"cat",
       [](const Tensor& x) {
         return cat({x, x}, 3);
       }},
      {"slice", [](const Tensor& x) { return slice(x, 3, 1, 3); }},
      {"index_select",
       [](const Tensor& x) {
         return index_select(x, 3, {2, 0});
       }},
      {"gather", [=](const Tensor& x) { return gather(rows(x), labels); }},
      {"relu", [](const Tensor& x) { return relu(x); }},
      {"relu6", [](const Tensor& x) { return relu6(x); }},
      {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }},
      {"sigmoid", [](const Tensor& x) { return sigmoid(x); }},
      {"softmax", [](const Tensor& x) { return softmax(x); }},
      {"log_softmax", [](const Tensor& x) { return log_softmax(x); }},
      {"dropout", [](const Tensor& x) { return dropout(x, 0.5); }},
      {"linear", [=](const Tensor& x) { return linear(rows(x), wide); }},
      {"conv2d", [](const Tensor& x) { return conv2d(x, conv_norm(3, 1).weight); }},
      {"conv2d_batch_norm", [](const Tensor& x) { return conv2d_batch_norm(x, conv_norm(1, 1)); }},
      {"separable_batch_norm",
       [](const Tensor& x) { return separable_batch_norm(x, conv_norm(3, 4), conv_norm(1, 1)); }},
      {"batch_norm",
       [=](const Tensor& x) { return batch_norm(x, ones, zeros, zeros.clone(), ones.clone()); }},
      {"batch_norm_frozen",
       [=](const Tensor& x) { return batch_norm_frozen(x, ones, zeros, zeros, ones); }},
      {"l2_norm", [=](const Tensor& x) { return l2_norm(x, ones); }},
      {"local_response_norm", [](const Tensor& x) { return local_response_norm(x); }},
      {"max_pool2d", [](const Tensor& x) { return max_pool2d(x, 2); }},
      {"avg_pool2d", [](const Tensor& x) { return avg_pool2d(x, 2); }},
      {"adaptive_avg_pool2d", [](const Tensor& x) { return adaptive_avg_pool2d(x, 4); }},
      {"upsample_nearest", [](const Tensor& x) { return upsample_nearest(x, 12, 12); }},
      {"roi_max_pool", [=](const Tensor& x) { return roi_max_pool(x, rois, 2, 2, 1); }},
      {"roi_align", [=](const Tensor& x) { return roi_align(x, rois, 2, 2, 1); }},
      {"spatial_pyramid_pool",
       [=](const Tensor& x) {
         return spatial_pyramid_pool(x, rois, 1, {2, 1});
       }},
      {"decode_boxes", [=](const Tensor& x) { return decode_boxes(rows(x), anchors); }},
      {"cross_entropy", [=](const Tensor& x) { return cross_entropy(rows(x), labels); }},
      {"smooth_l1_loss", [=](const Tensor& x) { return smooth_l1_loss(x, halves); }},
      {"mse_loss", [=](const Tensor& x) { return mse_loss(x, halves); }},
      {"binary_cross_entropy_with_logits",
       [=](const Tensor& x) { return binary_cross_entropy_with_logits(x, halves); }},
      {"sigmoid_focal_loss", [=](const Tensor& x) { return sigmoid_focal_loss(x, hits); }},
      {"softmax_focal_loss", [=](const Tensor& x) { return softmax_focal_loss(rows(x), labels); }},
  };
}

/// Every op of the library, by name: the Makefile collects them from the calls of from_op().
const std::set<std::string> kEveryOp = {
#include "op_names.inc"
};

struct OneThread {
  int before = num_threads();
  OneThread() { set_num_threads(1); }
  ~OneThread() { set_num_threads(before); }
};

using Maker = std::function<std::shared_ptr<Detector>()>;

const fs::path& out() {
  static const fs::path path = memory_folder("faults");
  return path;
}

/// Two steps with a fault; the message of TrainingDiverged, or "".
std::string diverges(const Maker& make, Fault& fault) {
  const ToyDataset data;
  Watched model(make(), fault);
  nn::SGD optimizer(model, {.rate = 0.001});
  fs::remove_all(out());
  std::string message;
  try {
    train(model, optimizer, data, {}, {},
          {.iterations = 2,
           .batch_size = 2,
           .checkpoint_every = 1,
           .out = out(),
           .loader_threads = 0});
  } catch (const TrainingDiverged& error) {
    message = error.what();
  }
  const bool any = fs::exists(out()) && load_checkpoint(out()).has_value();
  // Nothing was written of a step that went wrong.
  CHECK(any == !message.starts_with("training stopped in step 1: "));
  fs::remove_all(out());
  return message;
}

/// All ops of a detector's step, one after the other. Returns how many were hit.
int check_ops(const Maker& make, bool backward, std::set<std::string>& names) {
  // With several threads the proposals of an image are made on any of them, and observers see one
  // thread: ops would have other numbers each time.
  const OneThread one;
  int ops = 0, hits = 0;
  {
    Fault none(-1, backward);
    CHECK(diverges(make, none).empty());
    ops = none.ops_of_step();
  }
  for (int at = 0; at < ops; ++at) {
    Fault fault(at, backward);
    const std::string message = diverges(make, fault);
    if (fault.name.empty()) continue;  // nothing flows back from here
    ++hits;
    names.insert(fault.name);
    // Region proposals are constants, and one made of NaN is dropped like one without area: the
    // weights stay finite, or diverges() would have had no checkpoint.
    if (fault.constant && message.empty()) continue;
    INFO((backward ? "backward of " : "")
         << fault.name << " in " << fault.path << ", number " << at << ": " << message);
    // A map without a positive anchor is not read in this step: it may be the next that does.
    const char* step = message.starts_with("training stopped in step 2: ") && !backward
                           ? "training stopped in step 2: "
                           : "training stopped in step 1: ";
    CHECK_THAT(message,
               Catch::StartsWith(step) &&
                   Catch::Contains(concat("op \"", fault.name, "\" ",
                                          fault.path.empty()
                                              ? std::string("outside of any module")
                                              : concat("in module \"", fault.path, "\""))) &&
                   Catch::Contains("is nan") && Catch::Contains("Images of the batch: toy/"));
    if (backward) CHECK_THAT(message, Catch::Contains("a gradient is not finite"));
  }
  return hits;
}

}  // namespace

TEST_CASE("a value that is not finite is traced to its op, layer and files", "[survive][faults]") {
  std::set<std::string> names;
  for (const Maker& make : {Maker(toy_ssd), Maker(toy_retinanet), Maker(toy_faster_rcnn)})
    CHECK(check_ops(make, false, names) > 10);
  CHECK(names.size() >= 15);
}

TEST_CASE("a gradient that is not finite is traced to its op, layer and files",
          "[survive][faults]") {
  std::set<std::string> names;
  for (const Maker& make : {Maker(toy_ssd), Maker(toy_retinanet), Maker(toy_faster_rcnn)})
    CHECK(check_ops(make, true, names) > 10);
  CHECK(names.size() >= 15);
}

TEST_CASE("behind every op of the library a number that is not finite is noticed",
          "[survive][faults]") {
  std::set<std::string> met;
  for (const auto& [name, op] : single_ops()) {
    INFO(name);
    const Maker make = [&op = op] { return std::make_shared<OneOp>(op); };
    std::set<std::string> values, gradients;
    CHECK(check_ops(make, false, values) >= 3);  // the op, square, mean
    CHECK(check_ops(make, true, gradients) >= 3);
    CHECK(values.contains(name));
    CHECK(gradients.contains(name));
    met.insert(name);
  }
  CHECK(met == kEveryOp);  // a new op needs a row of single_ops()
}

TEST_CASE("a weight that is not finite is traced to its layer and is never saved",
          "[survive][faults]") {
  const ToyDataset data;
  const std::size_t count = make_toy()->parameters().size();
  for (std::size_t k = 0; k < count; ++k)
    for (const bool last_step : {false, true}) {
      const auto model = make_toy();
      const auto [name, tensor] = model->parameters()[k];
      INFO(name);
      nn::SGD optimizer(*model, {.rate = 0.001});
      fs::remove_all(out());
      const TrainerOptions options{
          .iterations = 3,
          .batch_size = 2,
          .checkpoint_every = 1,
          .out = out(),
          .loader_threads = 0,
          // Behind the checkpoint of step 1 the next save must refuse; without one, the next step.
          .on_step = [&, tensor = tensor](std::int64_t step, const DetectorLoss&) {
            Tensor weight = tensor;
            if (step == (last_step ? 3 : 2)) weight.data()[0] = kNan;
          }};
      std::string message;
      try {
        train(*model, optimizer, data, {}, {}, options);
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      CHECK_THAT(message, Catch::Contains(concat("checkpoint: model/", name, " holds nan")));
      CHECK(load_checkpoint(out())->iteration == (last_step ? 2 : 1));

      fs::remove_all(out());
      TrainerOptions unsaved = options;
      unsaved.checkpoint_every = 0;
      if (last_step) continue;
      message.clear();
      try {
        train(*model, optimizer, data, {}, {}, unsaved);
      } catch (const TrainingDiverged& error) {
        message = error.what();
      }
      // "backbone.stem.conv.weight": the layer, or the one above when it is fused with its norm.
      std::string layer = name.substr(0, name.find_last_of('.'));
      for (const char* fused : {"_batch_norm", "separable_batch_norm"})
        if (message.find(fused) != std::string::npos)
          layer = layer.substr(0, layer.find_last_of('.'));
      CHECK_THAT(message, Catch::Contains(concat("in module \"", layer)) &&
                              Catch::Contains("was not finite already") &&
                              Catch::Contains("Images of the batch: toy/"));
    }
  fs::remove_all(out());
}
