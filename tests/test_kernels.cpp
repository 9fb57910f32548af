#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "layers/conv.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv2d_direct.h"
#include "layers/kernels/depthwise.h"
#include "layers/kernels/few_outputs.h"
#include "layers/kernels/im2col.h"
#include "layers/kernels/narrow.h"
#include "layers/kernels/pointwise.h"
#include "layers/kernels/scratch.h"
#include "layers/kernels/winograd.h"
#include "tests/catch.h"
#include "tests/kernel_numbers.h"

using namespace boxgrad;

namespace {

struct Kernels {
  const char* name;
  ConvAlgorithm algorithm;
  void (*forward)(const ConvShape&, const Scalar*, const Scalar*, const BiasActivation&, Scalar*);
  void (*input_gradient)(const ConvShape&, const Scalar*, const Scalar*, Scalar, Scalar*);
  void (*weight_gradient)(const ConvShape&, const Scalar*, const Scalar*, Scalar, Scalar*);
  double tolerance = kTolerance;
};
const Kernels kIm2col{"im2col", ConvAlgorithm::im2col, im2col_forward, im2col_input_gradient,
                      im2col_weight_gradient};
const Kernels kPointwise{"pointwise", ConvAlgorithm::pointwise, pointwise_forward,
                         pointwise_input_gradient, pointwise_weight_gradient};
const Kernels kDepthwise{"depthwise", ConvAlgorithm::depthwise, depthwise_forward,
                         depthwise_input_gradient, depthwise_weight_gradient};

const Kernels kNarrow{"narrow", ConvAlgorithm::narrow, narrow_forward, narrow_input_gradient,
                      narrow_weight_gradient};
const Kernels kFewOutputs{"few_outputs", ConvAlgorithm::few_outputs, few_outputs_forward,
                          im2col_input_gradient, few_outputs_weight_gradient};

template <int m>
const Kernels kWinograd{
    m == 2 ? "winograd2" : "winograd4",
    m == 2 ? ConvAlgorithm::winograd2 : ConvAlgorithm::winograd4,
    [](const ConvShape& s, const Scalar* x, const Scalar* w, const BiasActivation& epilogue,
       Scalar* y) { winograd_forward(m, s, x, w, epilogue, y); },
    [](const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta, Scalar* dx) {
      winograd_input_gradient(m, s, dy, w, beta, dx);
    },
    [](const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta, Scalar* dw) {
      winograd_weight_gradient(m, s, x, dy, beta, dw);
    },
    sizeof(Scalar) == 8 ? 1e-12
    : m == 2            ? 1e-5
                        : 1e-4};

void check_against_definition(const Kernels& fast, const Shape& x_shape, const Shape& w_shape,
                              const Conv2dOptions& options) {
  const ConvShape s = conv_shape(x_shape, w_shape, options);
  INFO(fast.name << " input " << x_shape << " weight " << w_shape << " stride " << options.stride.h
                 << "," << options.stride.w << " dilation " << options.dilation.h << ","
                 << options.dilation.w << " padding " << options.padding.top << ","
                 << options.padding.bottom << "," << options.padding.left << ","
                 << options.padding.right << " groups " << options.groups);
  REQUIRE(conv_algorithm_covers(fast.algorithm, s));
  const auto x = random_numbers(x_shape.numel(), 1), w = random_numbers(w_shape.numel(), 2);
  const auto dy = random_numbers(s.out_pixels() * s.out_c, 3), bias = random_numbers(s.out_c, 4);

  std::vector<Scalar> expected(dy.size()), got(dy.size(), NAN);
  conv2d_direct(s, x.data(), w.data(), expected.data());
  fast.forward(s, x.data(), w.data(), {}, got.data());
  CHECK(difference(got, expected) < fast.tolerance);

  const BiasActivation epilogue{bias.data(), Activation::relu};
  epilogue.apply(expected.data(), s.out_pixels(), s.out_c);
  std::fill(got.begin(), got.end(), NAN);
  fast.forward(s, x.data(), w.data(), epilogue, got.data());
  CHECK(difference(got, expected) < fast.tolerance);

  // beta = 0 must not read the old numbers (NaN), beta = 1 must add to them.
  for (const Scalar beta : {Scalar{0}, Scalar{1}}) {
    INFO("beta " << beta);
    const Scalar nothing = static_cast<Scalar>(NAN);
    expected = got = beta == 0 ? std::vector<Scalar>(x.size(), nothing) : x;
    conv2d_direct_input_gradient(s, dy.data(), w.data(), beta, expected.data());
    fast.input_gradient(s, dy.data(), w.data(), beta, got.data());
    CHECK(difference(got, expected) < fast.tolerance);

    expected = got = beta == 0 ? std::vector<Scalar>(w.size(), nothing) : w;
    conv2d_direct_weight_gradient(s, x.data(), dy.data(), beta, expected.data());
    fast.weight_gradient(s, x.data(), dy.data(), beta, got.data());
    CHECK(difference(got, expected) < fast.tolerance);
  }
}

const std::vector<Padding> kPaddings = {0, 1, {0, 1, 2, 0}, {2, 3, 1, 2}};

}  // namespace

TEST_CASE("im2col equals the definition", "[kernels]") {
  for (const auto& [kh, kw] : {std::pair{1, 1}, {3, 3}, {2, 3}, {5, 1}})
    for (const PerAxis stride : {PerAxis(1), PerAxis(2), PerAxis(1, 3), PerAxis(4)})
      for (const PerAxis dilation : {PerAxis(1), PerAxis(2), PerAxis(2, 3)})
        for (const Padding& padding : kPaddings)
          check_against_definition(kIm2col, {2, 9, 11, 4}, {kh, kw, 4, 5},
                                   {.stride = stride, .padding = padding, .dilation = dilation});
}

TEST_CASE("im2col equals the definition for every number of channels", "[kernels]") {
  for (const int in : {1, 3, 5, 16, 17, 32})
    for (const int out : {1, 3, 16, 17})
      for (const PerAxis stride : {PerAxis(1), PerAxis(2)})
        check_against_definition(kIm2col, {3, 7, 5, in}, {3, 3, in, out},
                                 {.stride = stride, .padding = 1});
}

TEST_CASE("im2col equals the definition with groups", "[kernels]") {
  for (const int groups : {2, 3, 6})
    for (const PerAxis stride : {PerAxis(1), PerAxis(2)})
      check_against_definition(kIm2col, {2, 6, 8, 6}, {3, 3, 6 / groups, 12},
                               {.stride = stride, .padding = 1, .groups = groups});
}

TEST_CASE("im2col equals the definition where a task owns rows of the gradient", "[kernels]") {
  // More weights than one partial sum may have; also more pixels than one block.
  check_against_definition(kIm2col, {2, 7, 5, 160}, {3, 3, 160, 192}, {.padding = 1});
  check_against_definition(kIm2col, {1, 5, 7, 96}, {2, 3, 48, 1024},
                           {.stride = 2, .padding = {1, 0, 0, 1}, .groups = 2});
  check_against_definition(kIm2col, {1, 90, 70, 3}, {3, 3, 3, 4}, {.stride = 2, .padding = 1});
}

TEST_CASE("pointwise equals the definition", "[kernels]") {
  for (const int in : {1, 3, 5, 16, 17, 32})
    for (const int out : {1, 3, 16, 17, 32})
      for (const Shape& map : {Shape{1, 1, 1, 1}, Shape{2, 7, 5, 1}, Shape{3, 19, 23, 1}})
        check_against_definition(kPointwise, {map[0], map[1], map[2], in}, {1, 1, in, out}, {});
  // So many weights that BLAS makes their gradient.
  check_against_definition(kPointwise, {1, 5, 7, 300}, {1, 1, 300, 260}, {});
}

TEST_CASE("depthwise equals the definition", "[kernels]") {
  for (const auto& [kh, kw] : {std::pair{3, 3}, {1, 1}, {5, 2}, {2, 5}})
    for (const PerAxis stride : {PerAxis(1), PerAxis(2), PerAxis(3, 1)})
      for (const PerAxis dilation : {PerAxis(1), PerAxis(2), PerAxis(1, 2)})
        for (const Padding& padding : kPaddings)
          check_against_definition(
              kDepthwise, {2, 12, 11, 5}, {kh, kw, 1, 5},
              {.stride = stride, .padding = padding, .dilation = dilation, .groups = 5});
}

TEST_CASE("depthwise equals the definition for every number of channels", "[kernels]") {
  for (const int channels : {1, 3, 5, 16, 17, 32, 40})
    for (const auto& [h, w] : {std::pair{1, 1}, {2, 3}, {7, 7}, {14, 9}, {30, 33}})
      for (const PerAxis stride : {PerAxis(1), PerAxis(2)})
        check_against_definition(kDepthwise, {3, h, w, channels}, {3, 3, 1, channels},
                                 {.stride = stride, .padding = 1, .groups = channels});
}

TEST_CASE("narrow equals the definition", "[kernels]") {
  for (const auto& [kh, kw] : {std::pair{3, 3}, {1, 1}, {7, 7}, {2, 5}})
    for (const PerAxis stride : {PerAxis(1), PerAxis(2), PerAxis(3, 1)})
      for (const Padding& padding : kPaddings)
        for (const int in : {1, 3, 4})
          for (const int out : {1, 17, 40})
            check_against_definition(kNarrow, {2, 14, 11, in}, {kh, kw, in, out},
                                     {.stride = stride, .padding = padding, .dilation = {2, 1}});
}

TEST_CASE("few_outputs equals the definition", "[kernels]") {
  for (const Padding& padding : kPaddings)
    for (const auto& [h, w] : {std::pair{3, 3}, {4, 9}, {25, 7}})
      for (const PerAxis kernel : {PerAxis{1, 3}, {3, 3}, {2, 4}}) {
        if (h + padding.top + padding.bottom < kernel.h) continue;
        if (w + padding.left + padding.right < kernel.w) continue;
        check_against_definition(kFewOutputs, {2, h, w, 5}, {kernel.h, kernel.w, 5, 3},
                                 {.padding = padding});
      }
  for (const int dilation : {2, 6})
    check_against_definition(kFewOutputs, {3, 19, 14, 40}, {3, 3, 40, 12},
                             {.padding = dilation, .dilation = dilation});
  // More than one band and part of an image, and more padding than the filter reaches.
  check_against_definition(kFewOutputs, {1, 70, 40, 17}, {5, 3, 17, 15}, {.padding = 2});
  check_against_definition(kFewOutputs, {1, 4, 4, 8}, {3, 3, 8, 1}, {.padding = 5});
}

TEST_CASE("winograd equals the definition", "[kernels]") {
  for (const Kernels& kernels : {kWinograd<2>, kWinograd<4>}) {
    for (const Padding& padding : kPaddings)
      for (const auto& [h, w] : {std::pair{3, 3}, {4, 4}, {5, 8}, {6, 7}, {9, 11}})
        check_against_definition(kernels, {2, h, w, 5}, {3, 3, 5, 7}, {.padding = padding});
    for (const int in : {1, 3, 16, 17, 32, 40})
      for (const int out : {1, 15, 16, 33, 64})
        check_against_definition(kernels, {3, 7, 5, in}, {3, 3, in, out}, {.padding = 1});
    // More padding than the filter reaches: its input gradient has a negative one.
    check_against_definition(kernels, {1, 4, 5, 3}, {3, 3, 3, 4}, {.padding = {4, 3, 5, 3}});
    // Many tiles: the filter gradient in parts, the last of them with fewer tiles.
    check_against_definition(kernels, {3, 91, 83, 3}, {3, 3, 3, 4}, {.padding = 1});
    // A filter gradient too large for parts, over more than one block of tiles.
    check_against_definition(kernels, {1, 50, 30, 520}, {3, 3, 520, 8}, {.padding = 1});
  }
}

TEST_CASE("convolutions are as accurate as winograd.h says", "[kernels]") {
  // Against sums in double: greatest error over greatest value, of y and of dw (dx is the forward
  // code with other filters).
  const auto check_channels = [](std::int64_t side, std::int64_t c) {
    const ConvShape s = conv_shape({1, side, side, c}, {3, 3, c, c}, {.padding = 1});
    const auto x = random_numbers(side * side * c, 1), w = random_numbers(9 * c * c, 2),
               dy = random_numbers(side * side * c, 3);
    std::vector<double> exact_y(x.size()), exact_dw(w.size());
    for (std::int64_t p = 0; p < side * side; ++p)
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        const std::int64_t h = p / side + tap / 3 - 1, v = p % side + tap % 3 - 1;
        if (h < 0 || h >= side || v < 0 || v >= side) continue;
        for (std::int64_t ci = 0; ci < c; ++ci) {
          const auto in = static_cast<double>(x[static_cast<std::size_t>((h * side + v) * c + ci)]);
          const std::size_t row = static_cast<std::size_t>((tap * c + ci) * c);
          const std::size_t out = static_cast<std::size_t>(p * c);
          for (std::size_t co = 0; co < static_cast<std::size_t>(c); ++co) {
            exact_y[out + co] += in * static_cast<double>(w[row + co]);
            exact_dw[row + co] += in * static_cast<double>(dy[out + co]);
          }
        }
      }
    const auto error = [](const std::vector<Scalar>& got, const std::vector<double>& exact) {
      double worst = 0, largest = 0;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        const double difference = std::abs(static_cast<double>(got[i]) - exact[i]);
        if (!std::isfinite(difference)) return HUGE_VAL;  // max() would drop a NaN
        worst = std::max(worst, difference);
        largest = std::max(largest, std::abs(exact[i]));
      }
      return worst / largest;
    };
    std::vector<Scalar> y(x.size(), Scalar(NAN)), dw(w.size(), Scalar(NAN));
    const double unit = sizeof(Scalar) == 4 ? 1 : 1e-8;
    INFO(c << " channels");
    im2col_forward(s, x.data(), w.data(), {}, y.data());
    im2col_weight_gradient(s, x.data(), dy.data(), 0, dw.data());
    CHECK(error(y, exact_y) < 1e-6 * unit);
    CHECK(error(dw, exact_dw) < 1e-6 * unit);
    for (const int m : {2, 4}) {
      winograd_forward(m, s, x.data(), w.data(), {}, y.data());
      winograd_weight_gradient(m, s, x.data(), dy.data(), 0, dw.data());
      CHECK(error(y, exact_y) < (m == 2 ? 2e-6 : 4e-5) * unit);
      CHECK(error(dw, exact_dw) < (m == 2 ? 2e-6 : 1e-5) * unit);
    }
  };
  check_channels(24, 64);
  check_channels(14, 512);
}

TEST_CASE("Winograd's tiles do not hide what is not finite", "[kernels]") {
  // An infinite input: no output that the definition makes infinite or NaN may come out finite, and
  // what no tile of it reaches is untouched.
  const ConvShape s = conv_shape({1, 24, 24, 3}, {3, 3, 3, 4}, {.padding = 1});
  auto x = random_numbers(24 * 24 * 3, 1);
  const auto w = random_numbers(9 * 3 * 4, 2);
  x[(5 * 24 + 6) * 3] = std::numeric_limits<Scalar>::infinity();
  std::vector<Scalar> y(24 * 24 * 4);
  for (const int m : {2, 4}) {
    winograd_forward(m, s, x.data(), w.data(), {}, y.data());
    for (std::int64_t h = 0; h < 24; ++h)
      for (std::int64_t v = 0; v < 24; ++v) {
        const Scalar out = y[static_cast<std::size_t>((h * 24 + v) * 4)];
        if (std::abs(h - 5) <= 1 && std::abs(v - 6) <= 1) CHECK_FALSE(std::isfinite(out));
        if (std::abs(h - 5) > 6 || std::abs(v - 6) > 6) CHECK(std::isfinite(out));
      }
  }
}

TEST_CASE("conv kernels give the same bits for any number of threads", "[kernels][threads]") {
  const int before = num_threads();
  const auto bits = [&](const Kernels& k, const Shape& xs, const Shape& ws,
                        const Conv2dOptions& o) {
    const ConvShape s = conv_shape(xs, ws, o);
    const auto x = random_numbers(xs.numel(), 1), w = random_numbers(ws.numel(), 2);
    const auto dy = random_numbers(s.out_pixels() * s.out_c, 3);
    std::vector<Scalar> first;
    for (const int threads : {1, 2, 3, 4, 8}) {
      set_num_threads(threads);
      std::vector<Scalar> y(dy.size()), dx(x.size()), dw(w.size()),
          db(static_cast<std::size_t>(s.out_c));
      const BiasActivation epilogue{db.data(), Activation::relu6};
      k.forward(s, x.data(), w.data(), epilogue, y.data());
      k.input_gradient(s, dy.data(), w.data(), 0, dx.data());
      k.weight_gradient(s, x.data(), dy.data(), 0, dw.data());
      bias_activation_gradient(Activation::none, dy.data(), nullptr, s.out_pixels(), s.out_c,
                               nullptr, 0, db.data());
      std::vector<Scalar> all = y;
      for (const auto* part : {&dx, &dw, &db}) all.insert(all.end(), part->begin(), part->end());
      if (first.empty()) first = all;
      INFO(k.name << ", " << threads << " threads");
      CHECK((all == first));  // parentheses: without the numbers, which are many
    }
  };
  bits(kIm2col, {2, 40, 50, 16}, {3, 3, 16, 24}, {.padding = 1});
  bits(kIm2col, {2, 40, 50, 3}, {3, 3, 3, 24}, {.stride = 2, .padding = 1});
  bits(kIm2col, {1, 14, 14, 160}, {3, 3, 160, 192}, {.padding = 1});
  bits(kNarrow, {2, 70, 90, 3}, {3, 3, 3, 24}, {.stride = 2, .padding = 1});
  bits(kFewOutputs, {3, 40, 50, 64}, {3, 3, 64, 12}, {.padding = 1});
  for (const Kernels& winograd : {kWinograd<2>, kWinograd<4>}) {
    bits(winograd, {2, 75, 80, 16}, {3, 3, 16, 24}, {.padding = 1});
    bits(winograd, {1, 14, 14, 160}, {3, 3, 160, 192}, {.padding = 1});
  }
  bits(kPointwise, {2, 40, 50, 32}, {1, 1, 32, 64}, {});
  bits(kPointwise, {2, 14, 14, 256}, {1, 1, 256, 300}, {});  // dw by BLAS
  bits(kDepthwise, {2, 60, 50, 32}, {3, 3, 1, 32}, {.padding = 1, .groups = 32});
  bits(kDepthwise, {2, 60, 50, 32}, {3, 3, 1, 32}, {.stride = 2, .padding = 1, .groups = 32});
  set_num_threads(before);
}

TEST_CASE("bias and activation go back in one pass", "[kernels]") {
  const std::int64_t rows = 700, channels = 37;
  const auto y = random_numbers(rows * channels, 1), dy = random_numbers(rows * channels, 2);
  std::vector<Scalar> y6 = y, dz(dy.size()), db(37, Scalar{2});
  for (Scalar& value : y6) value = std::clamp<Scalar>(value * 5, 0, 6);
  bias_activation_gradient(Activation::relu6, dy.data(), y6.data(), rows, channels, dz.data(), 1,
                           db.data());
  std::vector<double> sum(37, 2);
  for (std::size_t i = 0; i < dy.size(); ++i) {
    const Scalar expected = y6[i] > 0 && y6[i] < 6 ? dy[i] : Scalar{0};
    REQUIRE(dz[i] == expected);
    sum[i % 37] += static_cast<double>(expected);
  }
  for (std::size_t c = 0; c < 37; ++c)
    CHECK(static_cast<double>(db[c]) == Approx(sum[c]).epsilon(1e-4));
}

TEST_CASE("scratch is reused on a thread and separate while both live", "[kernels]") {
  Scalar* first = nullptr;
  {
    Scratch a(1000), b(1000);
    CHECK(a.data() != b.data());
    first = a.data();
  }
  Scratch again(900), other(1000);
  CHECK((again.data() == first || other.data() == first));
}
