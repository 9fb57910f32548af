#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

/// Differentiable functions of tensors. Two shapes broadcast as in NumPy: aligned at their last
/// axes, an axis of extent 1 (or a missing one) is repeated; the gradient of a repeated element
/// is the sum over its copies. Every op throws std::invalid_argument, naming itself and both
/// shapes, when they do not fit.
namespace boxgrad {

// --- elementwise, two inputs (core/ops_binary.cpp); broadcasting ---
Tensor add(const Tensor& a, const Tensor& b);  ///< a + b
Tensor sub(const Tensor& a, const Tensor& b);  ///< a - b
Tensor mul(const Tensor& a, const Tensor& b);  ///< a * b
Tensor div(const Tensor& a, const Tensor& b);  ///< a / b
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, Scalar b) { return add(a, Tensor({1}, b)); }
inline Tensor operator-(const Tensor& a, Scalar b) { return sub(a, Tensor({1}, b)); }
inline Tensor operator*(const Tensor& a, Scalar b) { return mul(a, Tensor({1}, b)); }
inline Tensor operator/(const Tensor& a, Scalar b) { return div(a, Tensor({1}, b)); }
inline Tensor operator+(Scalar a, const Tensor& b) { return add(Tensor({1}, a), b); }
inline Tensor operator-(Scalar a, const Tensor& b) { return sub(Tensor({1}, a), b); }
inline Tensor operator*(Scalar a, const Tensor& b) { return mul(Tensor({1}, a), b); }
inline Tensor operator/(Scalar a, const Tensor& b) { return div(Tensor({1}, a), b); }

/// The shape that a and b broadcast to; throws naming `op`.
Shape broadcast_shape(const Shape& a, const Shape& b, const char* op);

// --- elementwise, one input (core/ops_unary.cpp) ---
Tensor neg(const Tensor& x);     ///< -x
Tensor square(const Tensor& x);  ///< x^2;    dx = 2 x dy
Tensor exp(const Tensor& x);     ///< e^x;    dx = y dy
Tensor log(const Tensor& x);     ///< ln x;   dx = dy / x.  -inf at 0, NaN below, as in IEEE
Tensor sqrt(const Tensor& x);    ///< x^0.5;  dx = dy / (2 y)
/// min(max(x, low), high); dx = dy where low <= x <= high, else 0. Equals torch.clamp.
Tensor clamp(const Tensor& x, Scalar low, Scalar high);
inline Tensor operator-(const Tensor& x) { return neg(x); }

// --- matrix product (core/ops_matmul.cpp) ---
/// [M, K] x [K, N] -> [M, N];  dA = dC B^T, dB = A^T dC.
Tensor matmul(const Tensor& a, const Tensor& b);

// --- reductions (core/ops_reduce.cpp) ---
/// Sum over the given axes (all of them when empty). The reduced axes disappear, or stay with
/// extent 1 when keepdim; a full reduction gives shape [1].
Tensor sum(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false);
/// Sum divided by the number of elements summed; throws when that number is 0.
Tensor mean(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false);
/// Largest element over the axes; dy goes to the first one (row-major) that attains it. Throws
/// when there is nothing to compare. NaN never wins unless everything is NaN.
Tensor max(const Tensor& x, std::vector<int> axes = {}, bool keepdim = false);

// --- shape (core/ops_shape.cpp) ---
/// The same numbers (shared, not copied) under another shape; one extent may be -1 = the rest.
Tensor reshape(const Tensor& x, std::vector<std::int64_t> extents);
/// Axes in another order: y's axis i is x's axis order[i]. Copies.
Tensor permute(const Tensor& x, std::vector<int> order);
/// Joined along an axis; all other extents must agree.
Tensor cat(const std::vector<Tensor>& inputs, int axis);
/// Elements begin..end-1 of an axis.
Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end);

// --- indexing (core/ops_index.cpp) ---
/// Rows of an axis by number, repeats allowed: y[i, ...] = x[index[i], ...] for axis 0.
Tensor index_select(const Tensor& x, int axis, const std::vector<std::int64_t>& index);
/// One element of the last axis per row: x [..., L], index with one entry per row -> [...]
/// without the last axis ([rows]). y[r] = x[r, index[r]].
Tensor gather(const Tensor& x, const std::vector<std::int64_t>& index);

// --- order of plain vectors (core/sort.cpp): not differentiable ---
/// Positions in the order of descending value; equal values keep their order, NaN comes last.
std::vector<std::int64_t> argsort_descending(std::span<const Scalar> values);
/// The first min(k, size) of argsort_descending.
std::vector<std::int64_t> topk(std::span<const Scalar> values, std::int64_t k);
/// The position of the largest value in each row of the last axis, [..., L] -> [rows]: the class
/// that a classifier's logits [N, L] name. Of equal values the first; NaN only when all are.
/// torch.argmax(x, -1), apart from NaN. Throws for a scalar and for L = 0.
std::vector<std::int64_t> argmax(const Tensor& x);

}  // namespace boxgrad
