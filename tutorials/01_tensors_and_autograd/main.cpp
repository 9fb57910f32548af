// Tutorial 01: tensors and autograd. The numbers of the sections are the README's.
#include <iostream>
#include <vector>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/gradcheck.h"
#include "core/graph.h"
#include "core/ops.h"
#include "core/program.h"
#include "core/report.h"

using namespace boxgrad;

namespace {

/// Section 5: square with a backward that forgets the 2 of dx = 2 x dy.
Tensor wrong_square(const Tensor& x) {
  return from_op("wrong_square", square(x.detach()), {x},
                 [x = x.detach(), dx = x.grad_slot()](const Tensor& dy) {
                   const auto g = dy.data(), v = x.data();
                   dx->accumulate([=](std::size_t i) { return v[i] * g[i]; });
                 });
}

/// One neuron with a squared error: loss = (w . x + b - t)^2.
Tensor neuron_loss(const Tensor& w, const Tensor& x, const Tensor& b, const Tensor& t) {
  return square(sum(w * x) + b - t);
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "01_tensors_and_autograd",
                   .about = "Tensors, the graph behind them, and gradients that can be trusted."});
  return program.run(argc, argv, [&] {
    Report report("01 Tensors and autograd");

    // 1. A tensor is a handle to numbers in a row.
    const Tensor a({2, 3}, {1, 2, 3, 4, 5, 6}), row({3}, {10, 20, 30});
    std::cout << "a + row =\n" << a + row << "\n";
    Tensor r = reshape(a, {3, 2});
    r.data()[0] = 100;
    std::cout << "after writing through its reshape, a =\n" << a << "\n\n";

    // 2. A graph is recorded while we compute.
    Tensor w({2}, {2, -1}), b({1}, {Scalar(0.5)});
    w.requires_grad_();
    b.requires_grad_();
    const Tensor x({2}, {3, 4}), t({1}, {1});
    {
      GraphRecorder recorder;
      recorder.name(w, "w");
      recorder.name(b, "b");
      recorder.name(x, "x");
      recorder.name(t, "t");
      const Tensor loss = neuron_loss(w, x, b, t);
      std::cout << "loss = " << loss.item() << "\n";

      // 3. backward() walks it from the loss to the leaves.
      loss.backward();
      std::cout << "dloss/dw = " << w.grad() << "\n"
                << "dloss/db = " << b.grad() << "\n\n";
      report.section("The graph of one neuron");
      report.paragraph("Values as they were computed, gradients as backward() passed by.");
      report.svg(recorder.to_svg());
    }

    // 4. Is the gradient right? Ask the definition of the derivative.
    const auto check_table = [&](const char* what, const GradcheckFunction& f,
                                 const std::vector<Tensor>& inputs) {
      const GradcheckReport result = gradcheck(f, inputs);
      std::cout << what << ": " << (result.ok ? "gradients agree" : "GRADIENTS DISAGREE") << "\n";
      report.section(std::string(what) + (result.ok ? "" : " (wrong on purpose)"));
      report.preformatted(result.table());
    };
    check_table("neuron_loss",
                [](const auto& in) { return neuron_loss(in[0], in[1], in[2], in[3]); },
                {w, x, b, t});
    check_table("matmul", [](const auto& in) { return matmul(in[0], in[1]); },
                {Tensor({2, 3}, {1, 2, 3, 4, 5, 6}), Tensor({3, 2}, {1, -1, 2, -2, 3, -3})});
    check_table("x / broadcast row", [](const auto& in) { return in[0] / in[1]; },
                {Tensor({2, 2}, {1, 2, 3, 4}), Tensor({2}, {2, 4})});

    // 5. What a wrong backward looks like.
    check_table("wrong_square", [](const auto& in) { return wrong_square(in[0]); },
                {Tensor({3}, {1, 2, 3})});

    // 6. Gradients are enough to learn: a line through noisy points.
    Random random(program.seed());
    const std::int64_t n = 64;
    const Tensor px = Tensor::rand({n}, random);
    const Tensor py = px * Scalar(3) + Scalar(-1) + Tensor::randn({n}, random) * Scalar(0.1);
    Tensor slope({1}), offset({1});
    slope.requires_grad_();
    offset.requires_grad_();
    Series curve{.name = "mean squared error"};
    const int steps = program.quick() ? 50 : 300;
    for (int step = 0; step < steps; ++step) {
      slope.zero_grad();
      offset.zero_grad();
      const Tensor loss = mean(square(px * slope + offset - py));
      loss.backward();
      curve.y.push_back(static_cast<double>(loss.item()));
      const NoGradGuard no_grad;  // the update itself is not part of the graph
      slope.data()[0] -= Scalar(0.5) * slope.grad().item();
      offset.data()[0] -= Scalar(0.5) * offset.grad().item();
    }
    std::cout << "\nfitted: y = " << slope.item() << " x + " << offset.item()
              << "   (made from y = 3 x - 1)\n";
    report.section("Learning a line");
    report.svg(line_chart({curve}, {.title = "Gradient descent on a line",
                                    .x_label = "step",
                                    .y_label = "mean squared error",
                                    .log_y = true}));
    report.write(program.out() / "index.html");
    std::cout << "pictures: " << (program.out() / "index.html").string() << "\n";
  });
}
