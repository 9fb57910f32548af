// A run that ended before its time, by `boxgrad train --resume`: detection/cli/train.cpp,
// detection/training/run_folder.cpp.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "core/files.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "detection/training/run_folder.h"
#include "tests/catch.h"
#include "tests/cli.h"
#include "tests/cli_run.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// The command in a process of its own, with one thread: those of the pool do not come along.
pid_t start_command(std::vector<std::string> arguments) {
  const pid_t child = fork();
  REQUIRE(child >= 0);  // kill(-1, ...) would be for every process
  if (child > 0) return child;
  set_num_threads(1);
  arguments.insert(arguments.end(), {"--threads", "1"});
  _exit(boxgrad_command(arguments).status);
}

/// What a run's folder must hold in the end, apart from what a clock said.
nlohmann::json end_of_run(const fs::path& run) {
  nlohmann::json end = json_of(run / "metrics.json");
  for (const char* key : {"run", "seconds_train", "ms_per_photo", "ms_proposals"}) end.erase(key);
  for (const char* file : {kModelFile, kBestFile, "images/photos.png", "images/augmented.png"})
    end[file] = sha256_file(run / file);
  return end;
}

}  // namespace

TEST_CASE("a run that was stopped goes on to the same bits", "[cli][cli_run]") {
  const CliFolder folder("resume");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 8, true);
  succeeds({"train", "--config", write_small_config(folder.path(), "ssd-small").string(), "--data",
            photos.string(), "--out", run.string()});
  fails({"train", "--resume", run.string()}, "has finished its 4 steps");
  // Killed behind the last checkpoint: the same weights. Killed before the first: from the start.
  const std::string bits = sha256_file(run / kModelFile);
  fs::remove(run / kModelFile);
  succeeds({"train", "--resume", run.string()});
  CHECK(sha256_file(run / kModelFile) == bits);
  // Killed behind its weights, while figures and pictures were being written.
  const std::string figures = json_of(run / "metrics.json").at("AP50").dump();
  for (const char* missing : {"index.html", "metrics.json"}) fs::remove(run / missing);
  succeeds({"train", "--resume", run.string()});
  CHECK(sha256_file(run / kModelFile) == bits);
  CHECK(json_of(run / "metrics.json").at("AP50").dump() == figures);
  CHECK(fs::exists(run / "index.html"));
  fails({"train", "--resume", run.string()}, "has finished its 4 steps");
  // Without its checkpoints a trained detector stays what it is.
  fs::remove(run / "checkpoint-4.json");
  fails({"train", "--resume", run.string()}, "a trained detector and no checkpoint");
  CHECK(sha256_file(run / kModelFile) == bits);
  fs::remove(run / kModelFile);
  CHECK_THAT(succeeds({"train", "--resume", run.string()}).out,
             Catch::Contains("has no checkpoint yet: begins again"));
  CHECK(sha256_file(run / kModelFile) == bits);
  for (const std::string option : {"--minutes", "--epochs", "--seed"})
    fails({"train", "--resume", run.string(), option, "3"}, option + " cannot be changed");
  for (const std::string flag : {"--quick", "--vertical-flips"})
    fails({"train", "--resume", run.string(), flag}, flag + " cannot be changed");
  fails({"train", "--resume", photos.string()}, "no run's folder");
  fails({"train", "--config", (run / kConfigFile).string(), "--out", run.string()},
        "holds a run already");
}

TEST_CASE("a run does not go on with other photos, wherever one stands", "[cli][cli_run]") {
  struct Stand {  // the process's folder, put back
    fs::path before = fs::current_path();
    explicit Stand(const fs::path& folder) { fs::current_path(folder); }
    ~Stand() { fs::current_path(before); }
  };
  const CliFolder folder("moved");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 8, true);
  const std::string config = write_small_config(folder.path(), "ssd-small").string();
  {
    const Stand here(folder.path());
    succeeds({"train", "--config", config, "--data", "./photos", "--out", run.string()});
  }
  CHECK(json_of(run / kConfigFile)["data"]["folder"] == photos.string());
  const std::string bits = sha256_file(run / kModelFile);
  const auto forget = [&](bool checkpoints) {
    fs::remove(run / kModelFile);
    std::vector<fs::path> old;
    for (const auto& entry : fs::directory_iterator(run))
      if (entry.path().filename().string().starts_with("checkpoint-")) old.push_back(entry.path());
    for (const fs::path& file : old)
      if (checkpoints) fs::remove(file);
  };
  // A corrected box, a list of the same length: whether or not there is a checkpoint.
  const fs::path box = photos / "Annotations/photo2.xml",
                 list = photos / "ImageSets/Main/train.txt";
  const std::string boxes = read_text_file(box, 1 << 16), names = read_text_file(list, 1 << 16);
  std::string moved = boxes, others = names;
  moved.replace(moved.find("<xmin>"), 7, "<xmin>1");  // 9 becomes 19
  others.replace(others.find("photo2"), 6, "photo1");
  for (const bool checkpoints : {false, true}) {
    forget(checkpoints);
    write_file_atomically(box, moved);
    fails({"train", "--resume", run.string()}, "are others than when the run began");
    write_file_atomically(box, boxes);
    write_file_atomically(list, others);
    fails({"train", "--resume", run.string()}, "are others than when the run began");
    write_file_atomically(list, names);
    CHECK_FALSE(fs::exists(run / kModelFile));
    succeeds({"train", "--resume", run.string()});
    CHECK(sha256_file(run / kModelFile) == bits);
  }
  // A run of before the hash was kept, and how photos are cut: lists are what they were.
  nlohmann::json older = json_of(run / kConfigFile);
  for (const char* key : {"train_hash", "cut"}) CHECK(older["data"].erase(key) == 1);
  std::ofstream(run / kConfigFile) << older;
  forget(false);
  succeeds({"train", "--resume", run.string()});
  CHECK(sha256_file(run / kModelFile) == bits);
}

TEST_CASE("a run of before keeps its cut", "[cli][cli_run]") {
  const CliFolder folder("cut");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 10, false);
  const std::string config = write_small_config(folder.path(), "ssd-small").string();
  succeeds({"train", "--config", config, "--data", photos.string(), "--out", run.string()});
  nlohmann::json older = json_of(run / kConfigFile);
  CHECK(older["data"]["cut"] == "name");
  CHECK(load_run_config(run / kConfigFile).cut == PhotoCut::by_name);
  for (const char* key : {"train_hash", "cut"}) older["data"].erase(key);
  std::ofstream(run / kConfigFile) << older;
  CHECK(load_run_config(run / kConfigFile).cut == PhotoCut::by_place);
  CHECK_THAT(succeeds({"eval", run.string(), "--data", photos.string()}).out,
             Catch::Contains("shuffled, as in older runs, by seed 0"));
  older["data"]["cut"] = "dice";
  std::ofstream(run / kConfigFile) << older;
  fails({"eval", run.string(), "--data", photos.string()},
        "\"data.cut\" must be name or place, got \"dice\"");
  // What a person writes means the cut of today.
  CHECK(read_user_config(config, "").cut == PhotoCut::by_name);
}

TEST_CASE("a run that is killed on its way goes on to the same bits",
          "[cli][cli_run][survive][fork]") {
  const CliFolder folder("killed");
  const fs::path photos = folder.path() / "photos";
  write_photos(photos, 16, true);
  const fs::path config = folder.path() / "config.json";
  write_file_atomically(config, R"({"model": "ssd-small", "training":
      {"longer_px": 64, "batch_size": 2, "iterations": 60, "checkpoint_seconds": 0}})");
  const auto train = [&](const fs::path& out) {
    return std::vector<std::string>{"train",      "--config",           config.string(),
                                    "--data",     photos.string(),      "--out",
                                    out.string(), "--checkpoint-every", "5"};
  };
  const fs::path whole = folder.path() / "whole";
  succeeds(train(whole));
  CHECK(json_of(whole / kConfigFile)["training"]["checkpoint_every"] == 5);
  CHECK(fs::exists(whole / "checkpoint-55.json"));
  fails({"train", "--resume", whole.string(), "--checkpoint-every", "7"},
        "--checkpoint-every cannot be changed");

  // Before the first checkpoint, behind the first, behind a look at the validation photos.
  for (const char* sign : {"config.json", "checkpoint-5.json", "checkpoint-25.json"}) {
    INFO(sign);
    const fs::path run = folder.path() / (std::string("run_") + sign);
    const pid_t child = start_command(train(run));
    for (int i = 0; i < 60000 && !fs::exists(run / sign); ++i) usleep(1000);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(fs::exists(run / sign));
    CHECK(WIFSIGNALED(status));  // it had not ended
    CHECK_FALSE(fs::exists(run / kModelFile));
    const CliOutcome resumed = succeeds({"train", "--resume", run.string()});
    CHECK((resumed.out.find("begins again") != std::string::npos) ==
          (std::string(sign) == "config.json"));
    for (const char* file : {kModelFile, kBestFile})
      CHECK(sha256_file(run / file) == sha256_file(whole / file));
    CHECK(json_of(run / "metrics.json").at("AP50") == json_of(whole / "metrics.json").at("AP50"));
  }
}

TEST_CASE("the command killed at any moment, its end included, leaves the same run",
          "[cli][cli_run][survive][kill][fork]") {
  const char* many = std::getenv("BOXGRAD_KILLS");
  const int wanted = many == nullptr ? 2 : std::max(1, std::atoi(many) / 8);
  const CliFolder folder("kills");
  const fs::path photos = folder.path() / "photos";
  write_photos(photos, 8, true);
  Random random(5);
  for (const std::string model : {"ssd-small", "retinanet", "faster-rcnn", "fast-rcnn"}) {
    INFO(model);
    nlohmann::json config = json_of(write_small_config(folder.path(), model));
    config["training"].update({{"iterations", 60}, {"checkpoint_every", 7}});
    const fs::path settings = folder.path() / "config.json";
    write_file_atomically(settings, config.dump());
    const auto train = [&](const fs::path& out) {
      return std::vector<std::string>{"train",         "--config", settings.string(), "--data",
                                      photos.string(), "--out",    out.string()};
    };
    const fs::path whole = folder.path() / (model + "_whole"), run = folder.path() / model;
    const Stopwatch watch;
    succeeds(train(whole));
    const double seconds = 1.2 * watch.seconds();
    const nlohmann::json end = end_of_run(whole);
    // Before there is a config it begins anew, behind its page there is nothing to go on with.
    const auto next = [&] {
      return is_run_folder(run) ? std::vector<std::string>{"train", "--resume", run.string()}
                                : train(run);
    };
    for (int kills = 0; kills < wanted;) {
      fs::remove_all(run);
      while (!fs::exists(run / "index.html") && kills < wanted) {
        const pid_t child = start_command(next());
        usleep(static_cast<useconds_t>(1e6 * random.uniform() * seconds));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status))
          ++kills;
        else
          REQUIRE(WEXITSTATUS(status) == 0);
        if (random.below(2) == 0) break;
      }
      if (!fs::exists(run / "index.html")) succeeds(next());
      CHECK(end_of_run(run) == end);
    }
  }
}
