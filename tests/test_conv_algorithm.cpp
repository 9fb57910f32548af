#include "layers/conv.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

ConvShape shape(const Shape& x, const Shape& weight, const Conv2dOptions& options = {}) {
  return conv_shape(x, weight, options);
}

/// Puts the limit back, whatever a test does.
struct Limit {
  int before = winograd_limit();
  ~Limit() { set_winograd_limit(before); }
};

}  // namespace

TEST_CASE("conv2d chooses an algorithm by the shape", "[conv]") {
  const Limit limit;
  set_winograd_limit(4);
  const auto chosen = [](const Shape& x, const Shape& weight, const Conv2dOptions& options) {
    return choose_conv_algorithm(shape(x, weight, options));
  };
  CHECK(chosen({1, 8, 8, 16}, {3, 3, 1, 16}, {.padding = 1, .groups = 16}) ==
        ConvAlgorithm::depthwise);
  CHECK(chosen({1, 8, 8, 16}, {1, 1, 16, 4}, {}) == ConvAlgorithm::pointwise);
  CHECK(chosen({1, 8, 8, 16}, {1, 1, 16, 4}, {.stride = 2}) == ConvAlgorithm::im2col);
  CHECK(chosen({1, 8, 8, 16}, {1, 1, 16, 4}, {.padding = 1}) == ConvAlgorithm::im2col);
  CHECK(chosen({1, 8, 8, 3}, {3, 3, 3, 16}, {.padding = 1}) == ConvAlgorithm::narrow);
  CHECK(chosen({1, 8, 8, 16}, {3, 3, 8, 4}, {.padding = 1, .groups = 2}) == ConvAlgorithm::im2col);

  // 3x3 with stride 1: many tiles, fewer, hardly any, few channels.
  CHECK(chosen({8, 56, 56, 64}, {3, 3, 64, 64}, {.padding = 1}) == ConvAlgorithm::winograd4);
  CHECK(chosen({1, 14, 14, 512}, {3, 3, 512, 512}, {.padding = 1}) == ConvAlgorithm::winograd2);
  // The smallest maps: one image has too few tiles to transform the filters for.
  CHECK(chosen({1, 7, 7, 512}, {3, 3, 512, 512}, {.padding = 1}) == ConvAlgorithm::im2col);
  CHECK(chosen({2, 7, 7, 512}, {3, 3, 512, 512}, {.padding = 1}) == ConvAlgorithm::winograd2);
  CHECK(chosen({8, 7, 7, 512}, {3, 3, 512, 512}, {.padding = 1}) == ConvAlgorithm::winograd4);
  CHECK(chosen({8, 56, 56, 64}, {3, 3, 64, 8}, {.padding = 1}) == ConvAlgorithm::few_outputs);
  CHECK(chosen({8, 56, 56, 24}, {3, 3, 24, 8}, {.padding = 1}) == ConvAlgorithm::im2col);
  CHECK(chosen({8, 56, 56, 64}, {3, 3, 64, 8}, {.stride = 2, .padding = 1}) ==
        ConvAlgorithm::im2col);
  CHECK(chosen({8, 56, 56, 64}, {3, 3, 64, 64}, {.stride = 2, .padding = 1}) ==
        ConvAlgorithm::im2col);
  CHECK(chosen({8, 56, 56, 64}, {3, 3, 64, 64}, {.padding = 2, .dilation = 2}) ==
        ConvAlgorithm::im2col);
}

TEST_CASE("the largest Winograd tile can be limited", "[conv]") {
  const Limit limit;
  const ConvShape many = shape({8, 56, 56, 64}, {3, 3, 64, 64}, {.padding = 1});
  set_winograd_limit(2);
  CHECK(winograd_limit() == 2);
  CHECK(choose_conv_algorithm(many) == ConvAlgorithm::winograd2);
  set_winograd_limit(0);
  CHECK(choose_conv_algorithm(many) == ConvAlgorithm::im2col);
  CHECK_THROWS_WITH(set_winograd_limit(3), "set_winograd_limit: m must be 0, 2 or 4, got 3");
}

TEST_CASE("the choice of an algorithm is explained", "[conv]") {
  const Limit limit;
  set_winograd_limit(4);
  CHECK(explain_conv_algorithm(shape({1, 8, 8, 3}, {3, 3, 3, 16})) ==
        "narrow: only 3 input channels");
  CHECK(explain_conv_algorithm(shape({1, 8, 8, 16}, {1, 1, 16, 4})) ==
        "pointwise: 1x1, a matrix product over all pixels");
  CHECK(explain_conv_algorithm(shape({1, 8, 8, 16}, {3, 3, 1, 16}, {.groups = 16})) ==
        "depthwise: each channel has its own filter");
  CHECK(explain_conv_algorithm(shape({1, 8, 8, 64}, {3, 3, 64, 6})) ==
        "few_outputs: only 6 output channels");
  CHECK(explain_conv_algorithm(shape({1, 8, 8, 16}, {5, 5, 16, 16})) ==
        "im2col: not 3x3 with stride 1, dilation 1 and one group");
  // SSD300's fc6.
  CHECK(explain_conv_algorithm(
            shape({1, 19, 19, 512}, {3, 3, 512, 1024}, {.padding = 6, .dilation = 6})) ==
        "im2col: not 3x3 with stride 1, dilation 1 and one group");
  CHECK(explain_conv_algorithm(shape({1, 8, 8, 8}, {3, 3, 8, 16})) == "im2col: below 16 channels");
  const ConvShape many = shape({8, 56, 56, 64}, {3, 3, 64, 64}, {.padding = 1});
  CHECK(explain_conv_algorithm(many) ==
        "winograd4: cost 57888 for 1568 tiles of 4x4, 100992 for 6272 of 2x2, 361267 for im2col");
  set_winograd_limit(0);
  CHECK(explain_conv_algorithm(many) == "im2col: Winograd is switched off");
}

TEST_CASE("a forced algorithm is taken, if it covers the shape", "[conv][errors]") {
  const ConvShape plain = shape({1, 8, 8, 16}, {3, 3, 16, 16}, {.padding = 1});
  CHECK(conv_algorithm(plain, ConvAlgorithm::automatic) == choose_conv_algorithm(plain));
  CHECK(conv_algorithm(plain, ConvAlgorithm::direct) == ConvAlgorithm::direct);
  CHECK(explain_conv_algorithm(plain, ConvAlgorithm::direct) == "direct: as the caller said");
  const ConvShape halved = shape({1, 8, 8, 16}, {3, 3, 8, 16}, {.padding = 1, .groups = 2});
  CHECK_THROWS_WITH(conv_algorithm(halved, ConvAlgorithm::narrow),
                    "conv2d: algorithm narrow does not cover input [1, 8, 8, 16] with weight "
                    "[3, 3, 8, 16] and these options; use automatic");
}
