#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/svd.h"
#include "layers/linear.h"
#include "layers/module.h"

/// Truncated SVD of fully connected layers: Girshick, "Fast R-CNN", ICCV 2015, section 3.1.
namespace boxgrad::nn {

/// A Linear as two thin ones. With the paper's W [u, v] (our weight is its transpose),
///
///   W ~ U S_t V^T   =>   y = activation(U (S_t V^T x) + b)
///
/// "v"     [in, t]   the first layer: S_t V^T, without a bias
/// "u"     [t, out]  the second layer: U (the lecture notes misprint it as W)
/// "bias"  [out]     of the second layer, if the original has one
///
/// No activation stands between the two. t (u + v) numbers instead of u v. All parameters can be
/// trained further, unless the layer is frozen: v and u want a gradient if its weight does, the bias
/// if its bias does.
class SVDLinear : public Module {
 public:
  /// The best approximation of rank t of a layer. `decomposition` is svd(layer.weight), or as many
  /// of its first singular values as were computed.
  /// Throws std::invalid_argument unless 1 <= t <= the singular values given.
  SVDLinear(const Linear& layer, const Svd& decomposition, std::int64_t t);
  Tensor forward(const Tensor& x) override;

  Activation activation;
  Tensor v, u, bias;
};

/// The smallest t whose singular values hold at least the share `energy` of the sum of all squares:
/// the squared Frobenius norm of what is kept. 1 <= t <= s.size().
/// Throws std::invalid_argument unless 0 < energy <= 1 and s is not empty.
std::int64_t rank_for_energy(const std::vector<Scalar>& s, double energy);

/// The largest t that saves numbers: t (in + out) < in * out. 0 for layers that nothing can shrink.
std::int64_t largest_saving_rank(std::int64_t in, std::int64_t out);

struct CompressOptions {
  std::string layers = ".*";  ///< of the model's Linears those whose path this expression matches
  std::int64_t t = 0;         ///< the rank of each; or 0, and
  double energy = 0;          ///< the share of each weight's squares that is kept
  std::int64_t rows = 128;    ///< inputs that each layer is measured with; 0: not measured
};

/// What became of one layer.
struct CompressedLayer {
  std::string path;
  std::int64_t in = 0, out = 0, t = 0;
  double energy = 0;  ///< share of the weight's squares kept
  std::int64_t parameters_before = 0, parameters_after = 0;
  double seconds = 0;  ///< of decomposing
  // On `rows` normally distributed inputs, without the activation: shortest of several runs, and
  // |y_after - y_before| / |y_before| (Frobenius norms).
  double ms_before = 0, ms_after = 0, output_change = 0;

  /// The weight's error over the weight, in the Frobenius norm: what output_change is on average.
  double error() const;
};

/// Puts an SVDLinear in the place of the model's Linears and says what that changed. Real inputs are
/// not normally distributed: what their outputs lose may be less or more than output_change.
///
/// With `t`, a layer that would not become smaller is an error: break-even is at in out / (in +
/// out), 3521.1 for VGG16's fc6. With `energy`, such a layer stays as it is and is not in the list.
///
/// Decomposes by svd(); with `t` up to a quarter of the smaller side of a weight of at least 2^22
/// numbers, by truncated_svd(), which is 3 to 20 times as fast and within 1 % of the least error.
///
/// Throws std::invalid_argument for options that do not fit, and when no Linear's path matches.
/// Nothing is changed then.
std::vector<CompressedLayer> compress(Module& model, const CompressOptions& options);

/// The list as a table for people.
std::string to_table(const std::vector<CompressedLayer>& layers);

}  // namespace boxgrad::nn
