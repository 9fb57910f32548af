#pragma once

#include <memory>
#include <vector>

#include "layers/module.h"

namespace boxgrad::nn {

/// Modules one after the other, named "0", "1", ... as in PyTorch:
///
///   auto net = Sequential(conv1, relu1, conv2);   // y = conv2(relu1(conv1(x)))
class Sequential : public Module {
 public:
  template <class... Modules>
  explicit Sequential(std::shared_ptr<Modules>... modules) {
    (append(modules), ...);
  }

  /// Adds a module at the end.
  void append(std::shared_ptr<Module> module) {
    add_module(std::to_string(children().size()), std::move(module));
  }
  std::size_t size() const { return children().size(); }
  Module& operator[](std::size_t index) const { return children().at(index).second.module(); }

  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (const auto& [name, child] : children()) y = child(y);
    return y;
  }
};

}  // namespace boxgrad::nn
