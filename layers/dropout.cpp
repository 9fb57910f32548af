#include "layers/dropout.h"

#include <algorithm>
#include <array>

#include "core/autograd.h"
#include "core/check.h"

namespace boxgrad {

namespace {

/// The random mask of one call.
struct Mask {
  std::array<std::uint32_t, 2> key;
  std::uint64_t dropped;  ///< of the 2^32 values of a random word, those below drop the element
  Scalar scale;

  /// out[i] (+)= k_i scale in[i] for 0 <= i < n. One Philox block decides on four elements.
  void apply(std::int64_t n, const Scalar* in, Scalar beta, Scalar* out) const {
    constexpr std::int64_t kWords = 4;
    parallel_for((n + kWords - 1) / kWords, kElementwiseGrain / kWords,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t block = begin; block < end; ++block) {
                     const auto bits = static_cast<std::uint64_t>(block);
                     const auto words = philox4x32({static_cast<std::uint32_t>(bits),
                                                    static_cast<std::uint32_t>(bits >> 32), 0, 0},
                                                   key);
                     const std::int64_t first = block * kWords;
                     for (std::int64_t i = first; i < std::min(n, first + kWords); ++i) {
                       const bool kept = words[static_cast<std::size_t>(i - first)] >= dropped;
                       const Scalar value = kept ? scale * in[i] : 0;
                       out[i] = beta == 0 ? value : out[i] + value;
                     }
                   }
                 });
  }
};

void check_probability(const char* op, double p) {
  check(p >= 0 && p < 1, op, ": p must be in [0, 1), got ", p);
}

}  // namespace

Tensor dropout(const Tensor& x, double p) {
  check_probability("dropout", p);
  const std::uint32_t low = default_random().next_u32(), high = default_random().next_u32();
  const Mask mask{
      {low, high}, static_cast<std::uint64_t>(p * 0x1p32), static_cast<Scalar>(1 / (1 - p))};
  Tensor y = Tensor::empty(x.shape());
  mask.apply(x.numel(), x.data().data(), 0, y.data().data());
  return from_op("dropout", y, {x}, [mask, dx = x.grad_slot()](const Tensor& dy) {
    const auto [data, beta] = dx->target();
    mask.apply(dy.numel(), dy.data().data(), beta, data);
  });
}

nn::Dropout::Dropout(double probability) : p(probability) { check_probability("Dropout", p); }

}  // namespace boxgrad
