#include "detection/models/separable_net.h"

#include <memory>

#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/sequential.h"

namespace boxgrad::detection {

namespace {

using std::make_shared;

std::shared_ptr<nn::Module> make_block(std::int64_t in, std::int64_t out, std::int64_t stride,
                                       bool normalize_depthwise) {
  auto block = make_shared<nn::Sequential>();
  block->append(make_shared<nn::Conv2d>(
      in, in, 3, Conv2dOptions{.stride = stride, .padding = 1, .groups = in, .bias = false}));
  if (normalize_depthwise)
    block->append(
        make_shared<nn::BatchNorm2d>(in, BatchNormOptions{.activation = Activation::relu}));
  block->append(make_shared<nn::Conv2d>(in, out, 1, Conv2dOptions{.bias = false}));
  block->append(
      make_shared<nn::BatchNorm2d>(out, BatchNormOptions{.activation = Activation::relu}));
  return block;
}

}  // namespace

SeparableNet::SeparableNet(const SeparableNetOptions& options) {
  auto stem = make_shared<nn::Sequential>();
  stem->append(make_shared<nn::Conv2d>(
      3, options.stem_channels, options.stem_kernel,
      Conv2dOptions{
          .stride = options.stem_stride, .padding = (options.stem_kernel - 1) / 2, .bias = false}));
  stem->append(make_shared<nn::BatchNorm2d>(options.stem_channels,
                                            BatchNormOptions{.activation = Activation::relu}));
  stem_ = add_module("stem", stem);

  std::int64_t in = options.stem_channels;
  for (const SeparableStage& spec : options.stages) {
    auto stage = make_shared<nn::Sequential>();
    for (int block = 0; block < spec.blocks; ++block) {
      stage->append(
          make_block(in, spec.channels, block == 0 ? spec.stride : 1, options.normalize_depthwise));
      in = spec.channels;
    }
    stages_.push_back(add_module(concat("stage", stages_.size() + 1), stage));
    output_.push_back(spec.output);
    if (spec.output) channels_.push_back(spec.channels);
  }
  check(!channels_.empty(), "SeparableNet: at least one stage must be an output");
}

std::vector<Tensor> SeparableNet::maps(const Tensor& images) {
  std::vector<Tensor> outputs;
  Tensor x = stem_(images);
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    x = stages_[i](x);
    if (output_[i]) outputs.push_back(x);
  }
  return outputs;
}

}  // namespace boxgrad::detection
