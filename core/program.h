#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace boxgrad {

/// What a program is and which of the common options it has. Every program has --help and --seed.
struct ProgramInfo {
  std::string name;             ///< "05_first_detector": its file in build/bin, its folder in out/
  std::string about;            ///< one sentence for --help
  bool threads = true;          ///< --threads N; false when the program reads its own
  bool out = true;              ///< --out DIR, where it writes (out/NAME)
  bool quick = true;            ///< --quick, the whole program in seconds on less data
  bool data_on_stdout = false;  ///< the line about threads and BLAS goes to stderr
  std::string examples = {};    ///< lines at the end of --help
};

/// The frame around every main(): command line in, exit status out.
///
///   int main(int argc, char** argv) {
///     Program program({.name = "05_first_detector", .about = "Trains a detector."});
///     int iterations = 1200;
///     program.option("--iterations", iterations, "training steps", 1);
///     return program.run(argc, argv, [&] {
///       train(iterations, program.quick(), program.out());
///     });
///   }
///
/// run() parses, sets the number of threads and the seed of default_random(), prints one line
/// that names both and the BLAS kernel (what a result depends on, beside the code), and calls the
/// body. It returns what main() should: 0 when the body came back and its output could be written;
/// 1 after a user's mistake (a bad option, std::invalid_argument, std::runtime_error, which
/// std::filesystem_error is, too); 2 after anything else, which is a mistake of ours or lack of
/// memory. A failure is one line on stderr that starts with "error: ", never an exit status 0.
class Program {
 public:
  explicit Program(ProgramInfo info);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Options of the program's own, before run(). The variable's value is the default that --help
  // shows; it must live until run() returns. `name` is "--long" or "-s,--long", or "long" for an
  // argument without a name.
  void flag(const std::string& name, bool& value, const std::string& help);
  void option(const std::string& name, std::string& value, const std::string& help);
  void option(const std::string& name, std::filesystem::path& value, const std::string& help);
  void option(const std::string& name, int& value, const std::string& help,
              int min = std::numeric_limits<int>::min(), int max = std::numeric_limits<int>::max());
  /// Finite numbers only: "nan" and "inf" are refused.
  void option(const std::string& name, double& value, const std::string& help,
              double min = std::numeric_limits<double>::lowest(),
              double max = std::numeric_limits<double>::max());
  /// A list with commas: --threads 1,2,4.
  void option(const std::string& name, std::vector<int>& value, const std::string& help,
              int min = std::numeric_limits<int>::min(), int max = std::numeric_limits<int>::max());
  void option(const std::string& name, std::vector<std::string>& value, const std::string& help);
  /// All arguments without a name, any number of them: photos.
  void arguments(const std::string& name, std::vector<std::filesystem::path>& values,
                 const std::string& help);
  /// One of a few words: --match ssd.
  void choice(const std::string& name, std::string& value, const std::vector<std::string>& words,
              const std::string& help);

  int run(int argc, const char* const* argv, const std::function<void()>& body);

  // What the common options said, inside the body.
  std::uint64_t seed() const;
  bool quick() const;
  /// Whether an option was on the command line (rather than left at its default).
  bool given(const std::string& name) const;
  /// The folder to write to, created by the first call.
  const std::filesystem::path& out() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace boxgrad
