#include "layers/conv_norm_stage.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "core/blas.h"
#include "core/check.h"
#include "layers/kernels/depthwise.h"
#include "layers/kernels/pointwise.h"
#include "layers/kernels/scratch.h"

namespace boxgrad::conv_norm_stage {

using namespace kernels;

namespace {

/// The rows of a product's block, as a multiple of the blocks that sums are kept of.
std::int64_t product_rows(const ConvShape& s, const RowProduct& multiply) {
  const std::int64_t block = rows_per_block(s.out_c);
  return (multiply.block(s.out_pixels()) + block - 1) / block * block;
}

/// Rows begin..end-1 of dz.
void output_gradient(const ConvNormStage& f, const InputGradient& terms, const Scalar* dy,
                     std::int64_t begin, std::int64_t end, Scalar* dz) {
  const std::int64_t i = begin * f.shape.out_c;
  affine_backward(f.activation, f.z.data().data() + i, dy + i, f.affine.pointers(), terms.a.data(),
                  terms.b.data(), terms.d.data(), end - begin, f.shape.out_c, 0, dz);
}

/// dw += the sums of `parts` parts, in order.
void add_parts(std::int64_t parts, std::int64_t size, const Scalar* sums, GradSlot& dw) {
  dw.accumulate([&](std::size_t i) {
    Scalar sum = 0;
    for (std::int64_t part = 0; part < parts; ++part)
      sum += sums[part * size + static_cast<std::int64_t>(i)];
    return sum;
  });
}

/// z = x w, and the moments of z about its first row `origin`, which is therefore computed first.
ChannelSums multiply_and_sum(const ConvShape& s, const RowSource& x, const Scalar* w,
                             Scalar* origin, Scalar* z) {
  std::vector<Scalar> room(static_cast<std::size_t>(s.in_c));
  gemm_serial(Trans::no, Trans::no, 1, s.out_c, s.in_c, 1, x.read(0, 1, room.data()), s.in_c, w,
              s.out_c, 0, origin, s.out_c);
  BlockSums sums(s.out_pixels(), s.out_c);
  const RowProduct multiply(s.in_c, s.out_c, w, false);
  const std::int64_t block = product_rows(s, multiply);
  parallel_for(s.out_pixels(), block, [&](std::int64_t begin, std::int64_t end) {
    Scratch ready(x.pending ? block * s.in_c : 0);
    multiply(end - begin, x.read(begin, end, ready.data()), z + begin * s.out_c, false);
    sums.fill(begin, end, [&](std::int64_t row, std::int64_t rows, Scalar* first, Scalar* second) {
      moment_sums(z + row * s.out_c, origin, rows, s.out_c, first, second);
    });
  });
  return sums.total();
}

/// The same for z = x * w, each channel by itself.
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
                moment_sums(z + pixel * s.out_c, origin, pixels, s.out_c, first, second);
              });
  });
  return sums.total();
}

}  // namespace

const Scalar* RowSource::read(std::int64_t begin, std::int64_t end, Scalar* room) const {
  const Scalar* rows = map + begin * channels;
  if (!pending) return rows;
  affine_forward(activation, rows, pending->pointers(), end - begin, channels, room);
  return room;
}

void check_norm(const char* op, const char* part, const ConvShape& s, const ConvNormArguments& a) {
  const Shape channels{s.out_c};
  for (const auto& [name, t] : {std::pair<const char*, const Tensor*>{"gamma", &a.gamma},
                                {"beta", &a.beta},
                                {"running_mean", &a.running_mean},
                                {"running_var", &a.running_var}})
    check(t->shape() == channels, op, ": ", part, name, " must have shape ", channels, ", got ",
          t->shape());
  check(s.out_pixels() >= 2, op, ": needs at least 2 positions to have a variance, got x of shape ",
        Shape{s.batch, s.in_h, s.in_w, s.in_c});
}

ConvNormStage convolve_and_measure(ConvAlgorithm algorithm, const ConvShape& s, const RowSource& x,
                                   const ConvNormArguments& a) {
  ConvNormStage f{s,
                  algorithm,
                  a.norm.activation,
                  a.weight.detach(),
                  Tensor::empty({s.batch, s.out_h, s.out_w, s.out_c}),
                  {}};
  const Scalar* w = a.weight.data().data();
  Scalar* z = f.z.data().data();
  std::vector<Scalar> origin(static_cast<std::size_t>(s.out_c));
  const ChannelSums moments = algorithm == ConvAlgorithm::depthwise
                                  ? filter_and_sum(s, x.map, w, origin.data(), z)
                                  : multiply_and_sum(s, x, w, origin.data(), z);
  f.affine = batch_statistics(moments, origin.data(), s.out_pixels(), a.norm, a.running_mean,
                              a.running_var);
  f.affine.set_scale(a.gamma.data().data(), a.beta.data().data());
  return f;
}

void apply_norm(const ConvNormStage& f, Scalar* y) {
  const std::int64_t channels = f.shape.out_c;
  parallel_for(f.shape.out_pixels(), rows_per_block(channels),
               [&](std::int64_t begin, std::int64_t end) {
                 const std::int64_t i = begin * channels;
                 affine_forward(f.activation, f.z.data().data() + i, f.affine.pointers(),
                                end - begin, channels, y + i);
               });
}

ChannelSums norm_gradient_sums(const ConvNormStage& f, const Scalar* dy) {
  const std::int64_t channels = f.shape.out_c;
  const Scalar* z = f.z.data().data();
  return channel_sums(f.shape.out_pixels(), channels,
                      [&](std::int64_t row, std::int64_t count, Scalar* first, Scalar* second) {
                        gradient_sums(f.activation, z + row * channels, dy + row * channels,
                                      f.affine.pointers(), count, channels, first, second);
                      });
}

/// Where the rows are many, each of eight parts of them has a dw of its own. Where they are few,
/// eight copies of dw would be more than dz itself: then dz, and x if it is pending, are kept whole
/// for one product at the end.
void pointwise_stage_gradients(const ConvNormStage& f, const InputGradient& terms, const Scalar* dy,
                               const RowSource& x, GradSlot::Target dx, GradSlot* dw,
                               BlockSums* input_sums) {
  assert(!input_sums || (x.pending && dx.data && dx.beta == 0));
  const ConvShape& s = f.shape;
  const RowProduct multiply(s.in_c, s.out_c, f.weight.data().data(), true);
  const std::int64_t rows = s.out_pixels(), block = product_rows(s, multiply), size = s.weights();
  const bool by_parts = dw && rows >= 16 * s.in_c, at_once = dw && !by_parts;
  const std::int64_t sum_rows = rows_per_block(s.out_c);
  const std::int64_t per_part =
      by_parts ? ((rows + 7) / 8 + sum_rows - 1) / sum_rows * sum_rows : block;
  const std::int64_t parts = (rows + per_part - 1) / per_part;
  Scratch partial(by_parts ? parts * size : 0), whole_dz(at_once ? rows * s.out_c : 0);
  Scratch whole_x(at_once && x.pending ? rows * s.in_c : 0);
  parallel_for(parts, 1, [&](std::int64_t part, std::int64_t) {
    Scratch dz_block(at_once ? 0 : block * s.out_c);
    Scratch x_block(by_parts && x.pending ? block * s.in_c : 0);
    const std::int64_t first = part * per_part, last = std::min(first + per_part, rows);
    for (std::int64_t row = first; row < last; row += block) {
      const std::int64_t count = std::min(block, last - row);
      Scalar* dz = at_once ? whole_dz.data() + row * s.out_c : dz_block.data();
      output_gradient(f, terms, dy, row, row + count, dz);
      if (dx.data) multiply(count, dz, dx.data + row * s.in_c, dx.beta != 0);
      if (input_sums)
        input_sums->fill(row, row + count,
                         [&](std::int64_t r, std::int64_t n, Scalar* sum_g, Scalar* sum_gz) {
                           gradient_sums(x.activation, x.map + r * s.in_c, dx.data + r * s.in_c,
                                         x.pending->pointers(), n, s.in_c, sum_g, sum_gz);
                         });
      if (!dw) continue;
      const Scalar* in =
          x.read(row, row + count, at_once ? whole_x.data() + row * s.in_c : x_block.data());
      if (by_parts)
        add_weight_gradient(s, count, in, dz, partial.data() + part * size, row > first);
    }
  });
  if (by_parts) add_parts(parts, size, partial.data(), *dw);
  if (at_once) {
    const auto [data, beta] = dw->target();
    pointwise_weight_gradient(s, x.pending ? whole_x.data() : x.map, whole_dz.data(), beta, data);
  }
}

/// A part is a stretch of one image; where two meet, both compute the few rows of dz that both read.
void depthwise_stage_gradients(const ConvNormStage& f, const InputGradient& terms, const Scalar* dy,
                               const Scalar* x, GradSlot* dx, GradSlot* dw) {
  ConvShape one = f.shape;  // an image by itself, with a dz of its own
  one.batch = 1;
  const std::int64_t images = f.shape.batch, per_image = (7 + images) / images;
  const std::int64_t parts = images * per_image, size = one.weights();
  const std::int64_t in_row = one.in_w * one.in_c, out_row = one.out_w * one.out_c;
  const RowWalker walk(one);
  const DepthwiseInputGradient input_gradient(one, f.weight.data().data());
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
        const Scalar* in = dw ? x + image * one.in_h * in_row : nullptr;
        std::int64_t next = inputs.begin;                   // the first row of dx that is not done
        const auto finish_rows = [&](std::int64_t known) {  // dz is known up to there
          for (; next < inputs.end && input_gradient.reads(next, next + 1).end <= known; ++next)
            input_gradient(next, dz, dx_beta, dx_data + image * one.in_h * in_row);
        };
        for (std::int64_t row = needed.begin; row < needed.end; ++row) {
          const std::int64_t pixel = (image * one.out_h + row) * one.out_w;
          output_gradient(f, terms, dy, pixel, pixel + one.out_w, dz + row * out_row);
          if (dw && row >= own.begin && row < own.end)
            depthwise_weight_gradient_row(one, walk, row, in, dz, sum);
          finish_rows(row + 1);
        }
        finish_rows(one.out_h);
      });
  if (dw) add_parts(parts, size, sums, *dw);
}

}  // namespace boxgrad::conv_norm_stage
