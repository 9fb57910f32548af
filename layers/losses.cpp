#include "layers/losses.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "layers/kernels/elementwise_loss.h"
#include "layers/kernels/fast_exp.h"

namespace boxgrad {

namespace {

// --- cross entropy ---------------------------------------------------------------------------

/// Rows of one chunk of work: their logits and probabilities stay in the L1 and L2 caches, and 512
/// rows of 1,000 classes make work for several threads.
std::int64_t row_grain(std::int64_t classes) {
  constexpr std::int64_t kNumbers = 512 * 21;
  return std::max<std::int64_t>(1, kNumbers / classes);
}

/// How logits and labels fit together.
struct Rows {
  std::int64_t count, classes;
};

Rows check_rows(const char* op, const Tensor& logits, const std::vector<std::int64_t>& labels,
                std::int64_t ignore_index) {
  const std::int64_t classes = logits.size(-1);
  check(classes > 0, op, ": logits must have at least one class, got shape ", logits.shape());
  const std::int64_t count = logits.numel() / classes;
  check(static_cast<std::int64_t>(labels.size()) == count, op, ": logits ", logits.shape(),
        " need ", count, " labels, got ", labels.size());
  for (std::size_t r = 0; r < labels.size(); ++r)
    check((labels[r] >= 0 && labels[r] < classes) || labels[r] == ignore_index, op,
          ": labels must be in 0..", classes - 1, " or ", ignore_index, " (ignored), got ",
          labels[r], " in row ", r);
  return {count, classes};
}

/// Rows begin..end-1: loss[r] = ln sum e^x - x_label, p = softmax(x). The exponentials are taken
/// in one run over the whole chunk, since a row of 11 classes is too short for vector code.
void softmax_rows(const Scalar* x, const std::int64_t* labels, std::int64_t ignore_index,
                  std::int64_t begin, std::int64_t end, std::int64_t classes, Scalar* p,
                  Scalar* loss) {
  for (std::int64_t r = begin; r < end; ++r) {
    const Scalar* row = x + r * classes;
    Scalar* shifted = p + (r - begin) * classes;
    Scalar highest = row[0];
    for (std::int64_t l = 1; l < classes; ++l) highest = row[l] > highest ? row[l] : highest;
    for (std::int64_t l = 0; l < classes; ++l) shifted[l] = row[l] - highest;
    loss[r] = labels[r] == ignore_index ? 0 : -shifted[labels[r]];
  }
  const std::int64_t n = (end - begin) * classes;
  for (std::int64_t i = 0; i < n; ++i) p[i] = kernels::fast_exp(p[i]);
  for (std::int64_t r = begin; r < end; ++r) {
    Scalar* row = p + (r - begin) * classes;
    Scalar sum = 0;
    for (std::int64_t l = 0; l < classes; ++l) sum += row[l];
    if (labels[r] != ignore_index) loss[r] += std::log(sum);
    const Scalar inverse = 1 / sum;
    for (std::int64_t l = 0; l < classes; ++l) row[l] *= inverse;
  }
}

/// The weight of each row's loss: class weight times row weight, 0 for an ignored row.
std::vector<Scalar> row_weights(const std::vector<std::int64_t>& labels,
                                const CrossEntropyOptions& options, std::int64_t classes) {
  const auto& [ignore_index, class_weights, weights, reduction] = options;
  check(class_weights.empty() || static_cast<std::int64_t>(class_weights.size()) == classes,
        "cross_entropy: class_weights must have ", classes, " entries, got ", class_weights.size());
  check(weights.empty() || weights.size() == labels.size(), "cross_entropy: weights must have ",
        labels.size(), " entries, one per row, got ", weights.size());
  std::vector<Scalar> result(labels.size());
  for (std::size_t r = 0; r < labels.size(); ++r) {
    if (labels[r] == ignore_index) continue;
    const Scalar of_class =
        class_weights.empty() ? 1 : class_weights[static_cast<std::size_t>(labels[r])];
    result[r] = of_class * (weights.empty() ? 1 : weights[r]);
  }
  return result;
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const std::vector<std::int64_t>& labels,
                     const CrossEntropyOptions& options) {
  const auto [rows, classes] = check_rows("cross_entropy", logits, labels, options.ignore_index);
  std::vector<Scalar> weights = row_weights(labels, options, classes);
  const Scalar* x = logits.data().data();
  Tensor p = Tensor::empty(logits.shape());  // softmax(x), kept for the backward
  Scalar* probabilities = p.data().data();
  std::vector<std::int64_t> extents(logits.shape().begin(), logits.shape().end() - 1);
  if (extents.empty()) extents.push_back(1);
  Tensor losses = Tensor::empty(Shape(extents));
  Scalar* loss = losses.data().data();
  parallel_for(rows, row_grain(classes),
               [&, classes = classes](std::int64_t begin, std::int64_t end) {
                 softmax_rows(x, labels.data(), options.ignore_index, begin, end, classes,
                              probabilities + begin * classes, loss);
                 // An ignored row counts as 0 even when its logits are infinite.
                 for (std::int64_t r = begin; r < end; ++r)
                   if (labels[static_cast<std::size_t>(r)] != options.ignore_index)
                     loss[r] *= weights[static_cast<std::size_t>(r)];
               });

  const bool none = options.reduction == Reduction::none;
  Tensor output = losses;
  Scalar normaliser = 1;
  if (!none) {
    double sum = 0, total_weight = 0;
    for (std::int64_t r = 0; r < rows; ++r) sum += static_cast<double>(loss[r]);
    for (const Scalar w : weights) total_weight += static_cast<double>(w);
    if (options.reduction == Reduction::mean && total_weight != 0) {
      normaliser = static_cast<Scalar>(total_weight);
      sum /= total_weight;
    }
    output = Tensor({1}, static_cast<Scalar>(sum));
  }

  return from_op("cross_entropy", output, {logits},
                 [dx = logits.grad_slot(), p, labels, weights = std::move(weights),
                  ignored = options.ignore_index, rows = rows, classes = classes, none,
                  normaliser](const Tensor& dloss) {
                   const Scalar *g = dloss.data().data(), *softmax = p.data().data();
                   const auto [slope, beta] = dx->target();
                   parallel_for(rows, row_grain(classes),
                                [&, slope = slope, beta = beta](auto begin, auto end) {
                                  for (std::int64_t r = begin; r < end; ++r) {
                                    const std::int64_t label = labels[static_cast<std::size_t>(r)];
                                    const Scalar scale = (none ? g[r] : g[0] / normaliser) *
                                                         weights[static_cast<std::size_t>(r)];
                                    const Scalar* from = softmax + r * classes;
                                    Scalar* to = slope + r * classes;
                                    if (label == ignored) {
                                      if (beta == 0) std::fill(to, to + classes, Scalar{0});
                                      continue;
                                    }
                                    if (beta == 0)
                                      for (std::int64_t l = 0; l < classes; ++l)
                                        to[l] = scale * from[l];
                                    else
                                      for (std::int64_t l = 0; l < classes; ++l)
                                        to[l] += scale * from[l];
                                    to[label] -= scale;
                                  }
                                });
                 });
}

std::vector<Scalar> cross_entropy_values(const Tensor& logits,
                                         const std::vector<std::int64_t>& labels,
                                         std::int64_t ignore_index) {
  const auto [rows, classes] = check_rows("cross_entropy_values", logits, labels, ignore_index);
  std::vector<Scalar> loss(static_cast<std::size_t>(rows));
  const Scalar* x = logits.data().data();
  parallel_for(
      rows, row_grain(classes), [&, classes = classes](std::int64_t begin, std::int64_t end) {
        std::vector<Scalar> p(static_cast<std::size_t>((end - begin) * classes));
        softmax_rows(x, labels.data(), ignore_index, begin, end, classes, p.data(), loss.data());
      });
  return loss;
}

// --- elementwise losses ----------------------------------------------------------------------

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        const LossOptions& options) {
  return kernels::elementwise_loss(
      "binary_cross_entropy_with_logits", logits, target, options,
      [](Scalar x, Scalar t) {
        return (x > 0 ? x : 0) - x * t + std::log1p(kernels::fast_exp(-std::abs(x)));
      },
      [](Scalar x, Scalar t) {
        const Scalar e = kernels::fast_exp(-std::abs(x));  // never overflows
        return (x >= 0 ? 1 : e) / (1 + e) - t;
      });
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Scalar beta,
                      const LossOptions& options) {
  check(beta > 0, "smooth_l1_loss: beta must be > 0, got ", beta);
  return kernels::elementwise_loss(
      "smooth_l1_loss", input, target, options,
      [beta](Scalar x, Scalar t) {
        const Scalar d = std::abs(x - t);
        return d < beta ? d * d / (2 * beta) : d - beta / 2;
      },
      [beta](Scalar x, Scalar t) { return std::clamp<Scalar>((x - t) / beta, -1, 1); });
}

Tensor mse_loss(const Tensor& input, const Tensor& target, const LossOptions& options) {
  return kernels::elementwise_loss(
      "mse_loss", input, target, options, [](Scalar x, Scalar t) { return (x - t) * (x - t); },
      [](Scalar x, Scalar t) { return 2 * (x - t); });
}

}  // namespace boxgrad
