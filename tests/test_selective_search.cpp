#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "core/draw.h"
#include "core/parallel.h"
#include "detection/proposals/proposals.h"
#include "detection/proposals/selective_search.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Two squares, one within the other, and a bar, on grey.
Image drawn() {
  Image image(96, 64, 90, 90, 90);
  fill_rectangle(image, 10, 12, 50, 52, {230, 60, 30});
  fill_rectangle(image, 20, 22, 40, 42, {30, 60, 230});
  fill_rectangle(image, 64, 8, 84, 58, {40, 200, 60});
  return image;
}

const Tensor kDrawnBoxes({3, 4}, {10, 12, 50, 52, 20, 22, 40, 42, 64, 8, 84, 58});

/// One strategy on segments of at least a few pixels.
SelectiveSearchOptions one_strategy(ColorSpace space = ColorSpace::rgb) {
  SelectiveSearchOptions options;
  options.strategies = {{space, {}, 50}};
  options.sigma = 0;
  return options;
}

}  // namespace

TEST_CASE("selective_search finds drawn objects exactly", "[selective_search]") {
  const Tensor boxes = selective_search(drawn(), one_strategy());
  CHECK(boxes.size(0) >= 4);
  CHECK(boxes.size(0) <= 7);  // four segments
  CHECK(best_overlaps(boxes, kDrawnBoxes) == std::vector<Scalar>(3, 1));
  CHECK(best_overlaps(boxes, Tensor({1, 4}, {0, 0, 96, 64})) == std::vector<Scalar>{1});
  // Smoothing moves a border by a pixel at most.
  CHECK(recall_at(selective_search(drawn()), kDrawnBoxes, .8) == 1);
}

TEST_CASE("selective_search: no box twice, all inside", "[selective_search]") {
  const Tensor boxes = selective_search(drawn());
  std::set<std::vector<Scalar>> seen;
  for (std::int64_t i = 0; i < boxes.size(0); ++i) {
    const std::vector<Scalar> box{boxes.at({i, 0}), boxes.at({i, 1}), boxes.at({i, 2}),
                                  boxes.at({i, 3})};
    CHECK(seen.insert(box).second);
    CHECK((box[0] >= 0 && box[0] < box[2] && box[2] <= 96));
    CHECK((box[1] >= 0 && box[1] < box[3] && box[3] <= 64));
  }
}

TEST_CASE("selective_search: a picture without contrast is one box", "[selective_search]") {
  CHECK(selective_search(Image(40, 30, 7, 7, 7)).to_vector() == std::vector<Scalar>{0, 0, 40, 30});
  CHECK(selective_search(Image(1, 1)).to_vector() == std::vector<Scalar>{0, 0, 1, 1});
}

TEST_CASE("selective_search: options cut the list", "[selective_search]") {
  SelectiveSearchOptions options = SelectiveSearchOptions::preset("fast");
  const Tensor all = selective_search(drawn(), options);
  options.max_boxes = 3;
  const Tensor first = selective_search(drawn(), options);
  REQUIRE(first.shape() == Shape{3, 4});
  for (int i = 0; i < 3; ++i) CHECK(first.at({i, 2}) == all.at({i, 2}));
  options.max_boxes = 0;
  options.min_side_px = 25;
  const Tensor large = selective_search(drawn(), options);
  CHECK(large.size(0) < all.size(0));
  for (std::int64_t i = 0; i < large.size(0); ++i) {
    CHECK(large.at({i, 2}) - large.at({i, 0}) >= 25);
    CHECK(large.at({i, 3}) - large.at({i, 1}) >= 25);
  }
}

TEST_CASE("selective_search: a resized picture gives boxes of the given one",
          "[selective_search]") {
  SelectiveSearchOptions options = one_strategy();
  options.resize_width_px = 192;
  CHECK(recall_at(selective_search(drawn(), options), kDrawnBoxes, .95) == 1);
  options.resize_width_px = 48;
  CHECK(recall_at(selective_search(drawn(), options), kDrawnBoxes, .8) == 1);
}

TEST_CASE("selective_search: the ranking starts with large regions, mixed by the seed",
          "[selective_search]") {
  const auto rows = [](const Tensor& boxes) {
    std::vector<std::array<Scalar, 4>> list;
    for (std::int64_t i = 0; i < boxes.size(0); ++i)
      list.push_back({boxes.at({i, 0}), boxes.at({i, 1}), boxes.at({i, 2}), boxes.at({i, 3})});
    return list;
  };
  Image tiles(96, 64, 0, 0, 0);  // 24 of them, no two alike
  for (int k = 0; k < 24; ++k)
    fill_rectangle(
        tiles, 16 * (k % 6), 16 * (k / 6), 16 * (k % 6) + 16, 16 * (k / 6) + 16,
        {static_cast<std::uint8_t>(20 + 40 * (k % 6)), static_cast<std::uint8_t>(20 + 60 * (k / 6)),
         static_cast<std::uint8_t>((97 * k) % 256)});
  SelectiveSearchOptions options = one_strategy();
  auto reference = rows(selective_search(tiles, options));
  const std::array<Scalar, 4> root{0, 0, 96, 64};
  std::ranges::sort(reference);
  const auto count = static_cast<double>(reference.size());
  REQUIRE(count > 25);
  // A region's place is its number from the root, 1, 2, ..., times u in [0, 1): the root's is u, and
  // before it are those whose own u is small enough, sum over k of 1 / (2 k) of them in the mean.
  double harmonic = 0, before_root = 0;
  for (std::size_t k = 2; k <= reference.size(); ++k) harmonic += 0.5 / static_cast<double>(k);
  constexpr int kSeeds = 40;
  std::vector<std::vector<std::array<Scalar, 4>>> orders;
  for (int seed = 0; seed < kSeeds; ++seed) {
    options.seed = static_cast<std::uint64_t>(seed);
    orders.push_back(rows(selective_search(tiles, options)));
    before_root +=
        static_cast<double>(std::ranges::find(orders.back(), root) - orders.back().begin()) /
        kSeeds;
    auto sorted = orders.back();
    std::ranges::sort(sorted);
    CHECK(sorted == reference);  // the same boxes
  }
  CHECK(orders[0] != orders[1]);
  CHECK(before_root < 1.3 * harmonic);
  CHECK(before_root < (count - 1) / 3);  // anywhere would be half
}

TEST_CASE("selective_search: the same bits for any number of threads", "[selective_search]") {
  const int before = num_threads();
  set_num_threads(1);
  const std::vector<Scalar> one = selective_search(drawn()).to_vector();
  for (const int threads : {2, 3, 7}) {
    set_num_threads(threads);
    CHECK(selective_search(drawn()).to_vector() == one);
  }
  set_num_threads(before);
}

TEST_CASE("SelectiveSearchOptions: the paper's presets", "[selective_search]") {
  CHECK(SelectiveSearchOptions::preset("single").strategies.size() == 1);
  CHECK(SelectiveSearchOptions::preset("fast").strategies.size() == 8);
  CHECK(SelectiveSearchOptions::preset("quality").strategies.size() == 80);
  CHECK(to_string(SelectiveSearchOptions::preset("fast")) ==
        "selective search, strategies hsv/C+T+S+F/50 hsv/T+S+F/50 hsv/C+T+S+F/100 hsv/T+S+F/100 "
        "lab/C+T+S+F/50 lab/T+S+F/50 lab/C+T+S+F/100 lab/T+S+F/100, sigma 0.80000000000000004, "
        "width 0, min side 0, at most 0, seed 0");
  CHECK(to_string(SelectiveSearchOptions::preset("single")) ==
        "selective search, strategies hsv/C+T+S+F/100, sigma 0.80000000000000004, width 0, min "
        "side 0, at most 0, seed 0");
  CHECK_THROWS_WITH(SelectiveSearchOptions::preset("best"),
                    "SelectiveSearchOptions: preset must be single, fast or quality, got \"best\"");
}

TEST_CASE("selective_search explains a wrong option", "[selective_search][errors]") {
  const auto fails = [](auto change, const char* text) {
    SelectiveSearchOptions options = one_strategy();
    change(options);
    CHECK_THROWS_WITH(selective_search(drawn(), options), ContainsSubstring(text));
  };
  using O = SelectiveSearchOptions;
  fails([](O& o) { o.strategies.clear(); }, "strategies must not be empty");
  fails([](O& o) { o.strategies[0].k = -1; }, "k must be >= 0, got -1");
  fails([](O& o) { o.strategies[0].terms = {false, false, false, false}; }, "at least one term");
  fails([](O& o) { o.sigma = -1; }, "sigma must be from 0 to 100");
  fails([](O& o) { o.resize_width_px = -1; }, "resize_width_px must be >= 0");
  fails([](O& o) { o.resize_width_px = 70000; }, "at most 65535");
  fails([](O& o) { o.min_side_px = -1; }, "min_side_px must be >= 0");
  fails([](O& o) { o.max_boxes = -1; }, "max_boxes must be >= 0");
  CHECK_THROWS_WITH(selective_search(Image()), "selective_search: the image has no pixels");
}
