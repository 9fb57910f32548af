#pragma once

#include <cstdint>
#include <memory>

#include "core/scalar.h"
#include "core/tensor.h"
#include "layers/kernels/bias_activation.h"
#include "layers/kernels/conv_shape.h"

/// 3x3 convolution by Winograd's minimal filtering (Lavin and Gray, "Fast algorithms for
/// convolutional neural networks", 2016). The output is cut into tiles of m x m. A tile comes from
/// the (m + 2) x (m + 2) inputs d under it, filter g and the matrices of winograd_transform.h:
///
///   V = B^T d B          for each tile and input channel
///   U = G g G^T          for each pair of channels
///   M[e] = V[e] U[e]     for each of the (m + 2)^2 elements e: [tiles, C_in] x [C_in, C_out]
///   y = A^T M A          for each tile and output channel
///
/// (m + 2)^2 multiplications replace 9 m^2 per tile and pair of channels: 2.25 times fewer for
/// m = 2 and 4 times fewer for m = 4. All the rest is additions on whole vectors of channels.
///
/// The gradients are the same scheme: dx is the convolution of dy with the filters turned round,
/// and dw runs the four steps backwards,
///
///   dM = A dy A^T,   dU[e] = V[e]^T dM[e],   dw = G^T dU G
///
/// Accuracy in float, greatest error over greatest value, for 64 to 512 channels: 1e-6 for m = 2,
/// 6e-6 to 2e-5 for m = 4 (its dw 4e-6), where im2col has 5e-7. One Inf or NaN in the input makes
/// every output of its tiles NaN, where the definition has it in the 9 outputs that read it; and
/// inputs above 1e36 can overflow. The same bits for any number of threads. `beta` as in
/// conv2d_direct.h.
namespace boxgrad {

/// Stride 1, dilation 1, one group, 3x3.
bool winograd_covers(const ConvShape& shape);

/// y = activation(x * w + bias); m is 2 or 4.
void winograd_forward(int m, const ConvShape& shape, const Scalar* x, const Scalar* w,
                      const BiasActivation& epilogue, Scalar* y);

/// The transformed filters U of a layer whose filters no longer change, so that they are made once
/// and not in every forward pass: (m + 2)^2 / 9 times their memory.
class WinogradFilters {
 public:
  /// w is [3, 3, in, out]; m is 2 or 4.
  WinogradFilters(int m, std::int64_t in, std::int64_t out, const Scalar* w);

  int m() const { return m_; }
  /// The same bits as winograd_forward.
  void forward(const ConvShape& shape, const Scalar* x, const BiasActivation& epilogue,
               Scalar* y) const;

 private:
  int m_;
  std::int64_t in_, out_;
  std::unique_ptr<Buffer> transformed_;
};

void winograd_input_gradient(int m, const ConvShape& shape, const Scalar* dy, const Scalar* w,
                             Scalar beta, Scalar* dx);

void winograd_weight_gradient(int m, const ConvShape& shape, const Scalar* x, const Scalar* dy,
                              Scalar beta, Scalar* dw);

}  // namespace boxgrad
