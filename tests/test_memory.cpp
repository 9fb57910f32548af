// core/memory.cpp and what Buffer and GradSlot tell it.

#include <stdexcept>
#include <thread>

#include "core/autograd.h"
#include "core/memory.h"
#include "core/ops.h"
#include "layers/activation.h"
#include "layers/conv_batch_norm.h"
#include "layers/linear.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

constexpr std::int64_t kNumbers = 1024;
constexpr auto kBytes = kNumbers * static_cast<std::int64_t>(sizeof(Scalar));

const MemoryReport::Layer& layer_at(const MemoryReport& report, const std::string& path) {
  for (const MemoryReport::Layer& layer : report.layers)
    if (layer.path == path) return layer;
  throw std::out_of_range("no layer " + path);
}

/// y = x in a buffer of its own; its backward takes `temporary` numbers of memory meanwhile.
Tensor copying(const Tensor& x, std::int64_t temporary) {
  return from_op("copying", x.clone(), {x}, [dx = x.grad_slot(), temporary](const Tensor& dy) {
    const Tensor working({temporary});
    const auto g = dy.data();
    dx->accumulate([&](std::size_t i) { return g[i]; });
  });
}

}  // namespace

TEST_CASE("tensor_bytes counts buffers that are alive", "[memory]") {
  const std::int64_t before = tensor_bytes();
  {
    const Tensor a({kNumbers});
    const Tensor b = a;  // a handle
    CHECK(tensor_bytes() == before + kBytes);
    const Tensor c = a.clone();
    CHECK(tensor_bytes() == before + 2 * kBytes);
  }
  CHECK(tensor_bytes() == before);
}

TEST_CASE("MemoryProfiler: who allocated, what is kept, where the peak is", "[memory]") {
  Tensor x({kNumbers}, 1);
  x.requires_grad_();
  const std::int64_t before = tensor_bytes();
  MemoryReport report;
  {
    MemoryProfiler memory;
    Tensor loss;
    {
      const ModuleScope scope("first");
      loss = copying(x, 8 * kNumbers);
    }
    {
      const ModuleScope scope("second");
      loss = exp(loss);  // keeps its own output
    }
    loss.backward(Tensor({kNumbers}, 1));
    report = memory.report();
    CHECK(report.end == tensor_bytes());
  }
  // Forward: first's result dies at once, as exp does not read it; second's lives on.
  CHECK(layer_at(report, "first").kept == 0);
  CHECK(layer_at(report, "second").kept == kBytes);
  CHECK(report.before == before);
  // Backward: second's value and the gradient to start from, which both have names here; dy of
  // first, 8 of working memory, dx.
  CHECK(report.peak == before + (2 + 1 + 8 + 1) * kBytes);
  CHECK(report.peak_path == "first");
  CHECK(report.peak_op == "copying");
  CHECK(report.peak_in_backward);
  CHECK(layer_at(report, "first").gradients == 9 * kBytes);
  CHECK(layer_at(report, "second").gradients == kBytes);
  CHECK(layer_at(report, "second").values == kBytes);
  CHECK(report.before_left == before);
  std::int64_t sum = report.before_left;
  for (const auto& l : report.layers) sum += l.values + l.gradients + l.scratch;
  CHECK(sum == report.peak);
  CHECK(report.timeline.back() == static_cast<double>(report.end));
  CHECK_THAT(report.table(), ContainsSubstring("reached in first copying, backward"));
  CHECK_THAT(report.chart("a step"), ContainsSubstring("<svg"));
}

TEST_CASE("backward frees values and gradients as it goes", "[memory]") {
  Tensor x({kNumbers}, 1);
  x.requires_grad_();
  const MemoryProfiler memory;
  Tensor y = copying(x, 8 * kNumbers);          // the last to go back, and needs room then
  for (int i = 0; i < 10; ++i) y = sigmoid(y);  // each keeps its result
  y.backward(Tensor({kNumbers}, 1));
  // At the second step: nine results and y, the gradient to start from, which has a name outside,
  // the one that came down and the one that goes on. Were results or gradients kept to the end, the
  // last step would find ten of them beside its nine.
  CHECK(memory.report().peak == memory.report().before + 13 * kBytes);
}

TEST_CASE("MemoryProfiler: a peak that was there before", "[memory]") {
  auto x = std::make_unique<Tensor>(Shape{kNumbers});
  const std::int64_t before = tensor_bytes();
  const MemoryProfiler memory;
  x.reset();
  const MemoryReport report = memory.report();
  CHECK(report.peak == before);
  CHECK(report.end == before - kBytes);
  CHECK(report.before_left == before);
  CHECK_THAT(report.table(), ContainsSubstring("outside of any op"));
}

TEST_CASE("MemoryProfiler: other threads, and only one", "[memory]") {
  const MemoryProfiler memory;
  Tensor theirs;
  std::thread([&] {
    const ModuleScope scope("loader");
    theirs = Tensor({kNumbers});
  }).join();
  CHECK(layer_at(memory.report(), "(other threads)").values == kBytes);
  CHECK_THROWS_AS(MemoryProfiler(), std::logic_error);
  theirs = Tensor();
  CHECK(memory.report().end == memory.report().before);
}

TEST_CASE("ops keep what their backward reads, and nothing else", "[memory]") {
  // The input is a temporary and the filter is frozen: nobody will ask for x again.
  const Tensor b = Tensor({16}).requires_grad_(), gamma = Tensor::ones({16}).requires_grad_();
  const auto kept = [](const auto& op) {
    op();  // working memory stays with the thread, whose first use of it is not the op's
    const std::int64_t before = tensor_bytes();
    const Tensor y = op();
    CHECK(y.requires_grad());
    return (tensor_bytes() - before) / static_cast<std::int64_t>(sizeof(Scalar));
  };
  const Tensor w({8, 16}), filter({1, 1, 8, 16}), depthwise({3, 3, 1, 16});
  CHECK(kept([&] { return linear(Tensor({100, 8}), w, b); }) == 1600);
  CHECK(kept([&] { return linear(Tensor({100, 8}), w, b, Activation::relu); }) == 1600);
  CHECK(kept([&] { return conv2d(Tensor({1, 10, 10, 8}), filter, b); }) == 1600);
  // Batch norm needs the convolution's result, which is not y.
  Tensor mean({16}), var({16}, 1);
  CHECK(kept([&] {
          return conv2d_batch_norm(Tensor({1, 10, 10, 8}), {filter, gamma, b, mean, var, {}, {}});
        }) == 3200);
  CHECK(kept([&] {
          return conv2d_batch_norm(
              Tensor({1, 10, 10, 16}),
              {depthwise, gamma, b, mean, var, {.padding = 1, .groups = 16}, {}});
        }) == 3200);
  // A product keeps an operand for the gradient of the other one.
  const Tensor fixed_row({1, 16}, 2), square({16, 16});
  CHECK(kept([&] { return mul(Tensor({100, 16}), b); }) == 1600 + 1600);
  CHECK(kept([&] { return mul(Tensor({100, 16}).requires_grad_(), fixed_row); }) == 1600);
  CHECK(kept([&] { return div(Tensor({100, 16}).requires_grad_(), fixed_row); }) == 1600);
  CHECK(kept([&] { return matmul(Tensor({100, 16}).requires_grad_(), square); }) == 1600);
  CHECK(kept([&] { return matmul(square, Tensor({16, 100}).requires_grad_()); }) == 1600);
  // Batch norm with fixed statistics: x for dgamma, else y at most.
  const Tensor fixed = Tensor::ones({16});
  for (const Activation activation : {Activation::none, Activation::relu}) {
    const auto frozen = [&](const Tensor& weight) {
      return kept([&] {
        return batch_norm_frozen(Tensor({100, 16}), weight, b, mean, var,
                                 {.activation = activation});
      });
    };
    CHECK(frozen(gamma) - frozen(fixed) >= 1600);
  }
}
