#include "layers/count.h"

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/autograd.h"

namespace boxgrad::nn {

std::int64_t op_multiply_adds(const OpObserver::Op& op) {
  const std::string_view name = op.name;
  std::int64_t per_output = 0;
  if (name == "conv2d" || name == "conv2d_batch_norm" || name == "linear") {
    const Tensor& weight = op.inputs.at(1);  // the output channels are its last axis
    per_output = weight.numel() / std::max<std::int64_t>(weight.size(-1), 1);
  } else if (name == "separable_batch_norm") {
    // Each position of the output takes every weight once.
    const Tensor &depthwise = op.inputs.at(1), &pointwise = op.inputs.at(2);
    return checked_mul(op.output.numel() / std::max<std::int64_t>(op.output.size(-1), 1),
                       depthwise.numel() + pointwise.numel(), "count_layers: multiply-adds");
  } else if (name == "matmul") {
    per_output = op.inputs.at(0).size(-1);
  }
  return checked_mul(op.output.numel(), per_output, "count_layers: multiply-adds");
}

namespace {

LayerCount& row_of(ModelCount& count, const std::string& path) {
  for (LayerCount& layer : count.layers)
    if (layer.path == path) return layer;
  count.layers.push_back({.path = path, .ops = "", .output = {}});
  return count.layers.back();
}

struct Watcher : OpObserver {
  ModelCount count;
  void after_forward(const Op& op) override {
    LayerCount& layer = row_of(count, op.module_path);
    if (!layer.ops.empty()) layer.ops += ", ";
    layer.ops += op.name;
    layer.output = op.output.shape();
    layer.multiply_adds += op_multiply_adds(op);
  }
};

/// 1234567 as "1,234,567".
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

}  // namespace

ModelCount count_layers(Module& model, const std::function<void()>& run) {
  ModelCount count;
  {
    const EvaluationMode evaluation(model);
    const NoGradGuard no_grad;
    Watcher watcher;
    run();
    count = std::move(watcher.count);
  }
  for (const auto& [name, parameter] : model.parameters()) {
    const std::size_t dot = name.rfind('.');
    row_of(count, dot == std::string::npos ? "" : name.substr(0, dot)).parameters +=
        parameter.numel();
  }
  for (const LayerCount& layer : count.layers) {
    count.parameters += layer.parameters;
    count.multiply_adds += layer.multiply_adds;
  }
  return count;
}

ModelCount count_layers(Module& model, const Shape& input) {
  // forward() and not the call: paths then start below the model, wherever it may be registered.
  return count_layers(model, [&] { model.forward(Tensor(input)); });
}

std::string ModelCount::table() const {
  std::vector<std::vector<std::string>> rows = {
      {"layer", "ops", "output", "parameters", "multiply-adds"}};
  for (const LayerCount& l : layers)
    rows.push_back({l.path.empty() ? "(model)" : l.path, l.ops,
                    l.output.rank() > 0 ? l.output.to_string() : "", grouped(l.parameters),
                    grouped(l.multiply_adds)});
  rows.push_back({"total", "", "", grouped(parameters), grouped(multiply_adds)});

  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::ostringstream text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      text << (i > 0 ? "  " : "") << (i < 3 ? std::left : std::right)
           << std::setw(static_cast<int>(widths[i])) << row[i];
    text << '\n';
  }
  return text.str();
}

}  // namespace boxgrad::nn
