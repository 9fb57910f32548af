#include <algorithm>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "core/random.h"
#include "layers/conv.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv2d_direct.h"
#include "layers/kernels/depthwise.h"
#include "layers/kernels/im2col.h"
#include "layers/kernels/narrow.h"
#include "layers/kernels/pointwise.h"
#include "layers/kernels/scratch.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

std::vector<Scalar> random_numbers(std::int64_t count, std::uint64_t stream) {
  Random random(7, stream);
  std::vector<Scalar> values(static_cast<std::size_t>(count));
  for (Scalar& value : values) value = static_cast<Scalar>(random.normal());
  return values;
}

/// max|a - b| / max|b|, and infinity for a NaN anywhere.
double difference(const std::vector<Scalar>& a, const std::vector<Scalar>& b) {
  double worst = 0, largest = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return worst / largest;
}

constexpr double kTolerance = sizeof(Scalar) == 4 ? 1e-5 : 1e-13;

struct Kernels {
  const char* name;
  ConvAlgorithm algorithm;
  void (*forward)(const ConvShape&, const Scalar*, const Scalar*, const BiasActivation&, Scalar*);
  void (*input_gradient)(const ConvShape&, const Scalar*, const Scalar*, Scalar, Scalar*);
  void (*weight_gradient)(const ConvShape&, const Scalar*, const Scalar*, Scalar, Scalar*);
};
const Kernels kIm2col{"im2col", ConvAlgorithm::im2col, im2col_forward, im2col_input_gradient,
                      im2col_weight_gradient};
const Kernels kPointwise{"pointwise", ConvAlgorithm::pointwise, pointwise_forward,
                         pointwise_input_gradient, pointwise_weight_gradient};
const Kernels kDepthwise{"depthwise", ConvAlgorithm::depthwise, depthwise_forward,
                         depthwise_input_gradient, depthwise_weight_gradient};

const Kernels kNarrow{"narrow", ConvAlgorithm::narrow, narrow_forward, im2col_input_gradient,
                      narrow_weight_gradient};

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
  CHECK(difference(got, expected) < kTolerance);

  const BiasActivation epilogue{bias.data(), Activation::relu};
  epilogue.apply(expected.data(), s.out_pixels(), s.out_c);
  std::fill(got.begin(), got.end(), NAN);
  fast.forward(s, x.data(), w.data(), epilogue, got.data());
  CHECK(difference(got, expected) < kTolerance);

  // beta = 0 must not read the old numbers (NaN), beta = 1 must add to them.
  for (const Scalar beta : {Scalar{0}, Scalar{1}}) {
    INFO("beta " << beta);
    const Scalar nothing = static_cast<Scalar>(NAN);
    expected = got = beta == 0 ? std::vector<Scalar>(x.size(), nothing) : x;
    conv2d_direct_input_gradient(s, dy.data(), w.data(), beta, expected.data());
    fast.input_gradient(s, dy.data(), w.data(), beta, got.data());
    CHECK(difference(got, expected) < kTolerance);

    expected = got = beta == 0 ? std::vector<Scalar>(w.size(), nothing) : w;
    conv2d_direct_weight_gradient(s, x.data(), dy.data(), beta, expected.data());
    fast.weight_gradient(s, x.data(), dy.data(), beta, got.data());
    CHECK(difference(got, expected) < kTolerance);
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
      CHECK(all == first);
    }
  };
  bits(kIm2col, {2, 40, 50, 16}, {3, 3, 16, 24}, {.padding = 1});
  bits(kIm2col, {2, 40, 50, 3}, {3, 3, 3, 24}, {.stride = 2, .padding = 1});
  bits(kIm2col, {1, 14, 14, 160}, {3, 3, 160, 192}, {.padding = 1});
  bits(kNarrow, {2, 70, 90, 3}, {3, 3, 3, 24}, {.stride = 2, .padding = 1});
  bits(kPointwise, {2, 40, 50, 32}, {1, 1, 32, 64}, {});
  bits(kPointwise, {2, 14, 14, 256}, {1, 1, 256, 200}, {});
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
