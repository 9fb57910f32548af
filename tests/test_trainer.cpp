#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <limits>
#include <thread>

#include "core/parallel.h"
#include "core/stopwatch.h"
#include "detection/training/checkpoint.h"
#include "detection/training/trainer.h"
#include "layers/adamw.h"
#include "tests/catch.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// A folder of its own that goes when the test ends.
struct Folder {
  fs::path path;
  explicit Folder(const std::string& name)
      : path(fs::temp_directory_path() / concat("boxgrad_", name, "_", getpid())) {
    fs::remove_all(path);
  }
  ~Folder() { fs::remove_all(path); }
};

TrainerOptions toy_options(const fs::path& out = {}) {
  TrainerOptions options;
  options.iterations = 24;
  options.batch_size = 4;
  options.seed = 3;
  options.schedule = [](std::int64_t n) { return nn::cosine(0, n); };
  options.average_decay = 0.9;
  options.log_every = 5;
  options.checkpoint_every = 7;
  options.out = out;
  return options;
}

struct Trained {
  TrainingSummary summary;
  std::vector<Scalar> numbers;  ///< all of the state_dict, one after the other
  std::vector<double> losses;
};

Trained run(const TrainerOptions& options) {
  const ToyDataset data;
  const auto model = make_toy();
  nn::AdamW optimizer(*model, {.rate = 0.01});
  Trained result{train(*model, optimizer, data, {}, {}, options, &data), {}, {}};
  for (const auto& [name, tensor] : model->state_dict())
    for (const Scalar v : std::as_const(tensor).data()) result.numbers.push_back(v);
  for (const TrainingRecord& r : result.summary.log.steps) result.losses.push_back(r.loss);
  return result;
}

struct ThreadsGuard {
  int before = num_threads();
  ~ThreadsGuard() { set_num_threads(before); }
};

}  // namespace

TEST_CASE("training lowers the loss and finds the squares", "[trainer]") {
  TrainerOptions options = toy_options();
  options.iterations = 150;
  const Trained result = run(options);
  CHECK(result.losses.back() < result.losses.front() / 2);
  CHECK(result.summary.log.validations.back().ap50_class_agnostic > 0.6);
  CHECK_FALSE(result.summary.interrupted);
}

TEST_CASE("training gives the same bits for any number of threads", "[trainer]") {
  const ThreadsGuard guard;
  set_num_threads(1);
  const Trained one = run(toy_options());
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    TrainerOptions options = toy_options();
    options.loader_threads = threads;
    const Trained other = run(options);
    CHECK(other.numbers == one.numbers);
    CHECK(other.losses == one.losses);
  }
}

TEST_CASE("a training that was killed ends in the same bits when resumed", "[trainer][fork]") {
  const Trained whole = run(toy_options());
  Random random(11);
  for (int attempt = 0; attempt < 20; ++attempt) {
    const Folder folder(concat("killed", attempt));
    const pid_t child = fork();
    if (child == 0) {
      set_num_threads(1);  // the pool's threads did not come along
      run(toy_options(folder.path));
      _exit(0);
    }
    usleep(static_cast<useconds_t>(random.below(25000)));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    TrainerOptions options = toy_options(folder.path);
    std::string warning;
    const auto saved = load_checkpoint(folder.path, &warning);
    CHECK(warning.empty());  // whatever is there is whole
    if (saved && saved->iteration == saved->total_iterations) continue;
    options.resume = saved.has_value();
    const Trained resumed = run(options);
    CHECK(resumed.numbers == whole.numbers);
    CHECK(resumed.losses == whole.losses);
  }
}

TEST_CASE("a checkpoint is written when the last one is old", "[trainer]") {
  const Folder folder("late");
  TrainerOptions options = toy_options(folder.path);
  options.checkpoint_every = 0;
  int seen = 0;
  options.on_step = [&](std::int64_t step, const DetectorLoss&) {
    const auto saved = load_checkpoint(folder.path);
    seen += saved && saved->iteration == step - 1;
  };
  CHECK(run(options).numbers == run(toy_options()).numbers);
  CHECK(seen == 0);
  fs::remove_all(folder.path);
  options.checkpoint_seconds = 1e-9;
  CHECK(run(options).numbers == run(toy_options()).numbers);
  CHECK(seen == 23);
  fs::remove_all(folder.path);
  options.checkpoint_seconds = 1e6;
  run(options);
  CHECK(seen == 23);
}

TEST_CASE("resuming explains what is missing or different", "[trainer][errors]") {
  const Folder folder("resume");
  TrainerOptions options = toy_options(folder.path);
  options.resume = true;
  CHECK_THROWS_WITH(run(options),
                    concat("train: there is no checkpoint to resume in ", folder.path.string()));
  options.resume = false;
  run(options);
  options.resume = true;
  CHECK_THROWS_WITH(run(options), concat("train: the run in ", folder.path.string(),
                                         " has finished its 24 steps; there is nothing to resume"));
  options.config = "{\"rate\": 2}";
  CHECK_THROWS_WITH(run(options),
                    concat("train: ", folder.path.string(),
                           " was made with other settings: rate was missing, is now 2"));
  options.config = "fast";
  CHECK_THROWS_WITH(run(options), Catch::Contains("it was {}, is now fast"));
  CHECK(config_differences(R"({"a": 1, "b": "x", "c": true})", R"({"c": true, "b": "y"})") ==
        "a was 1, is now missing; b was \"x\", is now \"y\"");
  options.out.clear();
  CHECK_THROWS_WITH(run(options), "train: resume needs the folder of the run");
  options = toy_options();
  options.batch_size = 0;
  CHECK_THROWS_WITH(run(options), "train: batch_size must be >= 1, got 0");
}

TEST_CASE("Ctrl-C finishes the step, saves, and the run can go on", "[trainer]") {
  const Folder folder("interrupt");
  struct Interrupting : ToyDataset {
    mutable int calls = 0;
    Sample get(std::int64_t index) const override {
      if (++calls == 40) std::raise(SIGINT);
      return ToyDataset::get(index);
    }
  } data;
  TrainerOptions options = toy_options(folder.path);
  options.loader_threads = 0;
  const auto model = make_toy();
  nn::AdamW optimizer(*model, {.rate = 0.01});
  const TrainingSummary summary = train(*model, optimizer, data, {}, {}, options);
  CHECK(summary.interrupted);
  CHECK(summary.iterations == 10);
  options.resume = true;
  const Trained resumed = run(options);
  CHECK(resumed.numbers == run(toy_options()).numbers);
}

TEST_CASE("a loss that is not finite names op, layer and images", "[trainer][errors]") {
  const Folder folder("diverged");
  const ToyDataset data;
  const auto model = make_toy();
  Tensor weight = model->state_dict()[0].second;
  weight.data()[0] = std::numeric_limits<Scalar>::quiet_NaN();
  nn::AdamW optimizer(*model, {.rate = 0.01});
  try {
    train(*model, optimizer, data, {}, {}, toy_options(folder.path));
    FAIL("nothing was thrown");
  } catch (const TrainingDiverged& error) {
    const std::string text = error.what();
    CHECK(text.find("training stopped in step 1: ") == 0);
    CHECK(text.find("op \"conv2d\" in module \"backbone.stem.conv\"") != std::string::npos);
    CHECK(text.find("Images of the batch: toy/") != std::string::npos);
  }
  CHECK_FALSE(load_checkpoint(folder.path).has_value());
}

TEST_CASE("validations are spread over the run, the last at its end", "[trainer]") {
  TrainerOptions options = toy_options();
  options.iterations = 25;
  options.validations = 3;
  std::vector<std::int64_t> looks;
  for (const ValidationRecord& v : run(options).summary.log.validations)
    looks.push_back(v.iteration);
  CHECK(looks == std::vector<std::int64_t>{9, 18, 25});
}

TEST_CASE("minutes become a number of steps and change nothing else", "[trainer]") {
  const Folder folder("minutes");
  TrainerOptions options = toy_options(folder.path);
  options.schedule = {};  // it would follow the corrections of the number
  options.minutes = 0.002;
  const Trained timed = run(options);
  const auto saved = load_checkpoint(folder.path);
  REQUIRE(saved.has_value());
  CHECK(saved->total_iterations == timed.summary.total_iterations);
  TrainerOptions counted = toy_options();
  counted.schedule = {};
  counted.iterations = timed.summary.total_iterations;
  const Trained same = run(counted);
  CHECK(same.numbers == timed.numbers);
  CHECK(same.losses == timed.losses);  // the steps that were timed are not in the first mean
}

TEST_CASE("the number of steps follows when they get slower", "[trainer][clock]") {
  TrainerOptions options = toy_options();
  std::vector<std::int64_t> totals;
  options.schedule = [&](std::int64_t n) {
    totals.push_back(n);
    return nn::cosine(0, n);
  };
  options.minutes = 0.02;
  options.on_step = [](std::int64_t, const DetectorLoss&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  const Trained result = run(options);
  REQUIRE(totals.size() > 1);
  CHECK(result.summary.total_iterations == totals.back());
  CHECK(totals.back() < totals.front());
  CHECK(result.summary.seconds < 2 * 60 * options.minutes);
}

namespace {

using Milliseconds = std::chrono::milliseconds;

/// Of squares whose decoding takes a while.
struct SlowDataset : ToyDataset {
  Sample get(std::int64_t index) const override {
    std::this_thread::sleep_for(Milliseconds(30));
    return ToyDataset::get(index);
  }
};

/// Whether a training takes so many seconds, to within 10 %, in one of three tries: others use the
/// machine as well. Steps sleep, so that their pace is not the machine's alone.
bool takes(TrainerOptions options, double seconds, const Dataset& validation, std::size_t& looks) {
  options.on_step = [](std::int64_t, const DetectorLoss&) {
    std::this_thread::sleep_for(Milliseconds(5));
  };
  for (int attempt = 0; attempt < 3; ++attempt) {
    const ToyDataset data;
    const auto model = make_toy();
    nn::AdamW optimizer(*model, {.rate = 0.01});
    const Stopwatch watch;
    const TrainingSummary summary = train(*model, optimizer, data, {}, {}, options, &validation);
    const double took = watch.seconds();
    looks = summary.log.validations.size();
    CHECK(summary.iterations == summary.total_iterations);
    CHECK(summary.log.validations.back().iteration == summary.iterations);
    if (std::abs(took - seconds) < 0.1 * seconds) return true;
    std::cerr << "a training of " << seconds << " s took " << took << " s\n";
  }
  return false;
}

}  // namespace

TEST_CASE("minutes are kept, with looks that take a sixth of them", "[trainer][clock]") {
  const ToyDataset data;
  TrainerOptions options = toy_options();
  options.minutes = 0.04;
  options.validations = 2;
  options.on_validation = [](const ValidationRecord&) {
    std::this_thread::sleep_for(Milliseconds(400));
  };
  std::size_t looks = 0;
  CHECK(takes(options, 2.4, data, looks));  // the last look is behind the last step
  CHECK(looks == 2);
}

TEST_CASE("looks take no more than half of the minutes", "[trainer][clock]") {
  const SlowDataset slow;
  TrainerOptions options = toy_options();
  options.minutes = 0.03;
  options.validations = 40;
  std::size_t looks = 0;
  CHECK(takes(options, 1.8, slow, looks));
  CHECK(looks >= 1);
  CHECK(looks < 20);  // of 0.06 s at least, were each photo decoded by a core of its own
}

TEST_CASE("a resumed run looks no more often than the whole one would",
          "[trainer][clock][resume]") {
  const Folder folder("looks");
  const SlowDataset slow;
  const ToyDataset data;
  TrainerOptions options = toy_options(folder.path);
  options.minutes = 0.03;
  options.validations = 40;
  options.checkpoint_every = 1;
  struct Killed {};
  options.on_step = [](std::int64_t step, const DetectorLoss&) {
    std::this_thread::sleep_for(Milliseconds(5));
    if (step == 5) throw Killed();
  };
  const auto go = [&] {
    const auto model = make_toy();
    nn::AdamW optimizer(*model, {.rate = 0.01});
    return train(*model, optimizer, data, {}, {}, options, &slow);
  };
  CHECK_THROWS_AS(go(), Killed);
  const auto saved = load_checkpoint(folder.path);
  REQUIRE(saved.has_value());
  REQUIRE(saved->looks.has_value());
  CHECK(*saved->looks < 20);  // more would take most of the time
  options.on_step = {};
  options.resume = true;
  CHECK(go().log.validations.size() <= static_cast<std::size_t>(*saved->looks));
  CHECK(load_checkpoint(folder.path)->looks == saved->looks);
}

TEST_CASE("what was spent before counts, up to half of the minutes", "[trainer][clock]") {
  const ToyDataset data;
  TrainerOptions options = toy_options();
  options.minutes = 0.03;
  std::size_t looks = 0;
  options.seconds_spent = 0.5;
  CHECK(takes(options, 1.3, data, looks));
  options.seconds_spent = 100;
  CHECK(takes(options, 0.9, data, looks));
}
