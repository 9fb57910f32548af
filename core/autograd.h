#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/tensor.h"

namespace boxgrad {

struct Node;

/// Elements per chunk of a threaded elementwise loop: 64 KiB of floats, which fit into L2 several
/// times over.
inline constexpr std::int64_t kElementwiseGrain = 16384;

/// Where the gradient of one tensor collects. Kept apart from the tensor's numbers, so that an op
/// whose backward only *writes* an input's gradient does not keep that input's numbers alive.
///
/// The first writer of a backward pass stores and later ones add; nothing is zero-filled in
/// between. There are four ways to write, one per kind of loop:
///
///   dx->accumulate([&](std::size_t i) { return dy[i] * y[i]; });        // one value per element
///   const auto [dx_data, beta] = dx->target();  gemm(..., beta, dx_data) // BLAS: beta 0 or 1
///   auto dx_data = dx->zeroed();  dx_data[index[i]] += dy[i];            // scatter
///   dx->add(dy);                                                        // pass through
class GradSlot {
 public:
  struct Target {
    Scalar* data;
    Scalar beta;  ///< 0: overwrite, the numbers are uninitialised; 1: add to what is there
  };

  explicit GradSlot(Shape shape);
  ~GradSlot();

  const Shape& shape() const { return shape_; }
  std::uint64_t id() const { return id_; }
  bool written() const { return written_; }
  /// The gradient so far; empty when nothing was written.
  std::span<const Scalar> data() const;

  /// dx[i] = f(i) for the first writer, dx[i] += f(i) afterwards; threaded over i.
  template <class F>
  void accumulate(F&& f) {
    const auto [dx, beta] = target();
    parallel_for(shape_.numel(), kElementwiseGrain,
                 [&, dx = dx, beta = beta](auto begin, auto end) {
                   if (beta == 0)
                     for (std::int64_t i = begin; i < end; ++i)
                       dx[i] = f(static_cast<std::size_t>(i));
                   else
                     for (std::int64_t i = begin; i < end; ++i)
                       dx[i] += f(static_cast<std::size_t>(i));
                 });
  }

  /// The numbers and the beta of a writer that covers every element.
  Target target();

  /// The numbers, filled with zeros if this is the first writer, for a writer that adds here and
  /// there.
  std::span<Scalar> zeroed();

  /// Adds a gradient of the same number of elements. The first writer's numbers are taken over
  /// without a copy when nothing else holds them.
  void add(const Tensor& gradient);

 private:
  friend class Tensor;
  friend struct AutogradAccess;
  Shape shape_;
  std::uint64_t id_;
  bool requires_grad_ = false;
  bool retain_ = false;
  bool written_ = false;
  bool freed_ = false;  ///< an op produced it and backward() has already gone through
  std::shared_ptr<Buffer> buffer_;
  std::shared_ptr<Node> producer_;  ///< null for a leaf
};

/// What an op does with the gradient of its output: adds to the gradients of its inputs.
using Backward = std::function<void(const Tensor& dy)>;

/// Joins an op to the graph: the way every differentiable op returns.
///
///   op       its name, as in docs/ops.md (a string literal: the pointer is kept)
///   output   its freshly computed value, without history
///   inputs   every tensor it depends on, constants too
///   backward receives dloss/doutput and writes dloss/dinput through the inputs' grad_slot()s
///
/// Returns `output`; it requires a gradient if one of the inputs does and no NoGradGuard lives,
/// and only then is `backward` kept.
///
/// A closure captures what its formula reads (a `const Tensor` for numbers, a grad_slot() for a
/// place to write) and never the output's own handle: output -> node -> closure -> output would
/// be a cycle that shared_ptr never frees. For output values capture `output.detach()`.
///
///   return from_op("exp", y, {x}, [dx = x.grad_slot(), y = y.detach()](const Tensor& dy) {
///     const auto g = dy.data(), e = y.data();
///     dx->accumulate([&](std::size_t i) { return g[i] * e[i]; });
///   });
///
/// With several inputs each slot may be null: `if (dw) ...`.
Tensor from_op(const char* op, Tensor output, std::vector<Tensor> inputs, Backward backward);

/// True unless a NoGradGuard lives on this thread.
bool grad_enabled();

/// While it lives, ops on this thread record nothing: evaluation, NMS, optimiser updates.
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool before_;
};

/// While it lives, ops on this thread belong to the module `name` (nested: "backbone.conv1").
/// Module sets one around its forward; NaN reports, profiles and drawings read it. While a backward
/// closure runs, the path is that of its op.
class ModuleScope {
 public:
  explicit ModuleScope(const std::string& name);
  ~ModuleScope();
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;

 private:
  std::size_t length_before_;
};

/// The dotted path of the module that is running, "" outside of any.
const std::string& current_module_path();

/// While it lives, what this thread does outside of ops is called `name` ("nms", "sgd_step"): a
/// literal, for the profiler (layers/profile.h). Put one around work that is worth a row of its own
/// and does not end in from_op.
class WorkScope {
 public:
  explicit WorkScope(const char* name);
  ~WorkScope();
  WorkScope(const WorkScope&) = delete;
  WorkScope& operator=(const WorkScope&) = delete;

 private:
  const char* before_;
};

/// Whether a backward closure is running on this thread.
bool in_backward();

/// Whether an OpObserver lives on this thread: if so, a remark is worth its making.
bool ops_are_observed();

/// What the op that is running has to say to observers, e.g. which algorithm it chose and why; its
/// from_op hands it over.
void remark_on_op(std::string remark);

/// Sees every op of its thread while it lives: the graph recorder, the NaN detector, profilers
/// and the test of gradient-check coverage are observers, so that ops need to know none of them.
class OpObserver {
 public:
  struct Op {
    const char* name;                   ///< the op's name
    const std::string& module_path;     ///< where it ran
    const Tensor& output;               ///< forward: its value; backward: undefined Tensor
    const std::vector<Tensor>& inputs;  ///< forward only; empty in backward
    std::uint64_t output_id;            ///< id() of the output
    const std::vector<std::shared_ptr<GradSlot>>&
        input_slots;            ///< backward only; null: no gradient
    const std::string& remark;  ///< forward: of remark_on_op(), else ""
  };

  OpObserver();
  virtual ~OpObserver();
  OpObserver(const OpObserver&) = delete;
  OpObserver& operator=(const OpObserver&) = delete;

  virtual void after_forward(const Op&) {}
  virtual void before_backward(const Op&, const Tensor& /*dy*/) {}
  virtual void after_backward(const Op&, const Tensor& /*dy*/) {}
  /// A module or a WorkScope is about to begin or has just ended. current_module_path() and
  /// `work` (null for none) still say where the time since the last event was spent.
  virtual void at_boundary(const char* /*work*/) {}
};

}  // namespace boxgrad
