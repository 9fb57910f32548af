#pragma once

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad {

/// What a layer with weights applies to its result (conv2d, linear, batch norm): those whose slope
/// follows from the output alone.
enum class Activation { none, relu, relu6 };

// Each writes its gradient in terms of the output y, so that no input is kept. At a kink the slope
// is 0, as in torch. Any shape; the names are torch's.

/// y = max(x, 0);  dx = dy where y > 0, else 0.
Tensor relu(const Tensor& x);

/// y = min(max(x, 0), 6);  dx = dy where 0 < y < 6, else 0. Howard et al., "MobileNets", 2017.
Tensor relu6(const Tensor& x);

/// y = x where x > 0, else slope x;  dx = dy or slope dy. Throws std::invalid_argument unless
/// slope >= 0.
Tensor leaky_relu(const Tensor& x, Scalar slope = Scalar(0.01));

/// y = 1 / (1 + e^-x);  dx = dy y (1 - y).
Tensor sigmoid(const Tensor& x);

/// Over the last axis: y_l = e^x_l / sum_k e^x_k;  dx_l = y_l (dy_l - sum_k dy_k y_k).
Tensor softmax(const Tensor& x);

/// Over the last axis: y_l = x_l - ln sum_k e^x_k;  dx_l = dy_l - e^y_l sum_k dy_k. More exact
/// than the logarithm of softmax.
Tensor log_softmax(const Tensor& x);

namespace nn {

// The functions as modules, to stand in a Sequential.

struct ReLU : Module {
  Tensor forward(const Tensor& x) override { return relu(x); }
};

struct ReLU6 : Module {
  Tensor forward(const Tensor& x) override { return relu6(x); }
};

struct LeakyReLU : Module {
  explicit LeakyReLU(Scalar negative_slope = Scalar(0.01)) : slope(negative_slope) {}
  Tensor forward(const Tensor& x) override { return leaky_relu(x, slope); }
  Scalar slope;
};

struct Sigmoid : Module {
  Tensor forward(const Tensor& x) override { return sigmoid(x); }
};

struct Softmax : Module {
  Tensor forward(const Tensor& x) override { return softmax(x); }
};

}  // namespace nn

}  // namespace boxgrad
