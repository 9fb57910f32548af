#include "core/random.h"
#include "detection/doctor/anchor_clusters.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("size_iou lays boxes centre on centre", "[doctor][clusters]") {
  CHECK(size_iou({4, 4}, {4, 4}) == 1);
  CHECK(size_iou({4, 4}, {2, 2}) == Approx(0.25));
  CHECK(size_iou({4, 1}, {1, 4}) == Approx(1. / 7));
}

TEST_CASE("cluster_sizes finds the groups that boxes were drawn from", "[doctor][clusters]") {
  const std::vector<BoxSize> groups{{10, 20}, {30, 30}, {120, 60}};
  Random random(4);
  std::vector<BoxSize> boxes;
  for (int i = 0; i < 600; ++i) {
    const BoxSize& group = groups[static_cast<std::size_t>(i % 3)];
    boxes.push_back({group.width * static_cast<Scalar>(random.uniform(0.9, 1.1)),
                     group.height * static_cast<Scalar>(random.uniform(0.9, 1.1))});
  }
  const AnchorClusters found = cluster_sizes(boxes, 3);
  REQUIRE(found.sizes.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(found.sizes[k].width == Approx(groups[k].width).epsilon(0.02));
    CHECK(found.sizes[k].height == Approx(groups[k].height).epsilon(0.02));
  }
  CHECK(found.mean_iou > 0.88);
  CHECK(found.matched == 1);
  // The same seed, the same answer; another seed finds the same groups here.
  CHECK(cluster_sizes(boxes, 3).mean_iou == found.mean_iou);
  CHECK(cluster_sizes(boxes, 3, 7).mean_iou == Approx(found.mean_iou).epsilon(1e-3));
  // More sizes never fit worse here, and one size is a compromise.
  const double one = cluster_sizes(boxes, 1).mean_iou, two = cluster_sizes(boxes, 2).mean_iou;
  CHECK(one < two);
  CHECK(two < found.mean_iou);
}

TEST_CASE("cluster_sizes takes what there is", "[doctor][clusters]") {
  CHECK(cluster_sizes({{5, 7}, {5, 7}, {5, 7}}, 4).sizes.size() == 1);
  const AnchorClusters both = cluster_sizes({{5, 7}, {50, 70}}, 6);
  REQUIRE(both.sizes.size() == 2);
  CHECK(both.mean_iou == Approx(1));
  CHECK_THROWS_WITH(cluster_sizes({}, 3), "cluster_sizes: there are no boxes");
  CHECK_THROWS_WITH(cluster_sizes({{1, 1}}, 0), "cluster_sizes: count must be >= 1, got 0");
  CHECK_THROWS_WITH(cluster_sizes({{1, 0}}, 1),
                    "cluster_sizes: a box must have an area, got 1 x 0");
}
