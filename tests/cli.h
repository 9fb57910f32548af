#pragma once

#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/parallel.h"
#include "core/random.h"
#include "detection/cli/subcommand.h"

/// The `boxgrad` command inside the test's process.
namespace boxgrad::detection {

struct CliOutcome {
  int status = -1;
  std::string out = {}, err = {};
};

/// Runs it with such arguments; threads and random numbers are put back afterwards.
inline CliOutcome boxgrad_command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "boxgrad");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int threads = num_threads();
  const Random random = default_random();
  std::ostringstream out, err;
  std::streambuf* const cout_before = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const cerr_before = std::cerr.rdbuf(err.rdbuf());
  const int status = run_boxgrad(static_cast<int>(arguments.size()), argv.data());
  std::cout.rdbuf(cout_before);
  std::cerr.rdbuf(cerr_before);
  set_num_threads(threads);
  default_random() = random;
  return {status, out.str(), err.str()};
}

/// A folder for a test's files, gone afterwards.
class CliFolder {
 public:
  explicit CliFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              concat("boxgrad_cli_", name, "_", getpid())) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~CliFolder() { std::filesystem::remove_all(path_); }
  CliFolder(const CliFolder&) = delete;
  CliFolder& operator=(const CliFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace boxgrad::detection
