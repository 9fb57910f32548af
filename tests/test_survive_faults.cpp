// A number that is not finite, put behind every op, forwards and backwards, and into every weight:
// what the trainer says of it (detection/training/trainer.h, core/nan_check.h).
#include <filesystem>
#include <functional>
#include <limits>
#include <set>

#include "core/autograd.h"
#include "core/parallel.h"
#include "detection/models/faster_rcnn.h"
#include "detection/models/fpn.h"
#include "detection/models/retinanet.h"
#include "detection/models/vgg16.h"
#include "detection/training/checkpoint.h"
#include "detection/training/trainer.h"
#include "layers/sgd.h"
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
