#include "layers/conv_algorithm.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "core/check.h"
#include "core/shape.h"
#include "layers/kernels/winograd.h"

namespace boxgrad {

const char* to_string(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::automatic:
      return "automatic";
    case ConvAlgorithm::direct:
      return "direct";
    case ConvAlgorithm::im2col:
      return "im2col";
    case ConvAlgorithm::pointwise:
      return "pointwise";
    case ConvAlgorithm::depthwise:
      return "depthwise";
    case ConvAlgorithm::narrow:
      return "narrow";
    case ConvAlgorithm::few_outputs:
      return "few_outputs";
    case ConvAlgorithm::winograd2:
      return "winograd2";
    case ConvAlgorithm::winograd4:
      return "winograd4";
  }
  return "unknown";
}

bool conv_algorithm_covers(ConvAlgorithm algorithm, const ConvShape& s) {
  switch (algorithm) {
    case ConvAlgorithm::depthwise:
      return s.groups == s.in_c && s.groups == s.out_c;
    case ConvAlgorithm::pointwise:
      return s.taps() == 1 && s.stride_h == 1 && s.stride_w == 1 && s.groups == 1 &&
             s.out_h == s.in_h && s.out_w == s.in_w && s.pad_top == 0 && s.pad_left == 0;
    case ConvAlgorithm::narrow:
      return s.groups == 1 && s.dilation_w == 1;
    case ConvAlgorithm::few_outputs:
      return s.groups == 1 && s.stride_h == 1 && s.stride_w == 1;
    case ConvAlgorithm::winograd2:
    case ConvAlgorithm::winograd4:
      return winograd_covers(s);
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::direct:
    case ConvAlgorithm::im2col:
      return true;
  }
  return false;  // no algorithm has such a number
}

namespace {

/// Multiply-adds per pair of channels, in units of the matrix products inside Winograd's scheme.
/// Measured on a CPU with AVX-512: to transform a filter costs as much as to use it on 40 tiles, to
/// read one that was transformed before as much as on 16, and im2col's products, with the copying,
/// take 1.6 times as long for each multiplication.
struct Costs {
  std::int64_t tiles2, tiles4;
  double winograd2, winograd4, im2col;

  explicit Costs(const ConvShape& s, FilterTransform filters = FilterTransform::to_do) {
    constexpr double kTransform = 40, kRead = 16, kIm2col = 1.6;
    const double filter = filters == FilterTransform::done ? kRead : kTransform;
    const auto tiles = [&](std::int64_t m) {
      return s.batch * ((s.out_h + m - 1) / m) * ((s.out_w + m - 1) / m);
    };
    tiles2 = tiles(2), tiles4 = tiles(4);
    winograd2 = 16 * (filter + static_cast<double>(tiles2));
    winograd4 = 36 * (filter + static_cast<double>(tiles4));
    im2col = kIm2col * 9 * static_cast<double>(s.out_pixels());
  }
};

std::atomic<int>& limit() {
  static std::atomic<int> value = [] {
    const char* text = std::getenv("BOXGRAD_WINOGRAD");
    if (text == nullptr || *text == '\0') return 4;
    const bool known = std::strlen(text) == 1 && std::strchr("024", *text) != nullptr;
    check(known, "BOXGRAD_WINOGRAD must be 0, 2 or 4, got \"", text, "\"");
    return *text - '0';
  }();
  return value;
}

/// Fewer channels than a register holds leave the transforms without their vectors.
bool winograd_pays(const ConvShape& s) {
  return winograd_limit() > 0 && winograd_covers(s) && s.in_c >= 16 && s.out_c >= 16;
}

}  // namespace

int winograd_limit() { return limit(); }

void set_winograd_limit(int m) {
  check(m == 0 || m == 2 || m == 4, "set_winograd_limit: m must be 0, 2 or 4, got ", m);
  limit() = m;
}

ConvAlgorithm choose_conv_algorithm(const ConvShape& shape, FilterTransform filters) {
  if (conv_algorithm_covers(ConvAlgorithm::depthwise, shape)) return ConvAlgorithm::depthwise;
  if (conv_algorithm_covers(ConvAlgorithm::pointwise, shape)) return ConvAlgorithm::pointwise;
  // A filter row of a few numbers: the first layer. From 8 channels on the matrix product wins.
  if (conv_algorithm_covers(ConvAlgorithm::narrow, shape) && shape.in_c <= 4)
    return ConvAlgorithm::narrow;
  // With so few outputs Winograd's transforms of the input are not shared, nor are im2col's copies.
  if (conv_algorithm_covers(ConvAlgorithm::few_outputs, shape) && shape.taps() > 1 &&
      shape.out_c < 16 && shape.in_c >= 4 * shape.out_c)
    return ConvAlgorithm::few_outputs;
  if (winograd_pays(shape)) {
    const Costs costs(shape, filters);
    const bool four = winograd_limit() >= 4 && costs.winograd4 < costs.winograd2;
    if ((four ? costs.winograd4 : costs.winograd2) < costs.im2col)
      return four ? ConvAlgorithm::winograd4 : ConvAlgorithm::winograd2;
  }
  return ConvAlgorithm::im2col;
}

ConvAlgorithm conv_algorithm(const ConvShape& s, ConvAlgorithm wanted, FilterTransform filters) {
  if (wanted == ConvAlgorithm::automatic) return choose_conv_algorithm(s, filters);
  check(conv_algorithm_covers(wanted, s), "conv2d: algorithm ", to_string(wanted),
        " does not cover input ", Shape{s.batch, s.in_h, s.in_w, s.in_c}, " with weight ",
        Shape{s.kernel_h, s.kernel_w, s.group_in(), s.out_c}, " and these options; use automatic");
  return wanted;
}

std::string explain_conv_algorithm(const ConvShape& s, ConvAlgorithm wanted,
                                   FilterTransform filters) {
  const ConvAlgorithm algorithm = conv_algorithm(s, wanted, filters);
  const std::string name = concat(to_string(algorithm), ": ");
  if (wanted != ConvAlgorithm::automatic) return name + "as the caller said";
  switch (algorithm) {
    case ConvAlgorithm::depthwise:
      return name + "each channel has its own filter";
    case ConvAlgorithm::pointwise:
      return name + "1x1, a matrix product over all pixels";
    case ConvAlgorithm::narrow:
      return concat(name, "only ", s.in_c, " input channels");
    case ConvAlgorithm::few_outputs:
      return concat(name, "only ", s.out_c, " output channels");
    case ConvAlgorithm::automatic:
    case ConvAlgorithm::direct:
    case ConvAlgorithm::im2col:
    case ConvAlgorithm::winograd2:
    case ConvAlgorithm::winograd4:
      break;  // what it was compared with says why
  }
  if (!winograd_covers(s)) return name + "not 3x3 with stride 1, dilation 1 and one group";
  if (!winograd_pays(s))
    return name + (winograd_limit() == 0 ? "Winograd is switched off" : "below 16 channels");
  const Costs costs(s, filters);
  return concat(name, "cost ", costs.winograd4, " for ", costs.tiles4, " tiles of 4x4, ",
                costs.winograd2, " for ", costs.tiles2, " of 2x2, ", costs.im2col, " for im2col",
                winograd_limit() == 2 ? "; tiles of 4x4 are switched off" : "");
}

}  // namespace boxgrad
