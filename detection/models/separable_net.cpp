#include "detection/models/separable_net.h"

#include <memory>

#include "core/check.h"
#include "detection/models/separable_block.h"
#include "layers/sequential.h"

namespace boxgrad::detection {

namespace {

std::string stage_name(std::size_t index) { return concat("stage", index + 1); }

std::vector<std::string> output_stages(const SeparableNetOptions& options) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < options.stages.size(); ++i)
    if (options.stages[i].output) names.push_back(stage_name(i));
  check(!names.empty(), "SeparableNet: at least one stage must be an output");
  return names;
}

}  // namespace

SeparableNet::SeparableNet(const SeparableNetOptions& options)
    : ChainBackbone("SeparableNet", output_stages(options)) {
  SeparableBlockOptions block;
  block.depthwise = options.normalize_depthwise ? nn::ConvTail::norm : nn::ConvTail::none;

  append("stem",
         nn::make_conv(options.in_channels, options.stem_channels, options.stem_kernel,
                       {.stride = options.stem_stride, .padding = (options.stem_kernel - 1) / 2},
                       nn::ConvTail::norm, block.norm),
         options.stem_channels);

  std::int64_t in = options.stem_channels;
  for (std::size_t i = 0; i < options.stages.size() && !complete(); ++i) {
    const SeparableStage& spec = options.stages[i];
    auto stage = std::make_shared<nn::Sequential>();
    for (int number = 0; number < spec.blocks; ++number) {
      block.stride = number == 0 ? spec.stride : 1;
      if (options.separable)
        stage->append(std::make_shared<SeparableBlock>(in, spec.channels, block));
      else
        stage->append(make_conv3x3(in, spec.channels, block.pointwise, block));
      in = spec.channels;
    }
    append(stage_name(i), stage, spec.channels);
  }
}

}  // namespace boxgrad::detection
