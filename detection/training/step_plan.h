#pragma once

#include <cstdint>
#include <optional>

namespace boxgrad::detection {

/// How many steps of a training end, with the looks at the validation set that belong to it, when
/// its time is up:
///
///   steps = (time left - looks left * seconds of a look) / seconds of a step
///
/// The look behind the last step is one of them, and so are those that the caller takes when the
/// training has ended. Half of the time is for steps, whatever looks take. No clock: `elapsed` are
/// the seconds since the training began, looks included, and `last` the step of the last look, 0
/// before the first.
class StepPlan {
 public:
  /// seconds  that there are; not used when the number of steps is given
  /// looks    to be spread over the run, the last at its end; 0 when there is nothing to look at
  /// behind   further ones, for which time is kept; none without `looks`
  StepPlan(double seconds, std::int64_t looks, std::int64_t behind = 0)
      : seconds_(seconds), looks_(looks), behind_(behind) {}

  /// Whether there is a look behind step `step`, were there `total` of them, not counting the one
  /// at the end. `total` may have been another when the last look was.
  bool is_look(std::int64_t step, std::int64_t total, std::int64_t last) const;

  /// What a look will take. There are fewer when all would take more than half of the time.
  void expect_look(double look_seconds);
  /// The number of looks that are spread over the run now, and to go on with it: a run that was
  /// stopped cannot measure its beginning again.
  std::int64_t looks() const { return looks_; }
  void set_looks(std::int64_t looks) { looks_ = looks; }
  /// What a look took.
  void add_look(double look_seconds);
  /// What a step took in the beginning, up to `elapsed`.
  void set_pace(double step_seconds, double elapsed);

  /// The number of steps, behind step `step` (at least one more). Needs set_pace().
  std::int64_t total(std::int64_t step, std::int64_t last, double elapsed) const;

  /// Machines get slower when they are warm or shared: after every tenth of the time, up to the
  /// last, the number with the pace of that tenth, and behind a look with what that took; nothing
  /// in between.
  std::optional<std::int64_t> corrected(std::int64_t step, std::int64_t last, double elapsed);

 private:
  std::int64_t every(std::int64_t total) const { return (total + looks_ - 1) / looks_; }
  std::int64_t looks_until(std::int64_t total, std::int64_t step, std::int64_t last) const;

  double seconds_;
  std::int64_t looks_, behind_;
  double step_seconds_ = 0;
  double look_seconds_ = 0;    ///< of one
  double looked_seconds_ = 0;  ///< of all so far
  bool look_is_new_ = false;   ///< the number of steps does not know it yet
  double paced_seconds_ = 0;   ///< without looks, when the pace was found
  std::int64_t paced_step_ = 0;
};

}  // namespace boxgrad::detection
