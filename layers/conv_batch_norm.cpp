#include "layers/conv_batch_norm.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "core/autograd.h"
#include "core/blas.h"
#include "core/check.h"
#include "layers/kernels/batch_moments.h"
#include "layers/kernels/depthwise.h"
#include "layers/kernels/pointwise.h"
#include "layers/kernels/scratch.h"

namespace boxgrad {

using kernels::Affine, kernels::BlockSums, kernels::ChannelSums, kernels::InputGradient;
using kernels::rows_per_block;

namespace {

/// The rows of a product's block, as a multiple of the blocks that sums are kept of.
std::int64_t product_rows(const ConvShape& s, const RowProduct& multiply) {
  const std::int64_t block = rows_per_block(s.out_c);
  return (multiply.block(s.out_pixels()) + block - 1) / block * block;
}

/// z = x w, and the moments of z about its first row `origin`, which is therefore computed first.
ChannelSums multiply_and_sum(const ConvShape& s, const Scalar* x, const Scalar* w, Scalar* origin,
                             Scalar* z) {
  gemm_serial(Trans::no, Trans::no, 1, s.out_c, s.in_c, 1, x, s.in_c, w, s.out_c, 0, origin,
              s.out_c);
  BlockSums sums(s.out_pixels(), s.out_c);
  const RowProduct multiply(s.in_c, s.out_c, w, false);
  parallel_for(
      s.out_pixels(), product_rows(s, multiply), [&](std::int64_t begin, std::int64_t end) {
        multiply(end - begin, x + begin * s.in_c, z + begin * s.out_c, false);
        sums.fill(begin, end,
                  [&](std::int64_t row, std::int64_t rows, Scalar* first, Scalar* second) {
                    kernels::moment_sums(z + row * s.out_c, origin, rows, s.out_c, first, second);
                  });
      });
  return sums.total();
}

/// What backward needs of forward.
struct Saved {
  ConvShape s;
  Activation activation;
  Tensor x, w, z;
  Affine affine;
};

/// Rows begin..end-1 of dz.
void output_gradient(const Saved& f, const InputGradient& terms, const Scalar* dy,
                     std::int64_t begin, std::int64_t end, Scalar* dz) {
  const std::int64_t i = begin * f.s.out_c;
  kernels::affine_backward(f.activation, f.z.data().data() + i, dy + i, f.affine.pointers(),
                           terms.a.data(), terms.b.data(), terms.d.data(), end - begin, f.s.out_c,
                           0, dz);
}

/// dx and dw (either may be null), a block of dz at a time. Each part of the rows has a dw of its
/// own; they are added in order.
void products_by_block(const Saved& f, const InputGradient& terms, const Scalar* dy, GradSlot* dx,
                       GradSlot* dw) {
  const ConvShape& s = f.s;
  const RowProduct multiply(s.in_c, s.out_c, f.w.data().data(), true);
  const std::int64_t rows = s.out_pixels(), block = product_rows(s, multiply), size = s.weights();
  const std::int64_t per_part = ((rows + 7) / 8 + block - 1) / block * block;
  const std::int64_t parts = (rows + per_part - 1) / per_part;
  const Scalar* x = dw ? f.x.data().data() : nullptr;
  const auto [dx_data, dx_beta] = dx ? dx->target() : GradSlot::Target{nullptr, 0};
  Scratch partial(dw ? parts * size : 0);
  Scalar* sums = partial.data();
  parallel_for(
      parts, 1, [&, dx_data = dx_data, dx_beta = dx_beta](std::int64_t part, std::int64_t) {
        Scratch dz(block * s.out_c);
        const std::int64_t first = part * per_part, last = std::min(first + per_part, rows);
        for (std::int64_t row = first; row < last; row += block) {
          const std::int64_t count = std::min(block, last - row);
          output_gradient(f, terms, dy, row, row + count, dz.data());
          if (dx) multiply(count, dz.data(), dx_data + row * s.in_c, dx_beta != 0);
          if (dw)
            add_weight_gradient(s, count, x + row * s.in_c, dz.data(), sums + part * size,
                                row > first);
        }
      });
  if (!dw) return;
  dw->accumulate([&](std::size_t i) {
    Scalar sum = 0;
    for (std::int64_t part = 0; part < parts; ++part)
      sum += sums[part * size + static_cast<std::int64_t>(i)];
    return sum;
  });
}

/// The same with the whole dz: where it is small beside eight copies of dw.
void products_at_once(const Saved& f, const InputGradient& terms, const Scalar* dy, GradSlot* dx,
                      GradSlot* dw) {
  const ConvShape& s = f.s;
  Scratch dz(s.out_pixels() * s.out_c);
  parallel_for(s.out_pixels(), rows_per_block(s.out_c), [&](std::int64_t begin, std::int64_t end) {
    output_gradient(f, terms, dy, begin, end, dz.data() + begin * s.out_c);
  });
  if (dw) {
    const auto [data, beta] = dw->target();
    pointwise_weight_gradient(s, f.x.data().data(), dz.data(), beta, data);
  }
  if (dx) {
    const auto [data, beta] = dx->target();
    pointwise_input_gradient(s, dz.data(), f.w.data().data(), beta, data);
  }
}

/// z = x * w, each channel by itself, and the moments of z.
ChannelSums filter_and_sum(const ConvShape& s, const Scalar* x, const Scalar* w, Scalar* origin,
                           Scalar* z) {
  const RowWalker walk(s);
  depthwise_forward_row(s, walk, 0, x, w, z);
  std::copy_n(z, s.out_c, origin);
  const std::int64_t rows = depthwise_rows_per_chunk(s.out_w * s.out_c);
  BlockSums sums(s.out_pixels(), s.out_c, rows * s.out_w);
  parallel_for(s.batch * s.out_h, rows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) depthwise_forward_row(s, walk, row, x, w, z);
    sums.fill(begin * s.out_w, end * s.out_w,
              [&](std::int64_t pixel, std::int64_t pixels, Scalar* first, Scalar* second) {
                kernels::moment_sums(z + pixel * s.out_c, origin, pixels, s.out_c, first, second);
              });
  });
  return sums.total();
}

/// dx and dw (either may be null) of a depthwise convolution, a row of dz at a time: it goes into
/// dw, and into the rows of dx that then have all they need. A part is a stretch of one image;
/// where two meet, both compute the few rows of dz that both read.
void filter_gradients_by_row(const Saved& f, const InputGradient& terms, const Scalar* dy,
                             GradSlot* dx, GradSlot* dw) {
  ConvShape one = f.s;  // an image by itself, with a dz of its own
  one.batch = 1;
  const std::int64_t images = f.s.batch, per_image = (7 + images) / images;
  const std::int64_t parts = images * per_image, size = one.weights();
  const std::int64_t in_row = one.in_w * one.in_c, out_row = one.out_w * one.out_c;
  const RowWalker walk(one);
  const DepthwiseInputGradient input_gradient(one, f.w.data().data());
  const auto [dx_data, dx_beta] = dx ? dx->target() : GradSlot::Target{nullptr, 0};
  Scratch partial(dw ? parts * size : 0);
  Scalar* sums = partial.data();
  parallel_for(
      parts, 1, [&, dx_data = dx_data, dx_beta = dx_beta](std::int64_t part, std::int64_t) {
        const std::int64_t image = part / per_image, k = part % per_image;
        const auto stretch = [&](std::int64_t rows) {
          return Range{k * rows / per_image, (k + 1) * rows / per_image};
        };
        const Range own = stretch(one.out_h), inputs = stretch(dx ? one.in_h : 0);
        Range needed = own;
        if (inputs.begin < inputs.end) {
          const Range read = input_gradient.reads(inputs.begin, inputs.end);
          if (read.begin < read.end)
            needed = {std::min(own.begin, read.begin), std::max(own.end, read.end)};
        }
        Scratch gradient(one.out_h * out_row);
        Scalar* dz = gradient.data();
        Scalar* sum = sums + part * size;
        if (dw) std::fill_n(sum, size, Scalar{0});
        const Scalar* x = dw ? f.x.data().data() + image * one.in_h * in_row : nullptr;
        std::int64_t next = inputs.begin;                   // the first row of dx that is not done
        const auto finish_rows = [&](std::int64_t known) {  // dz is known up to there
          for (; next < inputs.end && input_gradient.reads(next, next + 1).end <= known; ++next)
            input_gradient(next, dz, dx_beta, dx_data + image * one.in_h * in_row);
        };
        for (std::int64_t row = needed.begin; row < needed.end; ++row) {
          const std::int64_t pixel = (image * one.out_h + row) * one.out_w;
          output_gradient(f, terms, dy, pixel, pixel + one.out_w, dz + row * out_row);
          if (dw && row >= own.begin && row < own.end)
            depthwise_weight_gradient_row(one, walk, row, x, dz, sum);
          finish_rows(row + 1);
        }
        finish_rows(one.out_h);
      });
  if (!dw) return;
  dw->accumulate([&](std::size_t i) {
    Scalar sum = 0;
    for (std::int64_t part = 0; part < parts; ++part)
      sum += sums[part * size + static_cast<std::int64_t>(i)];
    return sum;
  });
}

bool is_depthwise(const ConvShape& s) { return conv_algorithm_covers(ConvAlgorithm::depthwise, s); }

}  // namespace

bool conv2d_batch_norm_fuses(const ConvShape& shape, const Conv2dOptions& conv_options) {
  const ConvAlgorithm algorithm = conv_options.algorithm == ConvAlgorithm::automatic
                                      ? choose_conv_algorithm(shape)
                                      : conv_options.algorithm;
  return (algorithm == ConvAlgorithm::pointwise || algorithm == ConvAlgorithm::depthwise) &&
         conv_algorithm_covers(algorithm, shape);
}

Tensor conv2d_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& gamma,
                         const Tensor& beta, Tensor running_mean, Tensor running_var,
                         const Conv2dOptions& conv_options, const BatchNormOptions& norm_options) {
  Conv2dOptions plain = conv_options;
  plain.activation = Activation::none;
  const ConvShape s = conv_shape(x.shape(), weight.shape(), plain);
  if (!conv2d_batch_norm_fuses(s, plain))
    return batch_norm(conv2d(x, weight, {}, plain), gamma, beta, running_mean, running_var,
                      norm_options);
  const Shape channels{s.out_c};
  for (const auto& [name, t] : {std::pair<const char*, const Tensor*>{"gamma", &gamma},
                                {"beta", &beta},
                                {"running_mean", &running_mean},
                                {"running_var", &running_var}})
    check(t->shape() == channels, "conv2d_batch_norm: ", name, " must have shape ", channels,
          ", got ", t->shape());
  check(s.out_pixels() >= 2,
        "conv2d_batch_norm: needs at least 2 positions to have a variance, got x of shape ",
        x.shape());

  const bool depthwise = is_depthwise(s);
  Tensor z = Tensor::empty({s.batch, s.out_h, s.out_w, s.out_c});
  const Scalar *in = x.data().data(), *w = weight.data().data();
  std::vector<Scalar> origin(static_cast<std::size_t>(s.out_c));
  const ChannelSums moments =
      (depthwise ? filter_and_sum : multiply_and_sum)(s, in, w, origin.data(), z.data().data());
  Affine affine = kernels::batch_statistics(moments, origin.data(), s.out_pixels(), norm_options,
                                            running_mean, running_var);
  affine.set_scale(gamma.data().data(), beta.data().data());

  Tensor y = Tensor::empty(z.shape());
  parallel_for(s.out_pixels(), rows_per_block(s.out_c), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t i = begin * s.out_c;
    kernels::affine_forward(norm_options.activation, z.data().data() + i, affine.pointers(),
                            end - begin, s.out_c, y.data().data() + i);
  });

  // The input is kept for the filter's gradient alone.
  Saved saved{
      s, norm_options.activation, weight.grad_slot() ? x.detach() : Tensor(), weight.detach(),
      z, std::move(affine)};
  if (ops_are_observed())
    remark_on_op(
        depthwise ? "depthwise: each channel has its own filter, summed up while it is in cache"
                  : "pointwise: a matrix product over all pixels, summed up while it is in cache");
  return from_op("conv2d_batch_norm", y, {x, weight, gamma, beta},
                 [f = std::move(saved), dx = x.grad_slot(), dw = weight.grad_slot(),
                  dgamma = gamma.grad_slot(), dbeta = beta.grad_slot()](const Tensor& dy) {
                   const std::int64_t rows = f.s.out_pixels(), channels = f.s.out_c;
                   const Scalar *z = f.z.data().data(), *g = dy.data().data();
                   ChannelSums sums = kernels::channel_sums(
                       rows, channels,
                       [&](std::int64_t row, std::int64_t count, Scalar* first, Scalar* second) {
                         kernels::gradient_sums(f.activation, z + row * channels,
                                                g + row * channels, f.affine.pointers(), count,
                                                channels, first, second);
                       });
                   kernels::weight_gradients(sums, f.affine, dgamma.get(), dbeta.get());
                   if (!dx && !dw) return;
                   const InputGradient terms = kernels::input_gradient(sums, f.affine, rows, true);
                   const bool many_rows = rows >= 16 * f.s.in_c;
                   (is_depthwise(f.s) ? filter_gradients_by_row
                    : many_rows       ? products_by_block
                                      : products_at_once)(f, terms, g, dx.get(), dw.get());
                 });
}

}  // namespace boxgrad
