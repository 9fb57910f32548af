// detection/training/result_store.h.
#include <unistd.h>

#include <cmath>
#include <sstream>
#include <stdexcept>

#include "core/check.h"
#include "core/files.h"
#include "detection/training/result_store.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / concat("boxgrad_result_store_", getpid());
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
};

}  // namespace

TEST_CASE("a result is computed once for its settings", "[result_store]") {
  const Folder folder;
  int runs = 0;
  const auto compute = [&] {
    ++runs;
    return Result{{{"ap50", 0.1 + runs}}, {{"loss", {3, 2, 1. / 3}}}};
  };
  {
    ResultStore store(folder.path);
    CHECK_FALSE(store.has("a-seed_0", "10 steps"));
    CHECK_FALSE(fs::exists(folder.path));
    CHECK(store.get("a-seed_0", "10 steps", compute).value("ap50") == 1.1);
    CHECK(store.get("a-seed_0", "10 steps", compute).value("ap50") == 1.1);
    CHECK(store.has("a-seed_0", "10 steps"));
    CHECK_FALSE(store.has("a-seed_0", "20 steps"));
    CHECK(runs == 1);
  }
  std::ostringstream log;
  ResultStore later(folder.path, &log);  // another process
  CHECK(later.has("a-seed_0", "10 steps"));
  const Result& again = later.get("a-seed_0", "10 steps", compute);
  CHECK(runs == 1);
  CHECK(again.value("ap50") == 1.1);
  CHECK(again.curve("loss") == std::vector<double>{3, 2, 1. / 3});
  CHECK(later.get("a-seed_0", "20 steps", compute).value("ap50") == 2.1);  // replaces it
  CHECK(log.str() == concat((folder.path / "a-seed_0.json").string(),
                            " was made with other settings: computed again\n"));
  CHECK(ResultStore(folder.path).has("a-seed_0", "20 steps"));
  CHECK_THROWS_WITH(again.value("map"), "Result: no value \"map\"");
  CHECK_THROWS_WITH(again.curve("map"), "Result: no curve \"map\"");
}

TEST_CASE("a file that is not a result is computed again", "[result_store]") {
  const Folder folder;
  fs::create_directories(folder.path);
  const auto compute = [] { return Result{{{"x", 1}}, {}}; };
  for (const char* text : {"", "{", "[]", "{\"settings\": 1}", "{\"settings\": \"s\"}",
                           "{\"settings\": \"s\", \"values\": {\"x\": \"a\"}, \"curves\": {}}"}) {
    write_file_atomically(folder.path / "r.json", text);
    std::ostringstream log;
    ResultStore store(folder.path, &log);
    CHECK_FALSE(store.has("r", "s"));
    CHECK(store.get("r", "s", compute).value("x") == 1);
    CHECK(ResultStore(folder.path).has("r", "s"));
    CHECK(log.str().find("cannot be read (") != std::string::npos);
  }
}

TEST_CASE("nothing is kept of what failed", "[result_store][errors]") {
  const Folder folder;
  ResultStore store(folder.path);
  CHECK_THROWS_WITH(store.get("r", "s", []() -> Result { throw std::runtime_error("diverged"); }),
                    "diverged");
  CHECK_THROWS_WITH(store.get("r", "s",
                              [] {
                                return Result{{{"ap50", NAN}}, {}};
                              }),
                    "ResultStore: r: ap50 is nan");
  CHECK_THROWS_WITH(store.get("r", "s",
                              [] {
                                return Result{{}, {{"loss", {1, INFINITY}}}};
                              }),
                    "ResultStore: r: loss has inf");
  CHECK_FALSE(store.has("r", "s"));
  for (const char* name : {"", "../r", "a/b", ".r", "a b"})
    CHECK_THROWS_AS(store.get(name, "s", [] { return Result{}; }), std::invalid_argument);
}
