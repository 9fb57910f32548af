#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/parallel.h"
#include "core/scalar.h"
#include "layers/batch_norm.h"
#include "layers/kernels/channel_norm.h"

/// Batch normalisation between its loops (channel_norm.h) and its ops: the sums over all rows, and
/// what a channel needs to know of them. layers/batch_norm.h has the equations.
namespace boxgrad::kernels {

/// Rows (positions) per block: about 64 KiB of floats, so that a block is still in L2 when it is
/// read a second time. Fixed by the shape, as partial sums are added block by block.
inline std::int64_t rows_per_block(std::int64_t channels) {
  return std::max<std::int64_t>(4, kElementwiseGrain / std::max<std::int64_t>(channels, 1) / 4 * 4);
}

/// Two sums per channel.
struct ChannelSums {
  std::vector<double> first, second;
};

/// Two sums per channel and block of rows: whoever has a block at hand fills in its sums, total()
/// adds them in double and in order.
class BlockSums {
 public:
  BlockSums(std::int64_t rows, std::int64_t channels)
      : BlockSums(rows, channels, rows_per_block(channels)) {}
  BlockSums(std::int64_t rows, std::int64_t channels, std::int64_t block);

  /// kernel(first row, rows, first sums, second sums) for the blocks that begin at rows
  /// begin..end-1; `begin` is a multiple of the block.
  template <class Kernel>
  void fill(std::int64_t begin, std::int64_t end, Kernel kernel) {
    for (std::int64_t row = begin; row < end; row += block_) {
      Scalar* first = partial_.data() + row / block_ * 2 * channels_;
      kernel(row, std::min(block_, end - row), first, first + channels_);
    }
  }

  ChannelSums total() const;

 private:
  std::int64_t block_, channels_;
  std::vector<Scalar> partial_;
};

/// The same over all rows, on all threads.
template <class Kernel>
ChannelSums channel_sums(std::int64_t rows, std::int64_t channels, Kernel kernel) {
  BlockSums sums(rows, channels);
  parallel_for(rows, rows_per_block(channels),
               [&](std::int64_t begin, std::int64_t end) { sums.fill(begin, end, kernel); });
  return sums.total();
}

/// What forward and backward share: y = activation(scale x + shift), xh = inv_std (x - mean).
struct Affine {
  std::vector<Scalar> scale, shift, inv_std, mean;

  /// scale and shift from the learned weight and bias, [C] each.
  void set_scale(const Scalar* weight, const Scalar* bias);
  ChannelAffine pointers() const { return {scale.data(), shift.data(), mean.data()}; }
};

/// mean and inv_std of a batch from the moments about `origin` (sums of x - origin[c] and of its
/// square over `rows` rows); moves the running statistics towards them.
Affine batch_statistics(const ChannelSums& moments, const Scalar* origin, std::int64_t rows,
                        const BatchNormOptions& options, Tensor running_mean, Tensor running_var);

/// The sums of gradient_sums() become the gradients of weight and bias (either may be null), and
/// `second` becomes sum g xh.
void weight_gradients(ChannelSums& sums, const Affine& affine, GradSlot* weight, GradSlot* bias);

/// dx = a g + b x + d: three numbers per channel instead of the formula per element.
struct InputGradient {
  std::vector<Scalar> a, b, d;
};

/// From sum g and sum g xh over `rows` rows; without batch statistics b = d = 0, and empty.
InputGradient input_gradient(const ChannelSums& sums, const Affine& affine, std::int64_t rows,
                             bool batch_statistics);

}  // namespace boxgrad::kernels
