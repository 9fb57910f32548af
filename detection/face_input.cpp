#include "detection/face_input.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/check.h"
#include "core/parallel.h"

namespace boxgrad::detection {

namespace {

/// Where an output pixel looks along one axis. A pixel beyond the photo's end is padding: its
/// weight is 0 and its place one that can be read.
struct FaceTaps {
  std::int64_t low = 0, high = 0;
  float low_weight = 0, high_weight = 0;
};

/// side: of the square; extent: of the photo, at most side.
std::vector<FaceTaps> face_taps(std::int64_t side, std::int64_t extent) {
  std::vector<FaceTaps> taps(kFaceSide);
  for (int i = 0; i < kFaceSide; ++i) {
    const double src = static_cast<double>(i) * static_cast<double>(side) / kFaceSide;
    const auto low = static_cast<std::int64_t>(src), high = std::min(low + 1, side - 1);
    const double share = src - static_cast<double>(low);
    taps[static_cast<std::size_t>(i)] = {std::min(low, extent - 1), std::min(high, extent - 1),
                                         low < extent ? static_cast<float>(1 - share) : 0.0F,
                                         high < extent ? static_cast<float>(share) : 0.0F};
  }
  return taps;
}

/// face-api divides by the size of the scaled photo, which it has rounded to whole pixels.
double square_side_px(int side, int longer) {
  const double scaled = std::floor(static_cast<double>(side) * kFaceSide / longer + 0.5);
  return scaled > 0 ? side * static_cast<double>(kFaceSide) / scaled : longer;
}

}  // namespace

FaceInput face_input(const Image& photo) {
  check(photo.width() > 0 && photo.height() > 0, "face_input: the image has no pixels");
  const int longer = std::max(photo.width(), photo.height());
  const std::vector<FaceTaps> across = face_taps(longer, photo.width());
  const std::vector<FaceTaps> down = face_taps(longer, photo.height());
  FaceInput input{.image = Tensor::empty({1, kFaceSide, kFaceSide, 3}),
                  .width_px = square_side_px(photo.width(), longer),
                  .height_px = square_side_px(photo.height(), longer)};
  Scalar* const pixels = input.image.data().data();
  parallel_for(kFaceSide, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const FaceTaps& y = down[static_cast<std::size_t>(i)];
      const std::uint8_t* const upper = photo.pixel(0, static_cast<int>(y.low));
      const std::uint8_t* const lower = photo.pixel(0, static_cast<int>(y.high));
      Scalar* out = pixels + i * kFaceSide * 3;
      for (const FaceTaps& x : across)
        for (int c = 0; c < 3; ++c) {
          const auto row = [&](const std::uint8_t* r) {
            return x.low_weight * static_cast<float>(r[3 * x.low + c]) +
                   x.high_weight * static_cast<float>(r[3 * x.high + c]);
          };
          const float value = y.low_weight * row(upper) + y.high_weight * row(lower);
          *out++ = static_cast<Scalar>(value / 127.5F - 1);
        }
    }
  });
  return input;
}

}  // namespace boxgrad::detection
