#include "layers/kernels/bias_activation.h"

#include <algorithm>

#include "core/parallel.h"
#include "layers/kernels/scratch.h"

namespace boxgrad {

namespace {

/// Calls f with the activation and its slope as functions, so that each loop below is compiled
/// once per activation instead of deciding per element.
template <class F>
void with_activation(Activation activation, F&& f) {
  switch (activation) {
    case Activation::none:
      return f([](Scalar z) { return z; }, [](Scalar) { return Scalar{1}; });
    case Activation::relu:
      return f([](Scalar z) { return z < 0 ? Scalar{0} : z; },
               [](Scalar y) { return y > 0 ? Scalar{1} : Scalar{0}; });
    case Activation::relu6:
      return f([](Scalar z) { return z < 0   ? Scalar{0}
                                     : z > 6 ? Scalar{6}
                                             : z; },
               [](Scalar y) { return y > 0 && y < 6 ? Scalar{1} : Scalar{0}; });
  }
}

}  // namespace

void BiasActivation::apply(Scalar* y, std::int64_t rows, std::int64_t channels) const {
  if (empty()) return;
  with_activation(activation, [&](auto value, auto) {
    if (bias == nullptr) {
      for (std::int64_t i = 0; i < rows * channels; ++i) y[i] = value(y[i]);
      return;
    }
    const Scalar* __restrict b = bias;
    for (std::int64_t row = 0; row < rows; ++row) {
      Scalar* __restrict y_row = y + row * channels;
      for (std::int64_t c = 0; c < channels; ++c) y_row[c] = value(y_row[c] + b[c]);
    }
  });
}

void bias_activation_gradient(Activation activation, const Scalar* dy, const Scalar* y,
                              std::int64_t rows, std::int64_t channels, Scalar* dz, Scalar beta,
                              Scalar* db) {
  // One partial sum per block; blocks of at least 64 rows keep the partial sums a small fraction
  // of dy, and adding them in two stages keeps the rounding error of long sums small.
  const std::int64_t block = std::max<std::int64_t>(64, 16384 / channels);
  const std::int64_t blocks = (rows + block - 1) / block;
  Scratch partial(db != nullptr ? blocks * channels : 0);
  Scalar* sums = partial.data();
  with_activation(activation, [&](auto, auto slope) {
    parallel_for(rows, block, [&](std::int64_t begin, std::int64_t end) {
      Scalar* __restrict sum = sums + begin / block * channels;
      if (db != nullptr) std::fill(sum, sum + channels, Scalar{0});
      for (std::int64_t row = begin; row < end; ++row) {
        const Scalar* __restrict g = dy + row * channels;
        if (dz == nullptr) {
          for (std::int64_t c = 0; c < channels; ++c) sum[c] += g[c];
          continue;
        }
        const Scalar* __restrict out = y + row * channels;
        Scalar* __restrict d = dz + row * channels;
        for (std::int64_t c = 0; c < channels; ++c) d[c] = g[c] * slope(out[c]);
        if (db != nullptr)
          for (std::int64_t c = 0; c < channels; ++c) sum[c] += d[c];
      }
    });
  });
  if (db == nullptr) return;
  if (beta == 0) std::fill(db, db + channels, Scalar{0});
  for (std::int64_t b = 0; b < blocks; ++b)
    for (std::int64_t c = 0; c < channels; ++c) db[c] += sums[b * channels + c];
}

}  // namespace boxgrad
