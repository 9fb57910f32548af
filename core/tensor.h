#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/random.h"
#include "core/scalar.h"
#include "core/shape.h"

namespace boxgrad {

class GradSlot;

/// A block of numbers aligned to 64 bytes (a cache line, an AVX-512 register); never resized.
class Buffer {
 public:
  enum class Fill { none, zero };
  /// What it holds, for the memory report (core/memory.h); scratch is a kernel's working memory.
  enum class Use { value, gradient, scratch };
  Buffer(std::int64_t size, Fill fill, Use use = Use::value);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Scalar* data() { return data_; }
  const Scalar* data() const { return data_; }

 private:
  Scalar* data_;
  std::int64_t bytes_;
};

/// An n-dimensional array of Scalars: a *handle* to a shape, contiguous numbers in row-major
/// order, a gradient and the history that backward() walks.
///
/// Copying a Tensor copies the handle: both names share numbers, gradient and history, as in
/// PyTorch. clone() copies the numbers. `const` is the handle's constness: a `const Tensor`
/// reads its numbers, and a closure that captured one can still receive its gradient through
/// grad_slot() (core/autograd.h).
///
/// Images and feature maps are [N, H, W, C], filters [KH, KW, C_in, C_out]: docs/conventions.md.
class Tensor {
 public:
  Tensor() = default;                                         ///< no tensor: defined() is false
  explicit Tensor(Shape shape);                               ///< zeros
  Tensor(Shape shape, Scalar fill);                           ///< all elements equal
  Tensor(Shape shape, std::initializer_list<Scalar> values);  ///< row-major values
  Tensor(Shape shape, const std::vector<Scalar>& values);     ///< row-major values

  /// Numbers left uninitialised, for an op that writes every one of them.
  static Tensor empty(Shape shape);
  static Tensor zeros(Shape shape) { return Tensor(std::move(shape)); }
  static Tensor ones(Shape shape) { return Tensor(std::move(shape), Scalar{1}); }
  static Tensor full(Shape shape, Scalar value) { return Tensor(std::move(shape), value); }
  /// 0, 1, ..., n-1 as shape [n].
  static Tensor arange(std::int64_t n);
  /// Independent normal numbers with mean 0 and variance 1.
  static Tensor randn(Shape shape, Random& random = default_random());
  /// Independent uniform numbers in [0, 1).
  static Tensor rand(Shape shape, Random& random = default_random());

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  std::int64_t size(int axis) const { return shape()[axis]; }
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }

  /// The numbers in row-major order; a const handle reads, a mutable one writes. Writing is for
  /// tensors that no recorded op has read yet, or under NoGradGuard (SGD, initialisers).
  std::span<const Scalar> data() const;
  std::span<Scalar> data();

  /// The only element of a tensor with one element; throws for any other.
  Scalar item() const;
  /// The element at an index, e.g. x.at({0, 2}); throws outside the shape.
  Scalar at(std::initializer_list<std::int64_t> index) const;
  void set(std::initializer_list<std::int64_t> index, Scalar value);
  std::vector<Scalar> to_vector() const;

  /// Copies the numbers into a new leaf without gradient.
  Tensor clone() const;
  /// The same numbers as a leaf without gradient or history.
  Tensor detach() const;
  /// The same numbers under another shape with as many elements, without history. The
  /// differentiable form is reshape() in core/ops.h.
  Tensor view_as(Shape shape) const;

  // --- gradient ---------------------------------------------------------------------------

  /// Asks for a gradient (leaves only: parameters, inputs under study). Returns *this.
  Tensor& requires_grad_(bool value = true);
  bool requires_grad() const;
  /// True unless an op with history produced this tensor.
  bool is_leaf() const;

  /// Whether backward() has written a gradient since the last zero_grad().
  bool has_grad() const;
  /// dloss/dthis as a tensor that shares the gradient's numbers; zeros if none was written.
  Tensor grad() const;
  /// Forgets the gradient. The next backward() stores instead of adding, so nothing is filled.
  void zero_grad();
  /// Keeps the gradient of a tensor that is not a leaf (it is freed during backward() otherwise).
  void retain_grad();

  /// Computes the gradients of this one-element tensor with respect to every leaf that requires
  /// one, adding to what the leaves already hold, and frees the graph on the way.
  /// Throws std::invalid_argument for more than one element, std::logic_error when the graph was
  /// already used and freed, or when nothing here requires a gradient.
  void backward() const;
  /// The same for a tensor of any shape, from dloss/dthis.
  void backward(const Tensor& gradient) const;

  /// Where gradients for this tensor go, or null when it does not require one. What a closure
  /// captures when it writes a gradient but does not read the numbers.
  std::shared_ptr<GradSlot> grad_slot() const;

  /// A number that names this tensor in recordings; handles to the same tensor share it.
  std::uint64_t id() const;

 private:
  friend class GradSlot;
  friend Tensor make_tensor(Shape, std::shared_ptr<Buffer>);
  friend struct AutogradAccess;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// A tensor over an existing buffer with at least shape.numel() numbers (shared, not copied).
Tensor make_tensor(Shape shape, std::shared_ptr<Buffer> buffer);

/// Prints like NumPy: nested brackets, aligned columns, "..." in the middle of long axes.
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace boxgrad
