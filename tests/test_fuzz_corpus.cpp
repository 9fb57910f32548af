// Every input that the fuzzers start from, or ever stumbled over, through the same functions in the
// build at hand: as tests/fuzz/targets.h promises, and within a second and 256 MB each.
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/memory.h"
#include "tests/catch.h"
#include "tests/fuzz/targets.h"

using namespace boxgrad;
namespace fs = std::filesystem;

namespace {

/// What the process grew by since this was made, at its largest.
class PeakMemory {
 public:
  /// Gives back what the heap keeps and puts the high-water mark down to what is resident then, so
  /// that a higher peak before hides nothing. Where that is not allowed, only what goes beyond that
  /// peak is seen.
  PeakMemory() {
    release_free_memory();
    std::ofstream file("/proc/self/clear_refs");  // 5: man 5 proc
    file << 5 << std::flush;
    was_reset_ = static_cast<bool>(file);
    before_ = kilobytes();
  }
  bool was_reset() const { return was_reset_; }
  std::int64_t grown_kilobytes() const { return kilobytes() - before_; }

 private:
  static std::int64_t kilobytes() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
      if (std::int64_t value = 0; word == "VmHWM:" && status >> value) return value;
    rusage usage{};  // no /proc
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  }

  bool was_reset_ = false;
  std::int64_t before_ = 0;
};

/// Has so much memory for a moment, from the heap, which keeps it (core/tensor.cpp).
void take(std::size_t megabytes) {
  const std::size_t bytes = megabytes << 20;
  const std::unique_ptr<volatile char[]> block(new volatile char[bytes]);
  for (std::size_t i = 0; i < bytes; i += 1024) block[i] = 1;
}

}  // namespace

TEST_CASE("an input's memory is seen behind a larger peak", "[fuzz]") {
  take(300);
  const PeakMemory peak;
  if (!peak.was_reset()) {
    WARN(
        "/proc/self/clear_refs: not allowed here; what inputs take below an earlier peak is not "
        "seen");
    return;
  }
  CHECK(peak.grown_kilobytes() < 16 * 1024);
  take(200);
  CHECK(peak.grown_kilobytes() > 150 * 1024);
}

TEST_CASE("what the fuzzers start from and have found is read or refused", "[fuzz]") {
  const fs::path corpus = fs::path(__FILE__).parent_path() / "fuzz" / "corpus";
  REQUIRE(fs::is_directory(corpus));
  for (const fuzz::Target& target : fuzz::targets()) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(corpus / target.name))
      files.push_back(entry.path());
    std::ranges::sort(files);
    CHECK(files.size() >= 4);
    for (const fs::path& file : files) {
      INFO(file);
      const auto bytes = read_file(file, 1 << 20);
      const PeakMemory peak;
      const std::clock_t start = std::clock();  // of the processor: others use the machine, too
      CHECK_NOTHROW(target.run(bytes));
      CHECK(std::clock() - start < CLOCKS_PER_SEC);
      CHECK(peak.grown_kilobytes() < 256 * 1024);
    }
  }
}
