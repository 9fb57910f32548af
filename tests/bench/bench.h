#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "core/tensor.h"

/// What a benchmark is made of: items with a name, and how each is timed.
namespace boxgrad::bench {

/// The two things that are timed; `forward_backward` may be empty.
struct Work {
  std::function<void()> forward;
  std::function<void()> forward_backward;
};

/// `make` allocates the tensors, so that only items that run have any.
struct Item {
  std::string name;
  std::function<Work()> make;
};

/// The shortest of at least 3 runs (2 when a run takes more than 2.5 s) within `budget_s` seconds
/// (at most 200 runs), after one that is not counted; in milliseconds. The minimum, because
/// everything that disturbs a run makes it longer.
inline double best_ms(const std::function<void()>& run, double budget_s) {
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  run();
  double best = std::numeric_limits<double>::infinity();
  const auto start = Clock::now();
  for (int runs = 0; runs < 200; ++runs) {
    const auto begin = Clock::now();
    if (runs >= (best > 2500 && runs > 0 ? 2 : 3) &&
        Milliseconds(begin - start).count() > budget_s * 1e3)
      break;
    run();
    best = std::min(best, Milliseconds(Clock::now() - begin).count());
  }
  return best;
}

/// Times a differentiable layer: forward alone records nothing; forward + backward starts from
/// forgotten gradients and a given dy. `inputs` are x and the parameters; those that require a
/// gradient get one.
inline Work layer(std::vector<Tensor> inputs,
                  const std::function<Tensor(const std::vector<Tensor>&)>& f) {
  Tensor dy;
  {
    const NoGradGuard guard;
    dy = Tensor::randn(f(inputs).shape());
  }
  return {[=] {
            const NoGradGuard guard;
            f(inputs);
          },
          [=]() mutable {
            for (Tensor& input : inputs) input.zero_grad();
            f(inputs).backward(dy);
          }};
}

/// A normal random leaf that requires a gradient.
inline Tensor parameter(Shape shape) { return Tensor::randn(std::move(shape)).requires_grad_(); }

/// Prints one CSV line per item and number of threads as soon as it is measured.
inline void run_items(const std::vector<Item>& items, const std::vector<int>& threads,
                      double budget_s) {
  std::printf("name,threads,fwd_ms,fwdbwd_ms\n");
  for (const Item& item : items) {
    const Work work = item.make();
    for (const int count : threads) {
      set_num_threads(count);
      std::printf("%s,%d,%.3f,", item.name.c_str(), count, best_ms(work.forward, budget_s));
      if (work.forward_backward) std::printf("%.3f", best_ms(work.forward_backward, budget_s));
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

}  // namespace boxgrad::bench
