#include "layers/optimizer.h"

#include <cmath>
#include <map>
#include <set>

#include "core/autograd.h"
#include "core/check.h"
#include "layers/kernels/ordered_sum.h"
#include "layers/path_pattern.h"

namespace boxgrad::nn {

namespace {

constexpr int kAllGroups = -2;

bool moves(const Tensor& parameter) { return parameter.requires_grad() && parameter.has_grad(); }

}  // namespace

Optimizer::Optimizer(std::string name, const StateDict& parameters, double rate, int accumulate,
                     std::vector<ParameterGroup> groups, std::vector<std::string> kinds)
    : name_(std::move(name)),
      rate_(rate),
      accumulate_(accumulate),
      groups_(std::move(groups)),
      kinds_(std::move(kinds)) {
  check(std::isfinite(rate) && rate >= 0, name_, ": rate must be >= 0 and finite, got ", rate);
  check(accumulate >= 1, name_, ": accumulate must be >= 1, got ", accumulate);
  check(!parameters.empty(), name_, ": there is no parameter to learn");
  std::set<std::string> paths;
  std::vector<std::string> path_list;
  for (const auto& [path, parameter] : parameters) {
    check(paths.insert(path).second, name_, ": two parameters are named \"", path, "\"");
    path_list.push_back(path);
    slots_.push_back({path, parameter, -1, {}});
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto& [pattern, group_rate, decay, max_norm] = groups_[g];
    check(std::isfinite(group_rate) && group_rate >= 0 && std::isfinite(decay) && decay >= 0 &&
              std::isfinite(max_norm) && max_norm >= 0,
          name_, ": the multipliers of group \"", pattern, "\" must be >= 0 and finite, got rate ",
          group_rate, ", decay ", decay, ", max_norm ", max_norm);
    const std::vector<bool> matches = match_paths(pattern, path_list);
    bool matched = false;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (!matches[i]) continue;
      matched = true;
      if (slots_[i].group == -1) slots_[i].group = static_cast<int>(g);
    }
    // A pattern with a typo would otherwise train with other rates than its author believes.
    check(matched, name_, ": no parameter's path matches \"", pattern, "\"; the first path is \"",
          slots_[0].path, "\"");
  }
}

void Optimizer::step(double rate_factor) {
  check(std::isfinite(rate_factor) && rate_factor >= 0, name_,
        ": the rate factor must be >= 0 and finite, got ", rate_factor);
  if (++accumulated_ < accumulate_) return;
  const WorkScope work("optimizer step");
  accumulated_ = 0;
  ++steps_;

  const double average = 1.0 / accumulate_;
  std::vector<double> clip(groups_.size(), 1);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const double max_norm = groups_[g].max_norm;
    if (max_norm == 0) continue;
    const double norm = gradient_norm(static_cast<int>(g)) * average;
    if (std::isfinite(norm) && norm > max_norm) clip[g] = max_norm / norm;
  }
  for (Slot& slot : slots_) {
    if (!slot.parameter.requires_grad()) slot.state.clear();
    if (!moves(slot.parameter)) continue;
    if (slot.state.empty()) slot.state = initial_state(slot.parameter);
    Factors factors{rate_ * rate_factor, 1, average};
    if (slot.group >= 0) {
      const auto g = static_cast<std::size_t>(slot.group);
      factors.rate *= groups_[g].rate;
      factors.decay = groups_[g].decay;
      factors.gradient *= clip[g];
    }
    update(slot, factors);
  }
}

void Optimizer::zero_grad() {
  if (accumulated_ > 0) return;
  for (Slot& slot : slots_) slot.parameter.zero_grad();
}

double Optimizer::gradient_norm(int group) const {
  double sum = 0;
  for (const Slot& slot : slots_) {
    if (!moves(slot.parameter) || (group != kAllGroups && slot.group != group)) continue;
    const Tensor gradient = slot.parameter.grad();
    const Scalar* g = gradient.data().data();
    sum += kernels::ordered_sum(gradient.numel(), [g](std::size_t i) {
      return static_cast<double>(g[i]) * static_cast<double>(g[i]);
    });
  }
  return std::sqrt(sum);
}

double Optimizer::clip_gradients(double max_norm) {
  check(max_norm > 0, name_, ": max_norm must be > 0, got ", max_norm);
  const double norm = gradient_norm(kAllGroups) / accumulate_;
  if (accumulated_ + 1 < accumulate_ || !std::isfinite(norm) || norm <= max_norm) return norm;
  const Scalar factor = static_cast<Scalar>(max_norm / norm);
  for (const Slot& slot : slots_) {
    if (!moves(slot.parameter)) continue;
    Tensor gradient = slot.parameter.grad();
    Scalar* g = gradient.data().data();
    parallel_for(gradient.numel(), kElementwiseGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) g[i] *= factor;
    });
  }
  return norm;
}

StateDict Optimizer::state_dict() const {
  StateDict result = {
      {"steps", Tensor({2}, {static_cast<Scalar>(steps_), static_cast<Scalar>(accumulated_)})}};
  for (const Slot& slot : slots_) {
    for (std::size_t k = 0; k < slot.state.size(); ++k)
      result.emplace_back(slot.path + "." + kinds_[k], slot.state[k].clone());
    if (accumulated_ > 0 && moves(slot.parameter))
      result.emplace_back(slot.path + ".gradient", slot.parameter.grad().clone());
  }
  return result;
}

void Optimizer::load_state_dict(const StateDict& state) {
  std::map<std::string, Tensor> entries(state.begin(), state.end());
  check(entries.size() == state.size(), name_, ": two entries of the state have the same name");
  const auto take = [&](const std::string& name, const Shape& shape) {
    const auto found = entries.find(name);
    if (found == entries.end()) return Tensor();
    check(found->second.shape() == shape, name_, ": \"", name, "\" must have shape ", shape,
          ", got ", found->second.shape());
    Tensor value = found->second.clone();
    entries.erase(found);
    return value;
  };

  const Tensor counts = take("steps", {2});
  check(counts.defined(), name_, ": the state has no entry \"steps\"");
  const Scalar steps = counts.data()[0], accumulated = counts.data()[1];
  check(steps >= 0 && steps < 0x1p53 && steps == std::floor(steps) && accumulated >= 0 &&
            accumulated < static_cast<Scalar>(accumulate_) &&
            accumulated == std::floor(accumulated),
        name_, ": \"steps\" must hold two counts, the second below ", accumulate_, ", got ", steps,
        " and ", accumulated);
  std::vector<std::vector<Tensor>> states(slots_.size());
  std::vector<Tensor> gradients(slots_.size());
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    const Slot& slot = slots_[s];
    const std::vector<Tensor> expected = initial_state(slot.parameter);
    for (std::size_t k = 0; k < kinds_.size(); ++k) {
      Tensor value = take(slot.path + "." + kinds_[k], expected[k].shape());
      check(k == 0 || value.defined() == !states[s].empty(), name_, ": the state of \"", slot.path,
            "\" is not complete at \"", kinds_[k], "\"");
      if (value.defined()) states[s].push_back(value);
    }
    if (accumulated > 0) gradients[s] = take(slot.path + ".gradient", slot.parameter.shape());
    check(!gradients[s].defined() || slot.parameter.requires_grad(), name_,
          ": the state has a gradient of \"", slot.path, "\", which is frozen");
  }
  check(entries.empty(), name_, ": the state's entry \"",
        entries.empty() ? "" : entries.begin()->first, "\" does not belong here");

  steps_ = static_cast<std::int64_t>(steps);
  accumulated_ = static_cast<int>(accumulated);
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    slots_[s].state = std::move(states[s]);
    slots_[s].parameter.zero_grad();
    if (gradients[s].defined()) slots_[s].parameter.grad_slot()->add(gradients[s]);
  }
}

}  // namespace boxgrad::nn
