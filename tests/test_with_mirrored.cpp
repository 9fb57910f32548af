// detection/data/with_mirrored.h.
#include "core/check.h"
#include "detection/data/with_mirrored.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Pictures of 8 x 4 with a mark at the left, a box and two proposals.
class Marked : public Dataset {
 public:
  std::int64_t size() const override { return 3; }
  Sample get(std::int64_t index) const override {
    Sample sample{.image = Image(8, 4, Color{9, 9, 9}), .name = concat("picture ", index)};
    sample.image.pixel(0, 2)[1] = static_cast<std::uint8_t>(100 + index);
    sample.target = {.boxes = Tensor({1, 4}, {1, 0, 6, 4}), .labels = {1}, .difficult = {true}};
    sample.proposals = Tensor({2, 4}, {0, 0, 4, 4, 3, 2, 8, 4});
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<std::string> names_{"thing"};
};

}  // namespace

TEST_CASE("WithMirrored: each sample, and then each mirrored", "[with_mirrored]") {
  const Marked data;
  const WithMirrored both(data);
  CHECK(both.size() == 6);
  CHECK(both.class_names() == data.class_names());
  for (std::int64_t i = 0; i < 3; ++i) {
    INFO(i);
    const Sample plain = both.get(i), mirrored = both.get(3 + i);
    CHECK(plain.name == concat("picture ", i));
    CHECK(plain.image.pixel(0, 2)[1] == 100 + i);
    CHECK(plain.target.boxes.to_vector() == std::vector<Scalar>{1, 0, 6, 4});
    CHECK(mirrored.name == concat("picture ", i, ", mirrored"));
    CHECK(mirrored.image.pixel(7, 2)[1] == 100 + i);
    CHECK(mirrored.image.pixel(0, 2)[1] == 9);
    CHECK(mirrored.target.boxes.to_vector() == std::vector<Scalar>{2, 0, 7, 4});
    CHECK(mirrored.target.labels == plain.target.labels);
    CHECK(mirrored.target.difficult == plain.target.difficult);
    CHECK(mirrored.proposals.to_vector() == std::vector<Scalar>{4, 0, 8, 4, 0, 2, 5, 4});
  }
}

TEST_CASE("WithMirrored explains an index that there is not", "[with_mirrored][errors]") {
  const Marked data;
  const WithMirrored both(data);
  CHECK_THROWS_WITH(both.get(6), "WithMirrored: index must be in [0, 6), got 6");
  CHECK_THROWS_WITH(both.get(-1), "WithMirrored: index must be in [0, 6), got -1");
}
