#include "detection/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <utility>

#include "core/autograd.h"
#include "core/files.h"
#include "core/memory.h"
#include "core/nan_check.h"
#include "core/progress.h"
#include "detection/evaluation.h"
#include "detection/training/checkpoint.h"
#include "detection/training/loader.h"
#include "detection/training/step_plan.h"
#include "layers/weight_average.h"

namespace boxgrad::detection {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// While it lives, Ctrl-C only asks; a second one ends the program as usual.
class InterruptGuard {
 public:
  InterruptGuard() {
    requested_ = 0;
    before_ = std::signal(SIGINT, [](int) {
      requested_ = 1;
      std::signal(SIGINT, SIG_DFL);
    });
  }
  ~InterruptGuard() { std::signal(SIGINT, before_); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  bool requested() const { return requested_ != 0; }

 private:
  static inline volatile std::sig_atomic_t requested_ = 0;
  void (*before_)(int);
};

void add_prefixed(nn::StateDict& to, const std::string& prefix, const nn::StateDict& from) {
  for (const auto& [name, tensor] : from) to.emplace_back(prefix + name, tensor);
}

nn::StateDict with_prefix(const nn::StateDict& from, const std::string& prefix) {
  nn::StateDict result;
  for (const auto& [name, tensor] : from)
    if (name.starts_with(prefix)) result.emplace_back(name.substr(prefix.size()), tensor);
  return result;
}

std::string short_number(double value) {
  std::ostringstream text;
  text << std::setprecision(3) << value;
  return text.str();
}

/// What is left of the minutes for train(), half of them at least, in seconds.
double time_allowed(const TrainerOptions& options) {
  return 60 * options.minutes - std::min(options.seconds_spent, 30 * options.minutes);
}

/// One training from its first step, or from a checkpoint, to its end.
class Run {
 public:
  Run(Detector& detector, nn::Optimizer& optimizer, const Dataset& dataset,
      const Transform& augmentation, const Preparation& preparation, const TrainerOptions& options,
      const Dataset* validation)
      : detector_(detector),
        optimizer_(optimizer),
        dataset_(dataset),
        preparation_(preparation),
        options_(options),
        validation_(validation),
        average_(detector, options.average_decay),
        plan_(time_allowed(options), validation == nullptr ? 0 : options.validations,
              options.validations_behind),
        total_(options.iterations) {
    check(options.batch_size >= 1, "train: batch_size must be >= 1, got ", options.batch_size);
    check(options.iterations >= 1 || options.minutes > 0, "train: iterations must be >= 1, got ",
          options.iterations);
    check(options.log_every >= 1, "train: log_every must be >= 1, got ", options.log_every);
    check(options.validations >= 1, "train: validations must be >= 1, got ", options.validations);
    check(!options.resume || !options.out.empty(), "train: resume needs the folder of the run");
    std::vector<Transform> steps;
    if (augmentation) steps.push_back(augmentation);
    if (preparation.resize) steps.push_back(preparation.resize);
    if (!steps.empty()) transform_ = chain(std::move(steps));
  }

  TrainingSummary run() {
    begun_ = Clock::now();
    release_free_memory();  // of whatever was before
    if (options_.resume) restore();
    detector_.train();
    const InterruptGuard interrupt;
    if (options_.minutes > 0 && !fixed_) measure();
    Loader loader = make_loader();
    nn::Schedule schedule = options_.schedule ? options_.schedule(total_) : nn::constant();
    Progress progress("training", total_);
    resume_clock();
    saved_ = Clock::now();
    while (iteration_ < total_ && !interrupt.requested()) {
      if (correct_total()) {
        if (options_.schedule) schedule = options_.schedule(total_);
        progress.set_total(total_);
      }
      const DetectorLoss loss = step(loader.next(), schedule);
      if (options_.on_step) options_.on_step(iteration_, loss);
      progress.update(
          iteration_,
          concat("loss ", short_number(log_.steps.empty() ? last_loss_ : log_.steps.back().loss)));
      const auto due = [&](std::int64_t every) {
        return every > 0 && iteration_ % every == 0 && iteration_ < total_;
      };
      if (due(options_.log_every) || iteration_ == total_) record(schedule);
      if (plan_.is_look(iteration_, total_, last_look())) {
        validate(options_.validation_images);
        progress.line(describe_last());
      }
      if (due(options_.checkpoint_every) || (iteration_ < total_ && checkpoint_is_late())) save();
    }
    pause_clock();
    const bool interrupted = iteration_ < total_;
    if (!interrupted && validation_ != nullptr &&
        (log_.validations.empty() || log_.validations.back().iteration != iteration_))
      validate(options_.validation_images);
    save();
    progress.clear();
    if (!interrupted) average_.swap();
    return {log_, iteration_, total_, seconds_, interrupted};
  }

 private:
  Loader make_loader() const {
    return Loader(dataset_, {.batch_size = static_cast<int>(options_.batch_size),
                             .seed = options_.seed,
                             .start_iteration = iteration_,
                             .threads = options_.loader_threads,
                             .transform = transform_,
                             .batch = preparation_.batch});
  }

  // --- one step -------------------------------------------------------------------------------

  DetectorLoss step(const Batch& batch, const nn::Schedule& schedule) {
    const Random before = default_random();
    // What is sampled in step i is a function of (seed, i): nothing to save.
    const Random sampling(options_.seed ^ 0x73616d706c65, static_cast<std::uint64_t>(iteration_));
    optimizer_.zero_grad();
    Random random = sampling;
    DetectorLoss loss;
    try {
      loss = detector_.loss(batch, random);
      last_loss_ = static_cast<double>(loss.total.item());
      if (std::isfinite(last_loss_) && loss.total.requires_grad()) loss.total.backward();
    } catch (const std::invalid_argument&) {
      // A number that is not finite may be refused on its way (a region proposal made of NaN)
      // before it gets to the loss.
      explain(batch, before, sampling, "a value", true);
      throw;
    }
    if (!std::isfinite(last_loss_)) explain(batch, before, sampling, "the loss");
    const double norm =
        optimizer_.clip_gradients(options_.clip_norm > 0 ? options_.clip_norm : HUGE_VAL);
    if (!std::isfinite(norm)) explain(batch, before, sampling, "a gradient");
    optimizer_.step(schedule(iteration_));
    ++iteration_;
    average_.update(iteration_);

    TrainingRecord& sums = log_.pending;
    sums.loss += last_loss_;
    if (sums.parts.empty())
      for (const auto& [name, value] : loss.parts) sums.parts.emplace_back(name, 0.0);
    for (std::size_t k = 0; k < sums.parts.size(); ++k)
      sums.parts[k].second += loss.parts[k].second;
    sums.positives += static_cast<double>(loss.positives);
    sums.images += static_cast<double>(batch.size());
    return loss;
  }

  /// Repeats a step that went wrong, with the same random numbers and every op watched. Returns
  /// when the step was refused for another reason than a number that is not finite.
  void explain(const Batch& batch, const Random& before, Random sampling, const std::string& what,
               bool refused = false) {
    std::string images;
    for (const BatchImage& image : batch.infos) images += (images.empty() ? "" : ", ") + image.name;
    std::string cause = "repeating the step did not show it again";
    try {
      default_random() = before;
      optimizer_.zero_grad();
      const NonFiniteCheck check;
      const DetectorLoss loss = detector_.loss(batch, sampling);
      loss.total.backward();
      if (refused) return;
    } catch (const NonFiniteError& error) {
      cause = error.what();
    } catch (const std::invalid_argument&) {
      if (refused) return;
    }
    throw TrainingDiverged(
        concat("training stopped in step ", iteration_ + 1, ": ", what, " is not finite: ", cause,
               ". Images of the batch: ", images,
               ". No checkpoint was written of this step; a lower learning rate "
               "or clipped gradients may help, or one of the images is at fault"));
  }

  // --- time -----------------------------------------------------------------------------------

  void resume_clock() { resumed_ = Clock::now(); }
  void pause_clock() {
    if (resumed_) seconds_ += seconds_since(*resumed_);
    resumed_.reset();
  }
  double seconds() const { return seconds_ + (resumed_ ? seconds_since(*resumed_) : 0); }

  /// Estimates the number of steps that fit into the time: times some steps, the making of their
  /// images included, and puts everything back, so that the run is the same as with that number
  /// given.
  void measure() {
    constexpr int kWarmUp = 4, kTimed = 16;
    nn::StateDict model;
    for (const auto& [name, tensor] : detector_.state_dict())
      model.emplace_back(name, tensor.clone());
    const nn::StateDict optimizer = optimizer_.state_dict(), average = average_.state_dict();
    const Random random = default_random();

    Loader loader = make_loader();
    const nn::Schedule still = nn::constant(0);
    Clock::time_point start;
    for (int i = 0; i < kWarmUp + kTimed; ++i) {
      if (i == kWarmUp) start = Clock::now();
      step(loader.next(), still);
    }
    const double step_seconds = seconds_since(start) / kTimed;
    if (validation_ != nullptr) measure_look();

    detector_.load_state_dict(model);
    optimizer_.load_state_dict(optimizer);
    if (options_.average_decay > 0) average_.load_state_dict(average);
    default_random() = random;
    log_ = {};  // these steps are nobody's loss
    iteration_ = 0;
    plan_.set_pace(step_seconds, seconds_since(begun_));
    total_ = plan_.total(0, 0, seconds_since(begun_));
  }

  /// Estimates what a look takes by some of its images.
  void measure_look() {
    std::int64_t images = validation_->size();
    if (options_.validation_images >= 0) images = std::min(images, options_.validation_images);
    const std::int64_t some = std::min(images, 2 * options_.validation_batch);
    if (some < 1) return;
    const Clock::time_point start = Clock::now();
    detect_all(detector_, *validation_, preparation_, some, options_.validation_batch);
    plan_.expect_look(seconds_since(start) * static_cast<double>(images) /
                      static_cast<double>(some));
    release_free_memory();
  }

  /// Whether the number of steps is another now.
  bool correct_total() {
    if (options_.minutes <= 0 || fixed_) return false;
    const auto total = plan_.corrected(iteration_, last_look(), seconds_since(begun_));
    return total && std::exchange(total_, *total) != *total;
  }

  std::int64_t last_look() const {
    return log_.validations.empty() ? 0 : log_.validations.back().iteration;
  }

  // --- what is written down -------------------------------------------------------------------

  /// Turns the sums since the last record into means.
  void record(const nn::Schedule& schedule) {
    const TrainingRecord& sums = log_.pending;
    const double steps = static_cast<double>(iteration_ - sums.iteration);
    TrainingRecord r;
    r.iteration = iteration_;
    r.seconds = seconds();
    r.loss = sums.loss / steps;
    for (const auto& [name, value] : sums.parts) r.parts.emplace_back(name, value / steps);
    r.rate = optimizer_.rate() * schedule(iteration_ - 1);
    r.images = sums.images / std::max(r.seconds - sums.seconds, 1e-9);
    r.positives = sums.positives / sums.images;
    log_.pending = {.iteration = r.iteration, .seconds = r.seconds};
    log_.steps.push_back(std::move(r));
  }

  void validate(std::int64_t images) {
    if (validation_ == nullptr) return;
    const Clock::time_point start = Clock::now();
    const bool running = resumed_.has_value();
    pause_clock();
    average_.swap();
    release_free_memory();  // of the steps
    const Answers answers =
        detect_all(detector_, *validation_, preparation_, images, options_.validation_batch);
    release_free_memory();
    const EvaluationResult result =
        evaluate_detections(answers.detections, answers.targets,
                            static_cast<std::int64_t>(validation_->class_names().size()));
    log_.validations.push_back(
        {iteration_, seconds_, result.mean_ap.value_or(0), result.class_agnostic.ap.value_or(0)});
    if (options_.on_validation) options_.on_validation(log_.validations.back());
    average_.swap();
    plan_.add_look(seconds_since(start));
    if (running) resume_clock();
  }

  /// What people want to see of the last look: "step 1200 of 7600: AP50 0.5, ...".
  std::string describe_last() const {
    const ValidationRecord& v = log_.validations.back();
    std::string text = concat("step ", v.iteration, " of ", total_, ": AP50 ", short_number(v.ap50),
                              ", any class ", short_number(v.ap50_class_agnostic));
    if (log_.steps.empty()) return text;
    const TrainingRecord& r = log_.steps.back();
    text += "; loss " + short_number(r.loss);
    for (const auto& [name, value] : r.parts) text += concat(", ", name, " ", short_number(value));
    return text +
           concat("; rate ", short_number(r.rate), "; ", short_number(r.images), " images/s");
  }

  bool checkpoint_is_late() const {
    return options_.checkpoint_seconds > 0 && seconds_since(saved_) >= options_.checkpoint_seconds;
  }

  void save() {
    if (options_.out.empty()) return;
    const bool running = resumed_.has_value();
    pause_clock();
    Checkpoint c;
    c.iteration = iteration_;
    c.total_iterations = total_;
    if (validation_ != nullptr) c.looks = plan_.looks();
    c.seconds = seconds_;
    c.random = default_random();
    c.config = options_.config;
    c.log = log_;
    add_prefixed(c.tensors, "model/", detector_.state_dict());
    add_prefixed(c.tensors, "optimizer/", optimizer_.state_dict());
    add_prefixed(c.tensors, "average/", average_.state_dict());
    save_checkpoint(options_.out, c);
    write_file_atomically(options_.out / "log.csv", log_.to_csv());
    write_file_atomically(options_.out / "log.jsonl", log_.to_json_lines());
    saved_ = Clock::now();
    if (running) resume_clock();
  }

  void restore() {
    std::string warning;
    const std::optional<Checkpoint> c = load_checkpoint(options_.out, &warning);
    check(c.has_value(), "train: there is no checkpoint to resume in ", options_.out.string());
    if (!warning.empty()) std::cerr << "warning: " << warning << '\n';
    check(c->config == options_.config, "train: ", options_.out.string(),
          " was made with other settings: ", config_differences(c->config, options_.config));
    check(c->iteration < c->total_iterations, "train: the run in ", options_.out.string(),
          " has finished its ", c->total_iterations, " steps; there is nothing to resume");
    detector_.load_state_dict(with_prefix(c->tensors, "model/"));
    optimizer_.load_state_dict(with_prefix(c->tensors, "optimizer/"));
    if (options_.average_decay > 0) average_.load_state_dict(with_prefix(c->tensors, "average/"));
    iteration_ = c->iteration;
    total_ = c->total_iterations;
    if (c->looks && validation_ != nullptr) plan_.set_looks(*c->looks);  // not measured again
    fixed_ = true;
    seconds_ = c->seconds;
    default_random() = c->random;
    log_ = c->log;
  }

  Detector& detector_;
  nn::Optimizer& optimizer_;
  const Dataset& dataset_;
  const Preparation& preparation_;
  const TrainerOptions& options_;
  const Dataset* validation_;
  Transform transform_;
  nn::WeightAverage average_;
  StepPlan plan_;

  std::int64_t iteration_ = 0, total_;
  bool fixed_ = false;  ///< total_ came from a checkpoint
  Clock::time_point begun_;
  double seconds_ = 0;
  std::optional<Clock::time_point> resumed_;
  Clock::time_point saved_;  ///< the last checkpoint, or the beginning
  TrainingLog log_;

  double last_loss_ = 0;
};

}  // namespace

TrainingSummary train(Detector& detector, nn::Optimizer& optimizer, const Dataset& dataset,
                      const Transform& augmentation, const Preparation& preparation,
                      const TrainerOptions& options, const Dataset* validation) {
  return Run(detector, optimizer, dataset, augmentation, preparation, options, validation).run();
}

}  // namespace boxgrad::detection
