#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "core/files.h"
#include "detection/training/checkpoint.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / concat("boxgrad_checkpoint_", getpid());
  Folder() { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
};

Checkpoint make(std::int64_t iteration) {
  Checkpoint c;
  c.iteration = iteration;
  c.total_iterations = 100;
  c.seconds = 1.5;
  c.random = Random(1, 2, 3);
  c.config = "{\"a\": \"<b>\"}";
  c.log.steps.push_back({iteration, 1.5, 2.25, {{"class", 1.25}, {"box", 1}}, 0.1, 50, 3});
  c.tensors = {{"model/w", Tensor({2}, {static_cast<Scalar>(iteration), 2})}};
  return c;
}

std::vector<std::uint8_t> bytes_of(const fs::path& path) { return read_file(path, 1 << 20); }

void write(const fs::path& path, std::span<const std::uint8_t> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

TEST_CASE("checkpoint: what is saved is loaded, and two generations are kept", "[checkpoint]") {
  const Folder folder;
  CHECK_FALSE(load_checkpoint(folder.path).has_value());
  for (const std::int64_t i : {10, 20, 30}) save_checkpoint(folder.path, make(i));
  const auto c = load_checkpoint(folder.path);
  REQUIRE(c.has_value());
  CHECK(c->iteration == 30);
  CHECK(c->total_iterations == 100);
  CHECK(c->seconds == 1.5);
  CHECK(c->random == Random(1, 2, 3));
  CHECK(c->config == "{\"a\": \"<b>\"}");
  CHECK(c->log.steps[0].parts[1].first == "box");
  CHECK(c->tensors[0].second.data()[0] == 30);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  CHECK(names == std::vector<std::string>{"checkpoint-20.json", "checkpoint-20.safetensors",
                                          "checkpoint-30.json", "checkpoint-30.safetensors"});
}

TEST_CASE("checkpoint: what an earlier run left does not pass for the newest", "[checkpoint]") {
  const Folder folder;
  for (const std::int64_t i : {70, 80}) save_checkpoint(folder.path, make(i));
  save_checkpoint(folder.path, make(10));  // a new run in the same folder
  const auto c = load_checkpoint(folder.path);
  REQUIRE(c.has_value());
  CHECK(c->iteration == 10);
  CHECK_FALSE(fs::exists(folder.path / "checkpoint-80.safetensors"));
}

TEST_CASE("checkpoint: every flipped byte and every cut is noticed", "[checkpoint][errors]") {
  const Folder folder;
  save_checkpoint(folder.path, make(10));
  save_checkpoint(folder.path, make(20));
  for (const char* name : {"checkpoint-20.json", "checkpoint-20.safetensors"}) {
    const fs::path path = folder.path / name;
    const std::vector<std::uint8_t> whole = bytes_of(path);
    const auto check_one = [&](std::span<const std::uint8_t> damaged) {
      write(path, damaged);
      std::string warning;
      const auto c = load_checkpoint(folder.path, &warning);
      REQUIRE(c.has_value());
      // Either the older generation with a word about it, or the very same content (a changed
      // space between two items of JSON means nothing).
      if (c->iteration == 10) {
        CHECK(warning.find(name) != std::string::npos);
        CHECK(warning.find("going on from iteration 10") != std::string::npos);
      } else {
        CHECK(c->tensors[0].second.to_vector() == std::vector<Scalar>{20, 2});
        CHECK(c->random == Random(1, 2, 3));
        CHECK(c->config == make(20).config);
        CHECK(c->log.to_json() == make(20).log.to_json());
        CHECK(c->total_iterations == 100);
      }
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::vector<std::uint8_t> damaged = whole;
      damaged[i] ^= 0x04;
      check_one(damaged);
    }
    for (std::size_t length = 0; length < whole.size(); length += 3)
      check_one(std::span(whole).first(length));
    write(path, whole);
  }
  fs::remove(folder.path / "checkpoint-10.safetensors");
  write(folder.path / "checkpoint-20.safetensors", std::vector<std::uint8_t>(5));
  CHECK_THROWS_AS(load_checkpoint(folder.path), std::invalid_argument);
}

TEST_CASE("checkpoint: nothing is written of numbers that are not finite", "[checkpoint][errors]") {
  const Folder folder;
  save_checkpoint(folder.path, make(10));
  Checkpoint bad = make(20);
  bad.tensors[0].second.data()[1] = std::numeric_limits<Scalar>::infinity();
  CHECK_THROWS_WITH(
      save_checkpoint(folder.path, bad),
      "checkpoint: model/w holds inf; it is not written, and the one before it stays");
  CHECK(load_checkpoint(folder.path)->iteration == 10);
  CHECK_FALSE(fs::exists(folder.path / "checkpoint-20.safetensors"));
}

TEST_CASE("checkpoint: a folder that cannot be is an error", "[checkpoint][errors]") {
  const Folder folder;
  fs::create_directories(folder.path);
  write(folder.path / "file", std::vector<std::uint8_t>(1));
  CHECK_THROWS_AS(save_checkpoint(folder.path / "file" / "run", make(1)), std::runtime_error);
}
