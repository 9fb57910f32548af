// nms and box_iou beside torchvision's on 1,000 random lists of boxes each.
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "detection/boxes.h"
#include "detection/nms.h"
#include "tests/catch.h"
#include "tests/regions.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

#include "tests/golden/boxes.h"

constexpr std::uint64_t kCases = 1000;

/// What follows repeats the formulas of tests/golden/boxes.py.
struct Draws {
  std::uint64_t at;

  std::int64_t below(std::uint32_t n) { return hashed(++at) % n; }
};

using Box = std::array<double, 4>;

Box make_box(std::int64_t kind, Draws& draws, const std::vector<Box>& boxes) {
  const auto d = [&](std::uint32_t n) { return static_cast<double>(draws.below(n)); };
  const auto of_list = [&] {
    return boxes[static_cast<std::size_t>(draws.below(static_cast<std::uint32_t>(boxes.size())))];
  };
  if (kind == 9) kind = draws.below(9);
  double x = d(24) - 5;  // one statement each: the order of the draws matters
  double y = d(24) - 5;
  double w = 4 + d(20);
  double h = 4 + d(20);
  if (kind == 1 && !boxes.empty() && draws.below(2)) return of_list();
  if (kind == 2) x = 10 * d(4), y = 10 * d(4), w = 10, h = 10;
  if (kind == 3) x = 0, y = 0, w = 10, h = 1 + d(10);
  if (kind == 4) w *= d(2), h *= d(2);
  if (kind == 5) w *= 2 * d(2) - 1, h *= 2 * d(2) - 1;
  if (kind == 6) x = 8000 * (x - 6), y = 100 * (y - 6), w *= 4000, h *= 100;
  if (kind == 7)
    for (double* v : {&x, &y, &w, &h}) *v = d(1 << 16) / 4096;
  if (kind == 8 && !boxes.empty()) {
    Box near = of_list();
    for (double& v : near) v += (d(65) - 32) / 32;
    return near;
  }
  return {x, y, x + w, y + h};
}

struct List {
  Tensor boxes;
  std::vector<Scalar> scores;
  double threshold;
};

List make_list(std::uint64_t c, std::uint64_t which) {
  Draws draws{1000 * (3 * c + which)};
  const std::int64_t count = c % 25 == which ? 0
                             : which == 0    ? 1 + draws.below(24)
                                             : 2 + draws.below(6);
  std::vector<Box> boxes;
  for (std::int64_t i = 0; i < count; ++i)
    boxes.push_back(make_box(static_cast<std::int64_t>(c % 10), draws, boxes));
  List list{Tensor({count, 4}), {}, 0};
  for (std::int64_t i = 0; i < 4 * count; ++i)
    list.boxes.data()[static_cast<std::size_t>(i)] = static_cast<Scalar>(
        boxes[static_cast<std::size_t>(i / 4)][static_cast<std::size_t>(i % 4)]);
  const std::uint32_t steps = c / 10 % 2 ? 4 : 1 << 16;
  for (std::int64_t i = 0; i < count; ++i)
    list.scores.push_back(static_cast<Scalar>(draws.below(steps)) / static_cast<Scalar>(steps));
  constexpr double kThresholds[] = {0.3, 0.5, 0.7, 0.45, 0.25, 0.75, 0, 1, 0.1, 0.6};
  list.threshold = kThresholds[draws.below(10)];
  return list;
}

/// FNV-1a over the bytes of the numbers, little end first.
std::uint32_t bits_hash(const Tensor& t) {
  using Bits = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
  std::uint32_t h = 2166136261u;
  for (const Scalar value : t.data()) {
    const Scalar v = value == 0 ? Scalar{0} : value;  // -0 is 0, too
    Bits bits;
    std::memcpy(&bits, &v, sizeof v);
    for (std::size_t byte = 0; byte < sizeof v; ++byte, bits >>= 8)
      h = (h ^ static_cast<std::uint32_t>(bits & 0xff)) * 16777619u;
  }
  return h;
}

}  // namespace

TEST_CASE("nms matches torchvision on 1,000 random lists", "[nms][boxes]") {
  REQUIRE(kGoldenNms.size() == kCases);
  for (std::uint64_t c = 0; c < kCases; ++c) {
    const List list = make_list(c, 0);
    const auto in_double = kGoldenNmsInDouble.find(c);
    const char* expected = sizeof(Scalar) == 8 && in_double != kGoldenNmsInDouble.end()
                               ? in_double->second
                               : kGoldenNms[c];
    std::string kept;
    for (const std::int64_t i : nms(list.boxes, list.scores, list.threshold))
      kept += static_cast<char>(i < 26 ? 'A' + i : 'a' + i - 26);
    INFO("case " << c << ", threshold " << list.threshold << ", boxes " << list.boxes.size(0)
                 << "; tests/golden/boxes.py " << c << " prints it");
    CHECK(kept == expected);
  }
}

TEST_CASE("box_iou matches torchvision's bits on 1,000 random pairs of lists", "[boxes]") {
  const auto& golden = sizeof(Scalar) == 4 ? kGoldenIou : kGoldenIouInDouble;
  REQUIRE(golden.size() == kCases);
  for (std::uint64_t c = 0; c < kCases; ++c) {
    const Tensor a = make_list(c, 1).boxes, b = make_list(c, 2).boxes, iou = box_iou(a, b);
    CAPTURE(a.to_vector(), b.to_vector(), iou.to_vector());
    INFO("case " << c << "; tests/golden/boxes.py " << c << " prints torchvision's matrix");
    CHECK(bits_hash(iou) == golden[c]);
  }
}
