#include <cmath>

#include "detection/anchors.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

void check_row(const Tensor& boxes, std::int64_t row, const std::vector<double>& expected) {
  INFO("anchor " << row);
  for (std::int64_t c = 0; c < 4; ++c)
    CHECK(static_cast<double>(boxes.at({row, c})) ==
          Approx(expected[static_cast<std::size_t>(c)]).margin(1e-3));
}

}  // namespace

TEST_CASE("anchors are centred on their cells, in row, column, size order", "[anchors]") {
  const AnchorGenerator generate({{ratio_box_sizes({16, 32}, {1}), 16}});
  CHECK(generate.num_anchors(0) == 2);
  const Tensor anchors = generate({{2, 3}});
  CHECK(anchors.shape() == Shape{12, 4});
  check_row(anchors, 0, {0, 0, 16, 16});
  check_row(anchors, 1, {-8, -8, 24, 24});
  check_row(anchors, 2, {16, 0, 32, 16});
  check_row(anchors, 6, {0, 16, 16, 32});
  check_row(anchors, 11, {24, 8, 56, 40});
}

TEST_CASE("ratio_box_sizes keep the area; the ratio is height over width", "[anchors]") {
  const auto sizes = ratio_box_sizes({128, 256}, {0.5, 1, 2});
  REQUIRE(sizes.size() == 6);
  CHECK(sizes[0].width == Approx(181.019336));
  CHECK(sizes[0].height == Approx(90.509668));
  CHECK(sizes[1].width == Approx(362.038672));
  CHECK(sizes[4].width == Approx(90.509668));
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(sizes[i].width * sizes[i].height == Approx(i % 2 == 0 ? 128 * 128 : 256 * 256));
}

TEST_CASE("anchors, rounded and moved to the cell's corner, are torchvision's", "[anchors]") {
  // golden/detection.py: its RPN generator rounds the corners of a box centred on 0 and adds
  // (column, row) * stride, without the half cell.
  const auto sizes = ratio_box_sizes({32}, {0.5, 1, 2});
  const auto compat = [&](std::int64_t i) {
    const auto [w, h] = sizes[static_cast<std::size_t>(i % 3)];
    const double x = static_cast<double>(i / 3 % 3) * 16, y = static_cast<double>(i / 9) * 16;
    return std::vector<double>{std::nearbyint(-w / 2) + x, std::nearbyint(-h / 2) + y,
                               std::nearbyint(w / 2) + x, std::nearbyint(h / 2) + y};
  };
  CHECK(compat(0) == std::vector<double>{-23, -11, 23, 11});
  CHECK(compat(4) == std::vector<double>{0, -16, 32, 16});
  CHECK(compat(8) == std::vector<double>{21, -23, 43, 23});
  CHECK(compat(9) == std::vector<double>{-23, 5, 23, 27});
  CHECK(compat(17) == std::vector<double>{21, -7, 43, 39});
  // Without rounding ours are the same but for the half cell.
  const Tensor ours = AnchorGenerator({{sizes, 16}})({{2, 3}});
  for (std::int64_t i = 0; i < 18; ++i)
    for (std::int64_t c = 0; c < 4; ++c)
      CHECK(std::abs(ours.at({i, c}) - 8 - compat(i)[static_cast<std::size_t>(c)]) <= 0.5);
  const double nine[9][2] = {{91, 45},   {181, 91}, {362, 181}, {64, 64},  {128, 128},
                             {256, 256}, {45, 91},  {91, 181},  {181, 362}};
  const auto large = ratio_box_sizes({128, 256, 512}, {0.5, 1, 2});
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(std::nearbyint(large[i].width / 2) == nine[i][0]);
    CHECK(std::nearbyint(large[i].height / 2) == nine[i][1]);
  }
}

TEST_CASE("SSD300 has 8732 default boxes, equal to torchvision's", "[anchors]") {
  const AnchorGenerator generate(ssd300_levels());
  const Tensor boxes = generate(ssd300_maps());
  CHECK(boxes.shape() == Shape{8732, 4});
  const std::vector<std::int64_t> per_cell{4, 6, 6, 6, 4, 4};
  for (int level = 0; level < 6; ++level)
    CHECK(generate.num_anchors(level) == per_cell[static_cast<std::size_t>(level)]);

  check_row(boxes, 0, {-11, -11, 19, 19});
  check_row(boxes, 1, {-17.213203, -17.213203, 25.213205, 25.213205});
  check_row(boxes, 2, {-17.213203, -6.606602, 25.213205, 14.606602});
  check_row(boxes, 3, {-6.606602, -17.213203, 14.606602, 25.213205});
  check_row(boxes, 5776, {-22, -22, 38, 38});
  check_row(boxes, 5777, {-32.804409, -32.804409, 48.804413, 48.804413});
  check_row(boxes, 5778, {-34.426407, -13.213204, 50.426411, 29.213203});
  check_row(boxes, 8731, {56.661907, -36.676186, 243.338089, 336.676178});
  double sum[4] = {0, 0, 0, 0};
  for (std::int64_t i = 0; i < 8732; ++i)
    for (std::int64_t c = 0; c < 4; ++c) sum[c] += static_cast<double>(boxes.at({i, c}));
  CHECK(sum[0] == Approx(1106619.612).epsilon(1e-6));
  CHECK(sum[3] == Approx(1559748.389).epsilon(1e-6));

  // The steps do not divide 300: centres of the last cells, as fractions of the image.
  const std::int64_t last_of_level[] = {5775, 7941, 8541, 8691, 8727, 8731};
  const double centre[] = {1.0, 0.986667, 1.013333, 0.96, 0.833333, 0.5};
  for (int level = 0; level < 6; ++level) {
    const std::int64_t i = last_of_level[level];
    CHECK((boxes.at({i, 0}) + boxes.at({i, 2})) / 600 == Approx(centre[level]).epsilon(1e-5));
  }
}

TEST_CASE("retinanet_levels: five maps, three ratios of three sides in octaves", "[anchors]") {
  const std::vector<AnchorLevel> levels = retinanet_levels();
  REQUIRE(levels.size() == 5);
  for (std::size_t k = 0; k < levels.size(); ++k) {
    INFO("level " << k);
    CHECK(levels[k].stride_px == Scalar(8 << k));
    REQUIRE(levels[k].sizes.size() == 9);
    // Each ratio's three sides: areas of 32^2 on the first map, four times that from map to map,
    // times 2^(2/3) from side to side.
    for (std::size_t i = 0; i < 9; ++i) {
      const auto [width, height] = levels[k].sizes[i];
      const double side = (32 << k) * std::exp2(double(i % 3) / 3);
      CHECK(double(width * height) == Approx(side * side));
      CHECK(double(height / width) == Approx(i < 3 ? .5 : i < 6 ? 1. : 2.));
    }
  }
  CHECK(double(levels[4].sizes[5].width) == Approx(512 * std::exp2(2. / 3)));  // 812.7 px
}

TEST_CASE("ssd_box_sizes of the first two maps", "[anchors]") {
  const double expected[6][2] = {{60, 60},           {81.6088, 81.6088},  {84.8528, 42.4264},
                                 {42.4264, 84.8528}, {103.9230, 34.6410}, {34.6410, 103.9230}};
  const auto sizes = ssd_box_sizes(60, 111, {2, 3});
  REQUIRE(sizes.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(sizes[i].width == Approx(expected[i][0]).epsilon(1e-5));
    CHECK(sizes[i].height == Approx(expected[i][1]).epsilon(1e-5));
  }
  CHECK(ssd_box_sizes(30, 0, {}).size() == 1);
}

TEST_CASE("SSD's default boxes on a map that is not square", "[anchors]") {
  // torchvision's DefaultBoxGenerator on 24 x 16 pixels, 2 x 3 cells, scales .2 and .375: its
  // sizes are fractions of both sides; in pixels that is one size table for each axis.
  const Scalar w = 24, h = 16;
  std::vector<BoxSize> sizes;
  for (const auto [width, height] : ssd_box_sizes(Scalar(0.2), Scalar(0.375), {2}))
    sizes.push_back({width * w, height * h});
  const Tensor boxes = AnchorGenerator({{sizes, 8}})({{2, 3}});
  REQUIRE(boxes.shape() == Shape{24, 4});
  check_row(boxes, 0, {1.6, 2.4, 6.4, 5.6});
  check_row(boxes, 1, {0.713665, 1.809110, 7.286336, 6.190890});
  check_row(boxes, 2, {0.605887, 2.868629, 7.394113, 5.131371});
  check_row(boxes, 3, {2.302944, 1.737258, 5.697056, 6.262742});
  check_row(boxes, 4, {9.6, 2.4, 14.4, 5.6});
  check_row(boxes, 23, {18.302944, 9.737258, 21.697056, 14.262742});
}

TEST_CASE("ssd_scales is the paper's formula", "[anchors]") {
  const auto scales = ssd_scales(5, Scalar(0.2), Scalar(0.9));
  const double expected[] = {0.2, 0.375, 0.55, 0.725, 0.9};
  for (std::size_t k = 0; k < 5; ++k) CHECK(scales[k] == Approx(expected[k]));
  CHECK(ssd_scales(1, Scalar(0.2), Scalar(0.9)).size() == 1);
}

TEST_CASE("anchors of several maps follow each other; a map may be empty", "[anchors]") {
  const AnchorGenerator generate({{{{4, 4}}, 8}, {{{8, 8}, {16, 16}}, 16}});
  const Tensor boxes = generate({{2, 2}, {1, 1}});
  CHECK(boxes.shape() == Shape{6, 4});
  check_row(boxes, 4, {4, 4, 12, 12});
  check_row(boxes, 5, {0, 0, 16, 16});
  CHECK(generate({{0, 3}, {1, 1}}).shape() == Shape{2, 4});
}

TEST_CASE("anchors explain what is wrong", "[anchors][errors]") {
  CHECK_THROWS_WITH(AnchorGenerator({}), "AnchorGenerator: at least one level is needed");
  CHECK_THROWS_WITH(AnchorGenerator({{{{1, 1}}, 0}}),
                    "AnchorGenerator: stride_px must be > 0, got 0 at level 0");
  CHECK_THROWS_WITH(AnchorGenerator({{{}, 8}}), "AnchorGenerator: level 0 has no sizes");
  CHECK_THROWS_WITH(AnchorGenerator({{{{4, -1}}, 8}}),
                    "AnchorGenerator: sizes must be > 0, got 4 x -1 at level 0");
  CHECK_THROWS_WITH(AnchorGenerator({{{{4, 4}}, 8}})({}),
                    "AnchorGenerator: one map size per level is needed, 1, got 0");
  CHECK_THROWS_AS(ratio_box_sizes({32}, {0}), std::invalid_argument);
  CHECK_THROWS_AS(ssd_box_sizes(60, 30, {2}), std::invalid_argument);
}
