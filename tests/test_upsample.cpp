// layers/upsample.h.
#include "core/ops.h"
#include "core/random.h"
#include "layers/upsample.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

TEST_CASE("upsample_nearest repeats cells", "[upsample]") {
  const Tensor x({1, 2, 2, 1}, {1, 2, 3, 4});
  CHECK(upsample_nearest(x, 4, 4).to_vector() ==
        std::vector<Scalar>{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4});
  // floor(i * 2 / 3) = 0 0 1, floor(j * 2 / 5) = 0 0 0 1 1, as torch.
  CHECK(upsample_nearest(x, 3, 5).to_vector() ==
        std::vector<Scalar>{1, 1, 1, 2, 2, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4});
  CHECK(upsample_nearest(x, 1, 1).to_vector() == std::vector<Scalar>{1});
  CHECK(upsample_nearest(x, 2, 2).to_vector() == x.to_vector());
  const Tensor two({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(upsample_nearest(two, 1, 3).to_vector() ==
        std::vector<Scalar>{1, 2, 1, 2, 3, 4, 5, 6, 5, 6, 7, 8});
}

TEST_CASE("upsample_nearest gradient", "[upsample][gradcheck]") {
  Random random(2);
  const Tensor x = Tensor::randn({2, 3, 2, 2}, random);
  for (const auto& [height, width] : {std::pair{6, 4}, {5, 3}, {4, 7}, {2, 2}, {1, 1}})
    check_gradients([&](const auto& in) { return upsample_nearest(in[0], height, width); }, {x});
  check_gradients(
      [&](const auto& in) {  // used twice: the second gradient is added to the first
        return upsample_nearest(in[0], 6, 4) + upsample_nearest(in[0] * in[0], 6, 4);
      },
      {x});
}

TEST_CASE("upsample_nearest explains what does not fit", "[upsample][errors]") {
  CHECK_THROWS_WITH(upsample_nearest(Tensor({2, 2}), 4, 4),
                    "upsample_nearest: x must be [N, H, W, C] with H and W > 0, got [2, 2]");
  CHECK_THROWS_WITH(upsample_nearest(Tensor({1, 2, 2, 1}), 0, 4),
                    "upsample_nearest: height and width must be >= 1, got 0 x 4");
}
