#include "layers/svd_linear.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <span>

#include "core/autograd.h"
#include "core/check.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "layers/path_pattern.h"

namespace boxgrad::nn {

namespace {

/// Whether truncated_svd() is worth its small inaccuracy: see compress.
bool needs_only_first_values(const Tensor& weight, std::int64_t t) {
  return t > 0 && t <= std::min(weight.size(0), weight.size(1)) / 4 && weight.numel() >= 1 << 22;
}

template <class Values>
double sum_of_squares(const Values& values) {
  double sum = 0;
  for (const Scalar value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

}  // namespace

SVDLinear::SVDLinear(const Linear& layer, const Svd& svd, std::int64_t t)
    : activation(layer.options.activation) {
  const std::int64_t in = layer.weight.size(0), out = layer.weight.size(1);
  const std::int64_t known = static_cast<std::int64_t>(svd.s.size());
  check(svd.u.shape() == Shape{in, known} && svd.vt.shape() == Shape{known, out},
        "SVDLinear: the decomposition must be of a weight ", layer.weight.shape(), ", got u ",
        svd.u.shape(), " and vt ", svd.vt.shape());
  check(t >= 1 && t <= known, "SVDLinear: t must be from 1 to ", known, ", got ", t);
  // weight = W^T = V S U^T: the decomposition's u is V, its vt is U^T.
  v = Tensor::empty({in, t});
  for (std::int64_t i = 0; i < in; ++i)
    for (std::int64_t k = 0; k < t; ++k)
      v.data()[static_cast<std::size_t>(i * t + k)] =
          svd.u.data()[static_cast<std::size_t>(i * known + k)] *
          svd.s[static_cast<std::size_t>(k)];
  u = Tensor::empty({t, out});
  std::copy_n(svd.vt.data().begin(), t * out, u.data().begin());
  // A frozen layer stays frozen: add_parameter() asks for a gradient.
  add_parameter("v", v).requires_grad_(layer.weight.requires_grad());
  add_parameter("u", u).requires_grad_(layer.weight.requires_grad());
  if (layer.bias.defined()) {
    bias = add_parameter("bias", layer.bias.clone());
    bias.requires_grad_(layer.bias.requires_grad());
  }
}

Tensor SVDLinear::forward(const Tensor& x) { return linear(linear(x, v), u, bias, activation); }

std::int64_t rank_for_energy(const std::vector<Scalar>& s, double energy) {
  check(!s.empty(), "rank_for_energy: no singular values");
  check(energy > 0 && energy <= 1, "rank_for_energy: energy must be in (0, 1], got ", energy);
  const double all = sum_of_squares(s);
  double kept = 0;
  for (std::size_t t = 0; t < s.size(); ++t) {
    kept += static_cast<double>(s[t]) * static_cast<double>(s[t]);
    if (kept >= energy * all) return static_cast<std::int64_t>(t) + 1;
  }
  return static_cast<std::int64_t>(s.size());  // rounding left the sum just below
}

std::int64_t largest_saving_rank(std::int64_t in, std::int64_t out) {
  return (in * out - 1) / (in + out);
}

namespace {

/// The shortest of three runs.
template <class Work>
double shortest_ms(const Work& work) {
  double shortest = seconds_of(work);
  for (int i = 0; i < 2; ++i) shortest = std::min(shortest, seconds_of(work));
  return 1e3 * shortest;
}

void measure(const Linear& before, SVDLinear& after, std::int64_t rows, CompressedLayer& row) {
  const NoGradGuard guard;
  Random random(0);  // of its own: training must not depend on whether something was measured
  const Tensor x = Tensor::randn({rows, row.in}, random);
  Tensor y, thin;
  row.ms_before = shortest_ms([&] { y = linear(x, before.weight, before.bias); });
  row.ms_after = shortest_ms([&] { thin = linear(linear(x, after.v), after.u, after.bias); });
  const double all = sum_of_squares(y.data());
  for (std::size_t i = 0; i < y.data().size(); ++i) thin.data()[i] -= y.data()[i];
  row.output_change = all > 0 ? std::sqrt(sum_of_squares(thin.data()) / all) : 0;
}

}  // namespace

double CompressedLayer::error() const { return std::sqrt(std::max(0., 1 - energy)); }

std::vector<CompressedLayer> compress(Module& model, const CompressOptions& options) {
  check(options.rows >= 0, "compress: rows must be >= 0, got ", options.rows);
  check((options.t > 0) != (options.energy > 0) && options.t >= 0 && options.energy >= 0 &&
            options.energy <= 1,
        "compress: needs either t >= 1 or energy in (0, 1], got t ", options.t, " and energy ",
        options.energy);
  std::vector<std::string> paths;
  std::vector<const Linear*> layers;
  model.visit([&](const std::string& path, Module& module) {
    const auto* layer = dynamic_cast<const Linear*>(&module);
    if (layer == nullptr || std::ranges::count(layers, layer) > 0) return;
    paths.push_back(path);
    layers.push_back(layer);
  });
  const std::vector<bool> matches = match_paths(options.layers, paths);
  check(std::ranges::count(matches, true) > 0, "compress: no Linear's path matches \"",
        options.layers, "\"; the model has ", paths.size(), " of them",
        paths.empty() ? "" : ", the first is \"" + paths[0] + "\"");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const std::int64_t most =
        largest_saving_rank(layers[i]->weight.size(0), layers[i]->weight.size(1));
    check(!matches[i] || options.t <= most, "compress: \"", paths[i], "\" of shape ",
          layers[i]->weight.shape(), " becomes smaller for t up to ", most, ", got ", options.t);
  }

  std::vector<CompressedLayer> report;
  std::map<const Module*, std::shared_ptr<Module>> thin;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!matches[i]) continue;
    const Linear& layer = *layers[i];
    const Stopwatch watch;
    const bool first_values = needs_only_first_values(layer.weight, options.t);
    const Svd decomposition =
        first_values ? truncated_svd(layer.weight, options.t) : svd(layer.weight);
    const double seconds = watch.seconds();
    CompressedLayer row{.path = paths[i], .in = layer.weight.size(0), .out = layer.weight.size(1)};
    row.t = options.t > 0 ? options.t : rank_for_energy(decomposition.s, options.energy);
    if (row.t > largest_saving_rank(row.in, row.out)) continue;
    const double kept = sum_of_squares(std::span(decomposition.s).first(std::size_t(row.t)));
    // The squares of all singular values are those of the weight.
    const double all =
        first_values ? sum_of_squares(layer.weight.data()) : sum_of_squares(decomposition.s);
    row.energy = all > 0 ? kept / all : 1;
    row.parameters_before = layer.parameter_count();
    row.seconds = seconds;
    const auto instead = std::make_shared<SVDLinear>(layer, decomposition, row.t);
    row.parameters_after = instead->parameter_count();
    if (options.rows > 0) measure(layer, *instead, options.rows, row);
    thin[&layer] = instead;
    report.push_back(row);
  }
  model.replace_each([&](Module& module) {
    const auto found = thin.find(&module);
    return found == thin.end() ? nullptr : found->second;
  });
  return report;
}

std::string to_table(const std::vector<CompressedLayer>& layers) {
  std::string text =
      "layer                    in    out     t  energy   error   parameters        after       ms"
      "    after  outputs by\n";
  char line[200];
  for (const CompressedLayer& l : layers) {
    std::snprintf(
        line, sizeof line, "%-20s %6lld %6lld %5lld %7.4f %7.4f %12lld %12lld %8.3f %8.3f %11.4f\n",
        l.path.c_str(), static_cast<long long>(l.in), static_cast<long long>(l.out),
        static_cast<long long>(l.t), l.energy, l.error(),
        static_cast<long long>(l.parameters_before), static_cast<long long>(l.parameters_after),
        l.ms_before, l.ms_after, l.output_change);
    text += line;
  }
  return text;
}

}  // namespace boxgrad::nn
