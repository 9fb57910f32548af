// Every input that the fuzzers start from, or ever stumbled over, through the same functions in the
// build at hand: as tests/fuzz/targets.h promises, and within a second and 256 MB each.
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <vector>

#include "core/files.h"
#include "tests/catch.h"
#include "tests/fuzz/targets.h"

using namespace boxgrad;
namespace fs = std::filesystem;

namespace {

std::int64_t peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

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
      const std::int64_t before = peak_kilobytes();
      const std::clock_t start = std::clock();  // of the processor: others use the machine, too
      CHECK_NOTHROW(target.run(bytes));
      CHECK(std::clock() - start < CLOCKS_PER_SEC);
      CHECK(peak_kilobytes() - before < 256 * 1024);
    }
  }
}
