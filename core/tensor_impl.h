#pragma once

#include "core/autograd.h"
#include "core/tensor.h"

namespace boxgrad {

/// What the handles to one tensor share. Numbers and gradient slot are separate objects: a graph
/// that only has to deliver a gradient here does not keep the numbers alive. Seen by tensor.cpp
/// and autograd.cpp only.
struct Tensor::Impl {
  Impl(Shape s, std::shared_ptr<Buffer> n)
      : shape(std::move(s)), numbers(std::move(n)), slot(std::make_shared<GradSlot>(shape)) {}

  Shape shape;
  std::shared_ptr<Buffer> numbers;
  std::shared_ptr<GradSlot> slot;
};

/// The few operations on tensors and slots that only the autograd engine may do.
struct AutogradAccess {
  static const std::shared_ptr<Buffer>& numbers(const Tensor& tensor);
  static const std::shared_ptr<Node>& producer(const GradSlot& slot) { return slot.producer_; }
  static bool freed(const GradSlot& slot) { return slot.freed_; }
  static void set_history(Tensor& tensor, std::shared_ptr<Node> node);
  static void start(GradSlot& slot, const Tensor& gradient);
  /// Runs the op that produced this slot's tensor backwards and frees it.
  static void step_back(GradSlot& slot);
};

}  // namespace boxgrad
