#include "layers/inference.h"

#include "core/autograd.h"
#include "core/check.h"
#include "layers/conv_norm.h"

namespace boxgrad::nn {

FrozenConv2d::FrozenConv2d(const Conv2d& conv)
    : options_(conv.options),
      weight_(conv.weight.clone()),
      bias_(conv.bias.defined() ? conv.bias.clone() : Tensor()) {}

Tensor FrozenConv2d::forward(const Tensor& x) {
  const ConvShape s = conv_shape(x.shape(), weight_.shape(), options_);
  const ConvAlgorithm algorithm = conv_algorithm(s, options_.algorithm, FilterTransform::done);
  const int m = algorithm == ConvAlgorithm::winograd4   ? 4
                : algorithm == ConvAlgorithm::winograd2 ? 2
                                                        : 0;
  if (m == 0 || (grad_enabled() && x.requires_grad())) return conv2d(x, weight_, bias_, options_);
  const WinogradFilters* filters = nullptr;
  {
    const std::lock_guard lock(mutex_);  // several threads may answer with one network
    filters = &filters_.try_emplace(m, m, s.in_c, s.out_c, weight_.data().data()).first->second;
  }
  Tensor y = Tensor::empty({s.batch, s.out_h, s.out_w, s.out_c});
  filters->forward(s, x.data().data(),
                   {bias_.defined() ? bias_.data().data() : nullptr, options_.activation},
                   y.data().data());
  if (ops_are_observed())
    remark_on_op(explain_conv_algorithm(s, options_.algorithm, FilterTransform::done));
  return from_op("conv2d", y, {x, weight_}, {});
}

void prepare_for_inference(Module& model) {
  check(dynamic_cast<Conv2d*>(&model) == nullptr,
        "prepare_for_inference: the model is itself a Conv2d; use FrozenConv2d");
  fold_batch_norms(model);
  model.replace_each([](Module& module) -> std::shared_ptr<Module> {
    const auto* conv = dynamic_cast<Conv2d*>(&module);
    if (conv == nullptr) return nullptr;
    const Shape some_map{1, 1024, 1024, conv->weight.size(2) * conv->options.groups};
    const ConvShape shape = conv_shape(some_map, conv->weight.shape(), conv->options);
    return winograd_covers(shape) ? std::make_shared<FrozenConv2d>(*conv) : nullptr;
  });
  model.eval();
}

}  // namespace boxgrad::nn
