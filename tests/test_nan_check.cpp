#include <limits>

#include "core/nan_check.h"
#include "core/ops.h"
#include "tests/catch.h"

using namespace boxgrad;

TEST_CASE("NonFiniteCheck names the first op that is not finite", "[nan_check]") {
  const NonFiniteCheck check;
  Tensor x({2}, {1, 0});
  x.requires_grad_();
  const ModuleScope scope("head");
  CHECK_THROWS_WITH(
      exp(log(x)),
      "op \"log\" in module \"head\" gave a value of shape [2] whose element 1 is -inf");
  // sqrt(0) is finite, its slope is not.
  const Tensor y = sum(sqrt(x));
  try {
    y.backward();
    FAIL("nothing was thrown");
  } catch (const NonFiniteError& error) {
    CHECK(
        std::string(error.what()) ==
        "the backward of op \"sqrt\" in module \"head\" gave a gradient of shape [2] whose element "
        "1 is inf");
    CHECK(error.op == "sqrt");
    CHECK(error.backward);
  }
}

TEST_CASE("NonFiniteCheck does not blame an op for its inputs", "[nan_check]") {
  const Tensor good({2}, {1, 2}), bad({2}, {1, std::numeric_limits<Scalar>::infinity()});
  const NonFiniteCheck check;
  CHECK_THROWS_WITH(add(good, bad),
                    "op \"add\" outside of any module gave a value of shape [2] whose element 1 is "
                    "inf; its input 1 was not finite already");
}

TEST_CASE("find_non_finite", "[nan_check]") {
  const std::vector<Scalar> numbers = {1, 2, std::numeric_limits<Scalar>::quiet_NaN()};
  CHECK(find_non_finite(numbers) == 2);
  CHECK(find_non_finite(std::span(numbers).first(2)) == -1);
}
