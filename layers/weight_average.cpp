#include "layers/weight_average.h"

#include <algorithm>

#include "core/check.h"

namespace boxgrad::nn {

namespace {
StateDict copy(const StateDict& state) {
  StateDict result;
  for (const auto& [name, tensor] : state) result.emplace_back(name, tensor.clone());
  return result;
}
}  // namespace

WeightAverage::WeightAverage(Module& module, double decay) : module_(module), decay_(decay) {
  check(decay >= 0 && decay < 1, "WeightAverage: decay must be in [0, 1), got ", decay);
  if (decay_ > 0) average_ = copy(module.state_dict());
}

void WeightAverage::update(std::int64_t step) {
  if (decay_ == 0) return;
  const double t = static_cast<double>(step);
  const auto rate = static_cast<Scalar>(1 - std::min(decay_, (1 + t) / (10 + t)));
  const StateDict current = module_.state_dict();
  for (std::size_t k = 0; k < current.size(); ++k) {
    const auto w = current[k].second.data();
    const auto a = average_[k].second.data();
    for (std::size_t i = 0; i < w.size(); ++i) a[i] += rate * (w[i] - a[i]);
  }
}

void WeightAverage::swap() {
  if (decay_ == 0) return;
  StateDict current = copy(module_.state_dict());
  module_.load_state_dict(average_);
  average_ = std::move(current);
}

StateDict WeightAverage::state_dict() const { return copy(average_); }

void WeightAverage::load_state_dict(const StateDict& state) {
  check(state.size() == average_.size(), "WeightAverage: ", average_.size(),
        " tensors expected, got ", state.size());
  for (std::size_t k = 0; k < state.size(); ++k)
    check(state[k].first == average_[k].first &&
              state[k].second.shape() == average_[k].second.shape(),
          "WeightAverage: \"", average_[k].first, "\" ", average_[k].second.shape(),
          " expected, got \"", state[k].first, "\" ", state[k].second.shape());
  average_ = copy(state);
}

}  // namespace boxgrad::nn
