#include "layers/kernels/conv2d_direct.h"

#include <algorithm>

namespace boxgrad {

namespace {

/// Calls f(x_index, w_index, y_index) for every product of the definition; y_index runs slowest.
template <class F>
void for_each_product(const ConvShape& s, F&& f) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t oh = 0; oh < s.out_h; ++oh)
      for (std::int64_t ow = 0; ow < s.out_w; ++ow)
        for (std::int64_t co = 0; co < s.out_c; ++co)
          for (std::int64_t kh = 0; kh < s.kernel_h; ++kh)
            for (std::int64_t kw = 0; kw < s.kernel_w; ++kw) {
              const std::int64_t ih = oh * s.stride_h - s.pad_top + kh * s.dilation_h;
              const std::int64_t iw = ow * s.stride_w - s.pad_left + kw * s.dilation_w;
              if (ih < 0 || ih >= s.in_h || iw < 0 || iw >= s.in_w) continue;  // x is 0 there
              const std::int64_t group = co / s.group_out();
              for (std::int64_t ci = 0; ci < s.group_in(); ++ci)
                f(((n * s.in_h + ih) * s.in_w + iw) * s.in_c + group * s.group_in() + ci,
                  ((kh * s.kernel_w + kw) * s.group_in() + ci) * s.out_c + co,
                  ((n * s.out_h + oh) * s.out_w + ow) * s.out_c + co);
            }
}

void clear_unless_added(Scalar beta, Scalar* values, std::int64_t count) {
  if (beta == 0) std::fill(values, values + count, Scalar{0});
}

}  // namespace

void conv2d_direct(const ConvShape& s, const Scalar* x, const Scalar* w, Scalar* y) {
  clear_unless_added(0, y, s.out_pixels() * s.out_c);
  for_each_product(s, [&](auto xi, auto wi, auto yi) { y[yi] += x[xi] * w[wi]; });
}

void conv2d_direct_input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w,
                                  Scalar beta, Scalar* dx) {
  clear_unless_added(beta, dx, s.in_pixels() * s.in_c);
  for_each_product(s, [&](auto xi, auto wi, auto yi) { dx[xi] += dy[yi] * w[wi]; });
}

void conv2d_direct_weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy,
                                   Scalar beta, Scalar* dw) {
  clear_unless_added(beta, dw, s.weights());
  for_each_product(s, [&](auto xi, auto wi, auto yi) { dw[wi] += dy[yi] * x[xi]; });
}

void conv2d_direct_bias_gradient(const ConvShape& s, const Scalar* dy, Scalar beta, Scalar* db) {
  clear_unless_added(beta, db, s.out_c);
  for (std::int64_t p = 0; p < s.out_pixels(); ++p)
    for (std::int64_t co = 0; co < s.out_c; ++co) db[co] += dy[p * s.out_c + co];
}

}  // namespace boxgrad
