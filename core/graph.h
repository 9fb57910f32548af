#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/autograd.h"

namespace boxgrad {

/// A tensor in a recording: a leaf, or what an op made.
struct GraphNode {
  std::uint64_t id = 0;     ///< Tensor::id()
  std::string op;           ///< "" for a leaf
  std::string name;         ///< a leaf's given name
  std::string module_path;  ///< where the op ran
  Shape shape;
  bool requires_grad = false;
  std::vector<std::size_t> inputs;  ///< indices of nodes
  std::vector<Scalar> values;       ///< at most kShownValues numbers, else empty
  std::vector<Scalar> gradient;     ///< likewise, after backward()
  double gradient_norm = -1;        ///< L2 norm; -1: none arrived

  /// What stands in its box: op or name, module, value or shape, gradient or its norm.
  std::vector<std::string> lines() const;
};

/// Writes down the ops of this thread while it lives: names, modules, shapes and the values of
/// small tensors as they are computed, gradients as backward() passes by.
///
///   GraphRecorder recorder;
///   recorder.name(w, "w");
///   Tensor loss = square(sum(w * x) - t);
///   loss.backward();
///   write_file_atomically("graph.svg", recorder.to_svg());
///
/// It keeps handles to leaves, so that their final gradients can be read.
class GraphRecorder : public OpObserver {
 public:
  static constexpr std::int64_t kShownValues = 6;

  /// What a leaf is called in pictures; others are called "constant" or "leaf".
  void name(const Tensor& tensor, const std::string& name);

  /// Everything so far; leaves before the ops that read them.
  std::vector<GraphNode> nodes() const;

  /// One line per op: module, op, input shapes, output shape, gradient norm.
  std::string table() const;
  /// For Graphviz: `dot -Tsvg`.
  std::string to_dot() const;
  /// A drawing of our own: leaves above the ops that read them, each op below all of its inputs,
  /// what nothing reads (the loss) in its own colour. Meant for up to some dozens of nodes; throws
  /// std::invalid_argument for more than 200, where Graphviz does better.
  std::string to_svg() const;

  void after_forward(const Op& op) override;
  void before_backward(const Op& op, const Tensor& dy) override;

 private:
  std::size_t node_of(const Tensor& leaf);

  std::vector<GraphNode> nodes_;
  std::map<std::uint64_t, std::size_t> index_;  // of an id
  std::map<std::size_t, Tensor> leaves_;        // by node
  std::map<std::uint64_t, std::string> names_;
};

}  // namespace boxgrad
