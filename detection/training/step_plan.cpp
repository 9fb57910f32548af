#include "detection/training/step_plan.h"

#include <algorithm>

namespace boxgrad::detection {

bool StepPlan::is_look(std::int64_t step, std::int64_t total, std::int64_t last) const {
  return looks_ > 0 && step < total && step - last >= every(total);
}

/// Those at the end and behind it included.
std::int64_t StepPlan::looks_until(std::int64_t total, std::int64_t step, std::int64_t last) const {
  if (looks_ == 0) return 0;
  std::int64_t looks = 1 + behind_;
  for (std::int64_t at = std::max(last + every(total), step + 1); at < total; at += every(total))
    ++looks;
  return looks;
}

void StepPlan::expect_look(double look_seconds) {
  look_seconds_ = look_seconds;
  const double fitting = seconds_ / 2 / std::max(look_seconds, 1e-9);
  if (fitting < static_cast<double>(looks_ + behind_))
    looks_ = std::max<std::int64_t>(1, static_cast<std::int64_t>(fitting) - behind_);
}

void StepPlan::add_look(double look_seconds) {
  look_seconds_ = look_seconds;
  looked_seconds_ += look_seconds;
  look_is_new_ = true;
}

void StepPlan::set_pace(double step_seconds, double elapsed) {
  step_seconds_ = step_seconds;
  paced_seconds_ = elapsed - looked_seconds_;
}

std::int64_t StepPlan::total(std::int64_t step, std::int64_t last, double elapsed) const {
  const double left = seconds_ - elapsed;
  const double least = seconds_ / 2 - (elapsed - looked_seconds_);
  // More steps may mean another look, which leaves time for fewer: the most that is paid for.
  for (std::int64_t looks = looks_ > 0 ? 1 : 0;; ++looks) {
    const double time = std::max(left - static_cast<double>(looks) * look_seconds_, least);
    const std::int64_t result =
        step + std::max<std::int64_t>(1, static_cast<std::int64_t>(time / step_seconds_));
    if (time <= least || looks_until(result, step, last) <= looks) return result;
  }
}

std::optional<std::int64_t> StepPlan::corrected(std::int64_t step, std::int64_t last,
                                                double elapsed) {
  if (elapsed > seconds_ * 19 / 20) return {};
  const double now = elapsed - looked_seconds_;
  const bool tenth = now - paced_seconds_ >= seconds_ / 10 && step > paced_step_;
  if (!tenth && !look_is_new_) return {};
  look_is_new_ = false;
  if (tenth) {
    step_seconds_ = (now - paced_seconds_) / static_cast<double>(step - paced_step_);
    paced_seconds_ = now;
    paced_step_ = step;
  }
  return total(step, last, elapsed);
}

}  // namespace boxgrad::detection
