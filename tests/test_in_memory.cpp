#include <atomic>
#include <stdexcept>
#include <thread>

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Pictures of 8 x 4 whose first pixel is their number; counts how often they are made.
class Counted : public Dataset {
 public:
  std::int64_t size() const override { return 6; }
  Sample get(std::int64_t index) const override {
    ++made;
    check(index != 5, "picture 5 is damaged");
    Sample sample{.image = Image(8, 4, Color{9, 9, 9}), .name = concat("picture ", index)};
    sample.image.pixel(0, 0)[0] = static_cast<std::uint8_t>(index);
    sample.target = {.boxes = Tensor({1, 4}, {2, 0, 6, 4}), .labels = {1}, .difficult = {false}};
    sample.proposals = Tensor({2, 4}, {0, 0, 4, 4, 2, 2, 8, 4});
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  mutable std::atomic<int> made = 0;

 private:
  std::vector<std::string> names_{"thing"};
};

constexpr std::int64_t kBytes = 8 * 4 * 3 + 12 * sizeof(Scalar);  // of one sample

}  // namespace

TEST_CASE("a dataset in memory makes each sample once, and gives the same", "[in_memory]") {
  const Counted data;
  const InMemory memory(data);
  CHECK(memory.size() == 6);
  CHECK(memory.class_names() == data.class_names());
  for (int pass = 0; pass < 3; ++pass)
    for (std::int64_t i = 0; i < 5; ++i) {
      Sample sample = memory.get(i);
      CHECK(sample.image.pixel(0, 0)[0] == i);
      CHECK(sample.name == concat("picture ", i));
      CHECK(sample.target.boxes.to_vector() == std::vector<Scalar>{2, 0, 6, 4});
      CHECK(sample.proposals.size(0) == 2);
      // What the caller does with a sample stays the caller's.
      sample.image.pixel(0, 0)[0] = 99;
      sample.target.boxes.data()[0] = 99;
      sample.proposals.data()[0] = 99;
    }
  CHECK(data.made == 5);
  CHECK(memory.kept() == 5);
  CHECK(memory.bytes_kept() == 5 * kBytes);
}

TEST_CASE("a dataset in memory keeps samples at their smaller size", "[in_memory]") {
  const Counted data;
  const InMemory memory(data,
                        {.resize = [](Sample s, Random&) { return resize_longer_side(s, 4); }});
  for (int pass = 0; pass < 2; ++pass) {
    const Sample sample = memory.get(3);
    CHECK(sample.image.width() == 4);
    CHECK(sample.scale_x == 0.5);
    CHECK(sample.target.boxes.to_vector() == std::vector<Scalar>{1, 0, 3, 2});
    CHECK(sample.proposals.to_vector() == std::vector<Scalar>{0, 0, 2, 2, 1, 1, 4, 2});
  }
  CHECK(data.made == 1);
}

TEST_CASE("a dataset in memory keeps to its limit", "[in_memory]") {
  const Counted data;
  const InMemory memory(data, {.max_bytes = 2 * kBytes});
  for (int pass = 0; pass < 2; ++pass)
    for (std::int64_t i = 0; i < 4; ++i) CHECK(memory.get(i).image.pixel(0, 0)[0] == i);
  CHECK(memory.kept() == 2);
  CHECK(data.made == 4 + 2);
  CHECK_THROWS_AS(InMemory(data, {.max_bytes = -1}), std::invalid_argument);
}

TEST_CASE("a dataset in memory passes errors on, each time", "[in_memory][errors]") {
  const Counted data;
  const InMemory memory(data);
  for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH(memory.get(5), "picture 5 is damaged");
  CHECK(memory.kept() == 0);
  CHECK_THROWS_WITH(memory.get(6), "InMemory: index must be 0 to 5, got 6");
  CHECK_THROWS_AS(memory.get(-1), std::invalid_argument);
}

TEST_CASE("a dataset in memory serves several threads", "[in_memory]") {
  const Counted data;
  const InMemory memory(data);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) wrong += memory.get(k % 5).image.pixel(0, 0)[0] != k % 5;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(memory.kept() == 5);
}
