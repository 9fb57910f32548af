// A training that is killed at any moment goes on as if nothing had been: detection/training/
// trainer.h, checkpoint.h. `make test-kill` kills 200 times; BOXGRAD_KILLS sets how often.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

#include "core/parallel.h"
#include "core/stopwatch.h"
#include "detection/training/checkpoint.h"
#include "detection/training/trainer.h"
#include "layers/adamw.h"
#include "layers/dropout.h"
#include "tests/catch.h"
#include "tests/memory_folder.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

TrainerOptions toy_options(const fs::path& out, std::int64_t checkpoint_every) {
  return {.iterations = 40,
          .batch_size = 4,
          .seed = 3,
          .schedule = [](std::int64_t n) { return nn::cosine(0, n); },
          .average_decay = 0.9,
          .log_every = 3,
          .validations = 3,
          .checkpoint_every = checkpoint_every,
          .out = out};
}

/// What a run ends as: all numbers of the model, and of the log those that no clock made.
struct End {
  std::vector<Scalar> weights;
  std::vector<double> log;
  friend bool operator==(const End&, const End&) = default;
};

End end_of(const Detector& model, const TrainingLog& log) {
  End end;
  for (const auto& [name, tensor] : model.state_dict())
    for (const Scalar v : std::as_const(tensor).data()) end.weights.push_back(v);
  for (const TrainingRecord& r : log.steps) end.log.push_back(r.loss);
  for (const ValidationRecord& v : log.validations) end.log.push_back(v.ap50);
  return end;
}

/// Drops some of what its trunk sees: the next step depends on how often default_random() was asked,
/// so that its place in the checkpoint must be right, too.
struct Forgetful : SeparableNet {
  using SeparableNet::SeparableNet;
  std::vector<Tensor> maps(const Tensor& images) override {
    std::vector<Tensor> all = SeparableNet::maps(images);
    if (is_training())
      for (Tensor& map : all) map = dropout(map, 0.2);
    return all;
  }
};

std::shared_ptr<Ssd> make_forgetful() { return make_toy<Forgetful>(); }

End run(const TrainerOptions& options) {
  const ToyDataset data;
  const auto model = make_forgetful();
  nn::AdamW optimizer(*model, {.rate = 0.01});
  const TrainingSummary summary = train(*model, optimizer, data, {}, {}, options, &data);
  return end_of(*model, summary.log);
}

/// What the last checkpoint of a run holds: the mean of its weights is what it ends with.
End end_in(const Checkpoint& checkpoint) {
  const std::string prefix = "average/";
  nn::StateDict weights;
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (name.starts_with(prefix)) weights.emplace_back(name.substr(prefix.size()), tensor);
  const auto model = make_forgetful();
  model->load_state_dict(weights);
  return end_of(*model, checkpoint.log);
}

pid_t start(const TrainerOptions& options) {
  const pid_t child = fork();
  if (child == 0) {
    set_num_threads(1);  // the pool's threads did not come along
    run(options);
    _exit(0);
  }
  return child;
}

/// The temporary files in a folder and when each was last written to.
std::map<fs::path, fs::file_time_type> temporary_files(const fs::path& folder) {
  std::map<fs::path, fs::file_time_type> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".tmp") continue;
    std::error_code gone;  // renamed meanwhile
    const auto time = fs::last_write_time(it->path(), gone);
    if (!gone) found.emplace(it->path(), time);
  }
  return found;
}

/// Whether one was begun since `before`: what an earlier kill left is not being written.
bool is_being_written(const fs::path& folder,
                      const std::map<fs::path, fs::file_time_type>& before) {
  for (const auto& [path, time] : temporary_files(folder))
    if (const auto old = before.find(path); old == before.end() || old->second != time) return true;
  return false;
}

/// What a run that ended leaves, however often it was killed on its way.
void check_no_leavings(const fs::path& folder) {
  std::vector<std::string> others;
  int manifests = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    const bool checkpoint = path.filename().string().starts_with("checkpoint-");
    if (checkpoint && path.extension() == ".json")
      ++manifests;
    else if (!checkpoint || path.extension() != ".safetensors" ||
             !fs::exists(fs::path(path).replace_extension(".json")))
      others.push_back(path.filename().string());
  }
  CHECK(manifests == 2);
  std::ranges::sort(others);
  CHECK(others == std::vector<std::string>{"log.csv", "log.jsonl"});
}

int kills_wanted() {
  const char* text = std::getenv("BOXGRAD_KILLS");
  return text == nullptr ? 10 : std::max(1, std::atoi(text));
}

}  // namespace

TEST_CASE("a training killed at any moment ends in the same bits", "[survive][kill][fork]") {
  // Many kills are worth a real disk.
  const bool many = std::getenv("BOXGRAD_KILLS") != nullptr;
  const fs::path folder =
      many ? fs::temp_directory_path() / concat("boxgrad_kill_", getpid()) : memory_folder("kill");
  const Stopwatch watch;
  const End whole = run(toy_options({}, 0));
  const double seconds = 2 * watch.seconds();  // with checkpoints it takes longer

  const int wanted = kills_wanted();
  int kills = 0, while_writing = 0, too_fast = 0;
  int resumed = 0, begun_again = 0, complete = 0;  // what became of a run after its last kill
  Random random(17);
  while (kills < wanted) {
    fs::remove_all(folder);
    TrainerOptions options = toy_options(folder, random.below(2) == 0 ? 1 : 7);
    // Killed once or several times, from the beginning and in what was resumed.
    do {
      std::string warning;
      const auto saved = load_checkpoint(folder, &warning);
      REQUIRE(warning.empty());  // whatever is there is whole
      if (saved && saved->iteration == saved->total_iterations) break;
      options.resume = saved.has_value();
      const auto left = temporary_files(folder);
      const pid_t child = start(options);
      // Half of them at a random moment, half in the first or a later moment of writing.
      const bool aimed = random.below(2) == 0;
      const double moment = random.uniform() * seconds;
      const Stopwatch since;
      while (since.seconds() < moment ||
             (aimed && since.seconds() < seconds && !is_being_written(folder, left)))
        usleep(aimed ? 20 : 200);
      kill(child, SIGKILL);
      int status = 0;
      waitpid(child, &status, 0);
      if (WIFSIGNALED(status)) {
        ++kills;
        while_writing += is_being_written(folder, left);
      } else {
        REQUIRE(WEXITSTATUS(status) == 0);
        ++too_fast;
      }
    } while (kills < wanted && random.below(3) == 0);

    const auto saved = load_checkpoint(folder);
    if (saved && saved->iteration == saved->total_iterations) {
      ++complete;
      CHECK(end_in(*saved) == whole);
      continue;
    }
    options.resume = saved.has_value();
    ++(options.resume ? resumed : begun_again);
    CHECK(run(options) == whole);
    check_no_leavings(folder);
  }
  fs::remove_all(folder);
  if (many)
    std::cout << kills << " kills of " << resumed + begun_again + complete
              << " runs, some killed several times; " << while_writing
              << " kills while a file was being written. All runs ended in the same bits: "
              << resumed << " went on from a checkpoint, " << begun_again
              << " had none yet and began again, " << complete << " had written their last one. "
              << too_fast << " times a run ended before it was killed\n";
}
