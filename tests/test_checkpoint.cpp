#include <filesystem>
#include <fstream>
#include <limits>

#include "core/files.h"
#include "detection/training/checkpoint.h"
#include "tests/catch.h"
#include "tests/memory_folder.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = memory_folder("checkpoint");
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
  CHECK_FALSE(c->looks.has_value());  // as in those of before it was kept
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

TEST_CASE("checkpoint: how many looks there are", "[checkpoint]") {
  const Folder folder;
  Checkpoint c = make(10);
  c.looks = 3;
  save_checkpoint(folder.path, c);
  CHECK(load_checkpoint(folder.path)->looks == 3);
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

TEST_CASE("checkpoint: what kills have left is swept up, and nothing else", "[checkpoint]") {
  const Folder folder;
  save_checkpoint(folder.path, make(10));
  // Killed between the two renames, between the two removals, and inside either file.
  for (const char* name : {"checkpoint-5.safetensors", "checkpoint-17.safetensors",
                           "checkpoint-13.safetensors.tmp", "checkpoint-14.json.tmp"})
    write(folder.path / name, as_bytes("left"));
  const std::vector<std::string> others{"checkpoint-x.safetensors", "log.csv.tmp",
                                        "model.safetensors", "my-checkpoint-5.safetensors"};
  for (const std::string& name : others) write(folder.path / name, as_bytes("somebody's"));
  save_checkpoint(folder.path, make(20));
  std::vector<std::string> expected{"checkpoint-10.json", "checkpoint-10.safetensors",
                                    "checkpoint-20.json", "checkpoint-20.safetensors"};
  expected.insert(expected.end(), others.begin(), others.end());
  std::ranges::sort(expected);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  CHECK(names == expected);
  CHECK(load_checkpoint(folder.path)->iteration == 20);
}

TEST_CASE("checkpoint: every changed byte and every length is noticed", "[checkpoint][errors]") {
  const Folder folder;
  save_checkpoint(folder.path, make(10));
  save_checkpoint(folder.path, make(20));
  int damages = 0, noticed = 0;
  for (const char* name : {"checkpoint-20.json", "checkpoint-20.safetensors"}) {
    const fs::path path = folder.path / name;
    const std::vector<std::uint8_t> whole = bytes_of(path);
    const auto try_one = [&](std::span<const std::uint8_t> damaged) {
      write(path, damaged);
      std::string warning;
      const auto c = load_checkpoint(folder.path, &warning);
      ++damages;
      noticed += c && c->iteration == 10 && warning.find(name) != std::string::npos &&
                 warning.find("going on from iteration 10") != std::string::npos &&
                 c->tensors[0].second.to_vector() == std::vector<Scalar>{10, 2};
    };
    for (std::size_t i = 0; i < whole.size(); ++i)
      for (const int flip : {0x01, 0x04, 0x2a, 0x80, 0xff}) {  // 0x2a makes a line end of a blank
        std::vector<std::uint8_t> damaged = whole;
        damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ flip);
        try_one(damaged);
      }
    for (std::size_t length = 0; length < whole.size(); ++length)
      try_one(std::span(whole).first(length));
    std::vector<std::uint8_t> longer = whole;
    for (const char byte : {'\0', ' ', '\n', '}'}) {
      longer.push_back(static_cast<std::uint8_t>(byte));
      try_one(longer);
      longer.pop_back();
    }
    write(path, whole);
  }
  CHECK(load_checkpoint(folder.path)->iteration == 20);
  CHECK(damages > 4000);
  CHECK(noticed == damages);
  fs::remove(folder.path / "checkpoint-10.safetensors");
  write(folder.path / "checkpoint-20.safetensors", std::vector<std::uint8_t>(5));
  CHECK_THROWS_AS(load_checkpoint(folder.path), std::invalid_argument);
}

TEST_CASE("checkpoint: a manifest from elsewhere is refused in words", "[checkpoint][errors]") {
  const Folder folder;
  save_checkpoint(folder.path, make(20));
  const fs::path path = folder.path / "checkpoint-20.json";
  const std::string whole = read_text_file(path, 1 << 20);
  const auto message = [&](const std::string& text) {
    write(path, as_bytes(text));
    try {
      load_checkpoint(folder.path);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  std::string other = whole;
  other.replace(other.find("checkpoint 1\""), 13, "checkpoint 2\"");
  CHECK_THAT(message(other), Catch::Contains("its format must be \"boxgrad checkpoint 1\""));
  // A parser that goes down by recursion would end here.
  CHECK_THAT(message(std::string(1'000'000, '[')), Catch::Contains("nested too deeply"));
  CHECK_THAT(message("{\"checkpoint\": 1, \"checkpoint\": 2}"), Catch::Contains("twice"));
  CHECK_THAT(message("{}"), Catch::Contains("format"));
  CHECK_THAT(message("\xff\xfe"), Catch::Contains("not JSON"));
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
