#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace boxgrad::nn {

/// The factor on the learning rate as a pure function of the iteration 0, 1, ...: nothing to
/// save in a checkpoint. Schedules multiply:
///
///   const Schedule schedule = warm_up(500) * multistep({8000, 10000});
///   optimizer.step(schedule(iteration));
class Schedule {
 public:
  explicit Schedule(std::function<double(std::int64_t)> factor) : factor_(std::move(factor)) {}
  /// Throws std::invalid_argument when iteration < 0.
  double operator()(std::int64_t iteration) const;
  friend Schedule operator*(const Schedule& a, const Schedule& b);

 private:
  std::function<double(std::int64_t)> factor_;
};

/// The same factor always.
Schedule constant(double factor = 1);

/// gamma^floor(iteration / size): Caffe's policy "step", torch's StepLR. Throws unless size > 0 and
/// gamma >= 0.
Schedule step(std::int64_t size, double gamma = 0.1);

/// gamma^(number of milestones <= iteration): Caffe's "multistep", torch's MultiStepLR. Throws
/// unless the milestones rise from 0 or more and gamma >= 0.
Schedule multistep(std::vector<std::int64_t> milestones, double gamma = 0.1);

/// From `start` in a straight line to 1 at `iterations` and 1 after: torch's LinearLR with
/// start_factor. Throws unless iterations >= 0 and start in [0, 1].
Schedule warm_up(std::int64_t iterations, double start = 1e-3);

/// warm_up() from .1, times multistep() by tens, in shares of the iterations: a recipe for trainings
/// of any length. A share is rounded down to whole iterations; the rise takes one more, or none if
/// `warm_up` is 0. Throws as the two do, and unless iterations >= 0.
Schedule warm_up_multistep(std::int64_t iterations, double warm_up,
                           const std::vector<double>& drops);

/// Half a cosine from 1 at `begin` (and before) to `floor` at `end` (and after):
/// floor + (1 - floor) (1 + cos(pi (iteration - begin) / (end - begin))) / 2.
/// torch's CosineAnnealingLR for begin = 0. Throws unless 0 <= begin < end and floor in [0, 1].
/// Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, eq. (5).
Schedule cosine(std::int64_t begin, std::int64_t end, double floor = 0);

}  // namespace boxgrad::nn
