#include "detection/models/backbone.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.h"
#include "layers/batch_norm.h"

namespace boxgrad::detection {

ChainBackbone::ChainBackbone(const char* model, std::vector<std::string> outputs)
    : model_(model), wanted_(std::move(outputs)) {
  check(!wanted_.empty(), model_, ": at least one output must be asked for");
  std::ranges::sort(wanted_);
  const auto twice = std::ranges::adjacent_find(wanted_);
  check(twice == wanted_.end(), model_, ": output \"", twice == wanted_.end() ? "" : *twice,
        "\" is asked for twice");
}

bool ChainBackbone::is_output(const std::string& name) const {
  return std::ranges::binary_search(wanted_, name);
}

void ChainBackbone::append(const std::string& name, std::shared_ptr<nn::Module> layer,
                           std::int64_t channels) {
  add_module(name, std::move(layer));
  if (!is_output(name)) return;
  names_.push_back(name);
  channels_.push_back(channels);
}

void ChainBackbone::check_complete() const {
  for (const std::string& name : wanted_)
    check(std::ranges::find(names_, name) != names_.end(), model_, ": there is no layer \"", name,
          "\" among ", children().front().first, " to ", children().back().first);
}

std::vector<Tensor> ChainBackbone::maps(const Tensor& images) {
  std::vector<Tensor> outputs;
  Tensor x = images;
  for (const auto& [name, layer] : children()) {
    x = layer(x);
    if (is_output(name)) outputs.push_back(x);
  }
  return outputs;
}

void ChainBackbone::freeze_through(const std::string& layer) {
  check(find(layer) != nullptr && layer.find('.') == std::string::npos && !layer.empty(), model_,
        ": there is no layer \"", layer, "\" to freeze through");
  for (const auto& [name, child] : children()) {
    child.module().set_requires_grad(false);
    child.module().visit([](const std::string&, nn::Module& module) {
      if (auto* norm = dynamic_cast<nn::BatchNorm2d*>(&module)) norm->frozen = true;
    });
    if (name == layer) return;
  }
}

std::int64_t scaled_channels(std::int64_t channels, double width) {
  check(width > 0 && width <= 16, "scaled_channels: width must be in (0, 16], got ", width);
  return std::max<std::int64_t>(
      static_cast<std::int64_t>(std::floor(static_cast<double>(channels) * width)), 1);
}

}  // namespace boxgrad::detection
