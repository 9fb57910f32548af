#include "layers/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace boxgrad::nn {

double Schedule::operator()(std::int64_t iteration) const {
  check(iteration >= 0, "schedule: iteration must be >= 0, got ", iteration);
  return factor_(iteration);
}

Schedule operator*(const Schedule& a, const Schedule& b) {
  return Schedule([a, b](std::int64_t iteration) { return a(iteration) * b(iteration); });
}

Schedule constant(double factor) {
  check(std::isfinite(factor) && factor >= 0, "constant: factor must be >= 0, got ", factor);
  return Schedule([factor](std::int64_t) { return factor; });
}

Schedule step(std::int64_t size, double gamma) {
  check(size > 0, "step: size must be > 0, got ", size);
  check(std::isfinite(gamma) && gamma >= 0, "step: gamma must be >= 0, got ", gamma);
  return Schedule([=](std::int64_t iteration) {
    return std::pow(gamma, static_cast<double>(iteration / size));
  });
}

Schedule multistep(std::vector<std::int64_t> milestones, double gamma) {
  check(std::isfinite(gamma) && gamma >= 0, "multistep: gamma must be >= 0, got ", gamma);
  for (std::size_t i = 0; i < milestones.size(); ++i)
    check(milestones[i] >= 0 && (i == 0 || milestones[i] > milestones[i - 1]),
          "multistep: milestones must rise from 0 or more, got ", milestones[i], " at position ",
          i);
  return Schedule([=](std::int64_t iteration) {
    const auto passed = std::ranges::upper_bound(milestones, iteration) - milestones.begin();
    return std::pow(gamma, static_cast<double>(passed));
  });
}

Schedule warm_up(std::int64_t iterations, double start) {
  check(iterations >= 0, "warm_up: iterations must be >= 0, got ", iterations);
  check(start >= 0 && start <= 1, "warm_up: start must be in [0, 1], got ", start);
  return Schedule([=](std::int64_t iteration) {
    if (iteration >= iterations) return 1.0;
    return start + (1 - start) * static_cast<double>(iteration) / static_cast<double>(iterations);
  });
}

Schedule warm_up_multistep(std::int64_t iterations, double warm_up,
                           const std::vector<double>& drops) {
  check(iterations >= 0, "warm_up_multistep: iterations must be >= 0, got ", iterations);
  const auto whole = [&](double share) {
    return static_cast<std::int64_t>(share * static_cast<double>(iterations));
  };
  std::vector<std::int64_t> milestones;
  for (const double share : drops) milestones.push_back(whole(share));
  const Schedule dropping = multistep(std::move(milestones), 0.1);
  return warm_up > 0 ? nn::warm_up(whole(warm_up) + 1, 0.1) * dropping : dropping;
}

Schedule cosine(std::int64_t begin, std::int64_t end, double floor) {
  check(begin >= 0 && begin < end, "cosine: must have 0 <= begin < end, got ", begin, " and ", end);
  check(floor >= 0 && floor <= 1, "cosine: floor must be in [0, 1], got ", floor);
  return Schedule([=](std::int64_t iteration) {
    const double progress = static_cast<double>(std::clamp(iteration, begin, end) - begin) /
                            static_cast<double>(end - begin);
    return floor + (1 - floor) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  });
}

}  // namespace boxgrad::nn
