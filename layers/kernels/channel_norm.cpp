#include "layers/kernels/channel_norm.h"

#include <algorithm>

#include "layers/kernels/simd.h"

namespace boxgrad::kernels {

namespace {

template <class V>
V splat(Scalar value) {
  return V{} + value;
}

/// g where the activation lets z pass, else 0.
template <Activation A, class V>
void mask(V& g, const V& z) {
  const V zero{};
  if constexpr (A == Activation::relu) g = z > zero ? g : zero;
  if constexpr (A == Activation::relu6) {
    g = z > zero ? g : zero;
    g = z < splat<V>(6) ? g : zero;
  }
}

template <Activation A, class V>
void activate(V& z) {
  const V zero{};
  if constexpr (A != Activation::none) z = z < zero ? zero : z;  // NaN stays NaN
  if constexpr (A == Activation::relu6) z = z > splat<V>(6) ? splat<V>(6) : z;
}

/// Calls f.operator()<A>() for the activation.
template <class F>
void dispatch(Activation activation, F f) {
  switch (activation) {
    case Activation::none:
      return f.template operator()<Activation::none>();
    case Activation::relu:
      return f.template operator()<Activation::relu>();
    case Activation::relu6:
      return f.template operator()<Activation::relu6>();
  }
}

/// Rows whose sums are taken together, column by column: as many streams as a CPU can fetch ahead
/// of, and enough that sums are seldom loaded and stored.
constexpr std::int64_t kSumBand = 8;

/// Rows that are mapped together. With short registers a row by itself, from end to end, is faster
/// (1.2 to 1.5 times on a Zen 3): its lines are fetched in order, constants come from the L1 cache.
constexpr std::int64_t kMapBand = kRegisterBytes == 64 ? 8 : 1;

/// body(begin, end) for bands of the rows.
template <std::int64_t kBand, class F>
void for_each_band(std::int64_t rows, F body) {
  for (std::int64_t begin = 0; begin < rows; begin += kBand)
    body(begin, std::min(begin + kBand, rows));
}

/// Adds `terms` of rows begin..end-1 to two sums; two rows at a time into two pairs of registers, so
/// that an addition need not wait for the last one.
template <class V, class F>
void add_terms(std::int64_t begin, std::int64_t end, Scalar* first, Scalar* second, F terms) {
  V a0, a1{}, b0, b1{};
  load(a0, first);
  load(b0, second);
  std::int64_t row = begin;
  for (; row + 2 <= end; row += 2) {
    terms(row, a0, b0);
    terms(row + 1, a1, b1);
  }
  if (row < end) terms(row, a0, b0);
  store(first, V(a0 + a1));
  store(second, V(b0 + b1));
}

}  // namespace

void moment_sums(const Scalar* x, const Scalar* origin, std::int64_t rows, std::int64_t channels,
                 Scalar* first, Scalar* second) {
  std::fill_n(first, channels, Scalar{0});
  std::fill_n(second, channels, Scalar{0});
  for_each_band<kSumBand>(rows, [&](std::int64_t begin, std::int64_t end) {
    for_each_vector(channels, [&]<class V>(std::int64_t c) {
      V zero_point;
      load(zero_point, origin + c);
      add_terms<V>(begin, end, first + c, second + c, [&](std::int64_t row, V& a, V& b) {
        V v;
        load(v, x + row * channels + c);
        v -= zero_point;
        a += v;
        b += v * v;
      });
    });
  });
}

void affine_forward(Activation activation, const Scalar* x, const ChannelAffine& affine,
                    std::int64_t rows, std::int64_t channels, Scalar* y) {
  dispatch(activation, [&]<Activation A>() {
    for_each_band<kMapBand>(rows, [&](std::int64_t begin, std::int64_t end) {
      for_each_vector(channels, [&]<class V>(std::int64_t c) {
        V scale, shift;
        load(scale, affine.scale + c);
        load(shift, affine.shift + c);
        for (std::int64_t row = begin; row < end; ++row) {
          V z;
          load(z, x + row * channels + c);
          z = z * scale + shift;
          activate<A>(z);
          store(y + row * channels + c, z);
        }
      });
    });
  });
}

void gradient_sums(Activation activation, const Scalar* x, const Scalar* dy,
                   const ChannelAffine& affine, std::int64_t rows, std::int64_t channels,
                   Scalar* first, Scalar* second) {
  std::fill_n(first, channels, Scalar{0});
  std::fill_n(second, channels, Scalar{0});
  dispatch(activation, [&]<Activation A>() {
    for_each_band<kSumBand>(rows, [&](std::int64_t begin, std::int64_t end) {
      for_each_vector(channels, [&]<class V>(std::int64_t c) {
        V scale, shift, mean;
        load(scale, affine.scale + c);
        load(shift, affine.shift + c);
        load(mean, affine.mean + c);
        add_terms<V>(begin, end, first + c, second + c, [&](std::int64_t row, V& a, V& b) {
          V v, g;
          load(v, x + row * channels + c);
          load(g, dy + row * channels + c);
          mask<A>(g, V(v * scale + shift));
          a += g;
          b += g * (v - mean);
        });
      });
    });
  });
}

void affine_backward(Activation activation, const Scalar* x, const Scalar* dy,
                     const ChannelAffine& affine, const Scalar* a, const Scalar* b, const Scalar* d,
                     std::int64_t rows, std::int64_t channels, Scalar beta, Scalar* dx) {
  dispatch(activation, [&]<Activation A>() {
    for_each_band<kMapBand>(rows, [&](std::int64_t begin, std::int64_t end) {
      for_each_vector(channels, [&]<class V>(std::int64_t c) {
        V scale, shift, va, vb{}, vd{};
        load(scale, affine.scale + c);
        load(shift, affine.shift + c);
        load(va, a + c);
        if (b) load(vb, b + c);
        if (d) load(vd, d + c);
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t i = row * channels + c;
          V v, g;
          load(v, x + i);
          load(g, dy + i);
          mask<A>(g, V(v * scale + shift));
          V result = va * g;
          if (b) result += vb * v + vd;
          if (beta != 0) {
            V before;
            load(before, dx + i);
            result += before;
          }
          store(dx + i, result);
        }
      });
    });
  });
}

}  // namespace boxgrad::kernels
