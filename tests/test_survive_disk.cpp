// A disk that is full and a folder that may not be written to: detection/training/checkpoint.h,
// core/files.h. In processes of their own, since limits and users belong to a process.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>

#include "core/files.h"
#include "core/parallel.h"
#include "detection/training/checkpoint.h"
#include "detection/training/trainer.h"
#include "layers/adamw.h"
#include "tests/catch.h"
#include "tests/memory_folder.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = memory_folder("disk");
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
};

/// The message of the std::runtime_error that `work` throws in a child process, "" if it returns,
/// "?" for anything else.
std::string error_of(const std::function<void()>& work) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    set_num_threads(1);  // the pool's threads did not come along
    std::string text;
    try {
      work();
    } catch (const std::runtime_error& error) {
      text = error.what();
    } catch (...) {
      text = "?";
    }
    const bool sent = ::write(ends[1], text.data(), text.size()) == ssize_t(text.size());
    _exit(sent ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char piece[512];
  for (ssize_t n; (n = ::read(ends[0], piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : "?";
}

/// From now on no file of this process can grow beyond `bytes`, as if the disk were full.
void limit_files(rlim_t bytes) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

Checkpoint make(std::int64_t iteration) {
  Checkpoint c;
  c.iteration = iteration;
  c.total_iterations = 100;
  c.random = Random(1, 2, 3);
  c.config = "{}";
  c.tensors = {{"model/w", Tensor({100}, static_cast<Scalar>(iteration))}};
  return c;
}

std::set<std::string> names(const fs::path& folder) {
  std::set<std::string> result;
  for (const auto& entry : fs::directory_iterator(folder))
    result.insert(entry.path().filename().string());
  return result;
}

const std::set<std::string> kFirst = {"checkpoint-10.json", "checkpoint-10.safetensors"};

}  // namespace

TEST_CASE("a full disk is an error, and the checkpoint before stays", "[survive][errors]") {
  const Folder folder;
  save_checkpoint(folder.path, make(10));
  const auto tensors = fs::file_size(folder.path / "checkpoint-10.safetensors"),
             manifest = fs::file_size(folder.path / "checkpoint-10.json");
  for (rlim_t limit = 0; limit < std::max(tensors, manifest); limit += 37) {
    INFO("limit " << limit);
    const std::string message = error_of([&] {
      limit_files(limit);
      save_checkpoint(folder.path, make(20));
    });
    // The tensors come first; of the manifest only what is larger than they are can be refused.
    CHECK_THAT(message, Catch::Contains("cannot write ") &&
                            Catch::Contains(limit < tensors ? "/checkpoint-20.safetensors"
                                                            : "/checkpoint-20.json") &&
                            Catch::EndsWith(": File too large"));
    // No manifest without all of its tensors, nothing half-written under a name or another.
    for (const std::string& name : names(folder.path))
      CHECK((kFirst.contains(name) || name == "checkpoint-20.safetensors"));
    CHECK(load_checkpoint(folder.path)->iteration == 10);
    fs::remove(folder.path / "checkpoint-20.safetensors");
  }
}

TEST_CASE("a folder that may not be written to is an error, and stays as it is",
          "[survive][errors]") {
  const Folder folder;
  save_checkpoint(folder.path, make(10));
  fs::permissions(folder.path, fs::perms::owner_read | fs::perms::owner_exec |
                                   fs::perms::others_read | fs::perms::others_exec);
  const std::string message = error_of([&] {
    // Whoever may do anything becomes somebody else first.
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
    save_checkpoint(folder.path, make(20));
  });
  CHECK_THAT(message, Catch::Contains("cannot write") && Catch::Contains("checkpoint-20") &&
                          Catch::EndsWith(": Permission denied"));
  fs::permissions(folder.path, fs::perms::owner_all);
  CHECK(names(folder.path) == kFirst);
  CHECK(load_checkpoint(folder.path)->iteration == 10);
}

TEST_CASE("a training whose disk fills up stops in words and can be resumed",
          "[survive][errors][fork]") {
  const Folder folder;
  const ToyDataset data;
  TrainerOptions options{.iterations = 24,
                         .batch_size = 4,
                         .checkpoint_every = 7,
                         .out = folder.path / "run",
                         .loader_threads = 0};
  const auto training = [&] {
    const auto model = make_toy();
    nn::AdamW optimizer(*model, {.rate = 0.01});
    train(*model, optimizer, data, {}, {}, options);
    std::vector<Scalar> numbers;
    for (const auto& [name, tensor] : model->state_dict())
      for (const Scalar v : std::as_const(tensor).data()) numbers.push_back(v);
    return numbers;
  };
  // The disk fills up behind the first checkpoint.
  const std::string message = error_of([&] {
    options.on_step = [](std::int64_t step, const DetectorLoss&) {
      if (step == 10) limit_files(1000);
    };
    training();
  });
  CHECK_THAT(message, Catch::Contains("cannot write") &&
                          Catch::Contains("checkpoint-14.safetensors") &&
                          Catch::EndsWith(": File too large"));
  CHECK(load_checkpoint(options.out)->iteration == 7);
  options.resume = true;
  const std::vector<Scalar> resumed = training();
  options.resume = false;
  options.out = folder.path / "whole";
  CHECK(resumed == training());
}
