#include "core/parallel.h"
#include "core/resize.h"
#include "tests/catch.h"

namespace boxgrad {
namespace {

// The picture of tests/golden/resize.py.
Tensor picture(int h, int w, int c) {
  Tensor x = Tensor::empty({h, w, c});
  for (std::int64_t i = 0; i < x.numel(); ++i)
    x.data()[static_cast<std::size_t>(i)] = static_cast<Scalar>(37 * i % 101) / 100;
  return x;
}

void check_values(const Tensor& got, const std::vector<double>& expected) {
  REQUIRE(got.numel() == static_cast<std::int64_t>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(got.data()[i] == Approx(expected[i]).margin(2e-6));
}

Image numbered(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.pixel(x, y)[0] = static_cast<std::uint8_t>(x * 7 + y);
      image.pixel(x, y)[1] = static_cast<std::uint8_t>(x);
      image.pixel(x, y)[2] = static_cast<std::uint8_t>(y * 5);
    }
  return image;
}

}  // namespace

TEST_CASE("resize_bilinear matches torch, and TensorFlow 1 for top_left", "[resize]") {
  const Tensor x = picture(5, 4, 2);  // golden/resize.py
  check_values(
      resize_bilinear(x, 3, 6),
      {0.313333, 0.346667, 0.515,    0.211667, 0.671667, 0.2,      0.491667, 0.693333, 0.311667,
       0.681667, 0.176667, 0.546667, 0.87,     0.23,     0.735,    0.6,      0.555,    0.925,
       0.375,    0.745,    0.195,    0.565,    0.06,     0.43,     0.753333, 0.113333, 0.618333,
       0.483333, 0.438333, 0.808333, 0.258333, 0.628333, 0.583333, 0.448333, 0.953333, 0.313333});
  check_values(resize_bilinear(x, 7, 3),
               {0.123333, 0.325,    0.605, 0.47,  0.245,    0.615, 0.564286, 0.285,    0.565,
                0.43,     0.205,    0.575, 0.875, 0.283095, 0.515, 0.524286, 0.155,    0.525,
                0.825,    0.353333, 0.465, 0.835, 0.105,    0.475, 0.775,    0.303333, 0.415,
                0.785,    0.65619,  0.425, 0.725, 0.253333, 0.365, 0.735,    0.846667, 0.375,
                0.685,    0.213333, 0.325, 0.695, 0.806667, 0.335});
  check_values(resize_bilinear(x, 1, 1), {0.465, 0.835});
  check_values(resize_bilinear(x, 3, 6, PixelGrid::align_corners),
               {0,    0.37, 0.444, 0.208, 0.686, 0.248, 0.524, 0.692, 0.362, 0.732, 0.2,  0.57,
                0.87, 0.23, 0.708, 0.674, 0.546, 0.916, 0.384, 0.754, 0.222, 0.592, 0.06, 0.43,
                0.73, 0.09, 0.568, 0.534, 0.406, 0.776, 0.244, 0.614, 0.486, 0.452, 0.93, 0.29});
  check_values(resize_bilinear(x, 1, 3, PixelGrid::align_corners),
               {0, 0.37, 0.605, 0.47, 0.2, 0.57});
  check_values(
      resize_bilinear(x, 3, 6, PixelGrid::top_left),
      {0,        0.37,     0.493333, 0.19,     0.65,      0.346667, 0.47,     0.84,     0.29,
       0.66,     0.2,      0.57,     0.893333, 0.253333,  0.713333, 0.522222, 0.533333, 0.678889,
       0.353333, 0.723333, 0.173333, 0.543333, 0.0833333, 0.453333, 0.776667, 0.136667, 0.596667,
       0.63,     0.416667, 0.786667, 0.236667, 0.606667,  0.73,     0.426667, 0.976667, 0.336667});
}

TEST_CASE("resize_area matches torch for whole ratios and counts fractions exactly", "[resize]") {
  check_values(resize_area(picture(6, 8, 1), 3, 2),
               {0.39375, 0.485, 0.6325, 0.47125, 0.4925, 0.4575});
  // 3 pixels into 2: [1, 1/2] and [1/2, 1] over 1.5.
  check_values(resize_area(Tensor({1, 3, 1}, {3, 6, 9}), 1, 2), {4, 8});
  check_values(resize_area(Tensor({3, 1, 1}, {3, 6, 9}), 2, 1), {4, 8});
  check_values(resize_area(Tensor({1, 2, 1}, {3, 6}), 1, 3), {3, 4.5, 6});
}

TEST_CASE("resizing to the same size changes nothing", "[resize]") {
  const Tensor x = picture(5, 4, 3);
  for (const Tensor& y : {resize_bilinear(x, 5, 4), resize_bilinear(x, 5, 4, PixelGrid::top_left),
                          resize_bilinear(x, 5, 4, PixelGrid::align_corners), resize_area(x, 5, 4)})
    CHECK(y.to_vector() == x.to_vector());
  CHECK(resize(numbered(9, 5), 9, 5) == numbered(9, 5));
}

TEST_CASE("resize of an image equals resize of its tensor to half a step", "[resize]") {
  const Image image = numbered(31, 23);
  for (const auto& [width, height] : {std::pair{12, 9}, {1, 1}, {30, 22}, {15, 40}, {64, 50}}) {
    const Image small = resize(image, width, height);
    // Axis by axis, as the image does it: area when it shrinks, bilinear when it grows.
    Tensor x = image.to_tensor();
    x = height < 23 ? resize_area(x, height, 31) : resize_bilinear(x, height, 31);
    x = width < 31 ? resize_area(x, height, width) : resize_bilinear(x, height, width);
    Scalar worst = 0;
    for (std::size_t i = 0; i < small.data().size(); ++i)
      worst = std::max(worst, std::abs(x.data()[i] * 255 - static_cast<Scalar>(small.data()[i])));
    CHECK(worst <= Scalar(0.501));
  }
  CHECK(resize(Image(4097, 3, 9, 200, 255), 5, 7) == Image(5, 7, 9, 200, 255));
}

TEST_CASE("resize gives the same bits for any number of threads", "[resize]") {
  const int before = num_threads();
  const Image image = numbered(400, 300);
  set_num_threads(1);
  const Image one = resize(image, 333, 451);
  for (const int n : {2, 3}) {
    set_num_threads(n);
    CHECK(resize(image, 333, 451) == one);
  }
  set_num_threads(before);
}

TEST_CASE("resize_to_fit keeps the proportions", "[resize]") {
  const auto size = [](const Image& image) { return std::pair{image.width(), image.height()}; };
  CHECK(size(resize_to_fit(Image(200, 100), 50, 50)) == std::pair{50, 25});
  CHECK(size(resize_to_fit(Image(100, 200), 50, 50)) == std::pair{25, 50});
  CHECK(size(resize_to_fit(Image(1000, 1), 50, 50)) == std::pair{50, 1});
}

TEST_CASE("crop, pad and flip", "[resize]") {
  const Image image = numbered(5, 4);
  const Image part = crop(image, 1, 2, 3, 2);
  REQUIRE((part.width() == 3 && part.height() == 2));
  CHECK(part.pixel(2, 1)[0] == image.pixel(3, 3)[0]);
  const Image padded = pad(image, 1, 2, 3, 4, {9, 8, 7});
  REQUIRE((padded.width() == 9 && padded.height() == 10));
  CHECK(crop(padded, 1, 2, 5, 4) == image);
  CHECK(padded.pixel(0, 0)[1] == 8);
  CHECK(padded.pixel(8, 9)[2] == 7);
  CHECK(flip_horizontal(image).pixel(0, 3)[0] == image.pixel(4, 3)[0]);
  CHECK(flip_horizontal(flip_horizontal(image)) == image);
  CHECK(flip_vertical(image).pixel(3, 0)[0] == image.pixel(3, image.height() - 1)[0]);
  CHECK(flip_vertical(flip_vertical(image)) == image);
  CHECK(flip_vertical(Image()).width() == 0);
}

TEST_CASE("resize explains what it cannot do", "[resize][errors]") {
  CHECK_THROWS_WITH(
      resize_bilinear(Tensor({4, 4}), 2, 2),
      "resize_bilinear: image must have shape [H, W, C] without an empty axis, got [4, 4]");
  CHECK_THROWS_WITH(resize_area(Tensor({4, 4, 3}), 0, 2),
                    "resize_area: the new size must be > 0, got height 0, width 2");
  CHECK_THROWS_WITH(resize(Image(3, 3), 0, 1), "resize: the new size must be > 0, got 0 x 1");
  CHECK_THROWS_WITH(resize(Image(), 2, 2), "resize: the image has no pixels");
  CHECK_THROWS_WITH(crop(Image(4, 4), 2, 0, 3, 1),
                    "crop: the part must lie inside 4 x 4, got 3 x 1 at 2, 0");
}

}  // namespace boxgrad
