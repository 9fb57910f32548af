#include <limits>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "core/ops.h"
#include "tests/check_gradients.h"

using namespace boxgrad;
using V = std::vector<Scalar>;

TEST_CASE("backward adds into leaves and zero_grad forgets", "[autograd]") {
  Tensor x({2}, {3, 4});
  x.requires_grad_();
  CHECK_FALSE(x.has_grad());
  CHECK(x.grad().to_vector() == V{0, 0});
  sum(square(x)).backward();
  CHECK(x.grad().to_vector() == V{6, 8});
  sum(square(x)).backward();
  CHECK(x.grad().to_vector() == V{12, 16});
  const Tensor kept = x.grad();
  x.zero_grad();
  CHECK(x.grad().to_vector() == V{0, 0});
  sum(x).backward();
  CHECK(x.grad().to_vector() == V{1, 1});
  CHECK(kept.to_vector() == V{12, 16});  // a gradient in somebody's hands is not overwritten
}

TEST_CASE("copies share a tensor, clone and detach do not share its gradient", "[autograd]") {
  Tensor x({1}, {2});
  Tensor same = x;
  same.requires_grad_();
  CHECK(x.requires_grad());
  CHECK(x.id() == same.id());
  const Tensor copy = x.clone(), cut = x.detach();
  CHECK_FALSE(copy.requires_grad());
  CHECK_FALSE(cut.requires_grad());
  x.data()[0] = 5;
  CHECK(copy.item() == 2);
  CHECK(cut.item() == 5);
}

TEST_CASE("only what wants a gradient gets one", "[autograd]") {
  Tensor a({1}, {2}), b({1}, {3});
  a.requires_grad_();
  const Tensor y = a * b;
  CHECK(y.requires_grad());
  CHECK_FALSE(y.is_leaf());
  y.backward();
  CHECK(a.grad().item() == 3);
  CHECK_FALSE(b.has_grad());
  CHECK_FALSE((b * b).requires_grad());
  {
    const NoGradGuard guard;
    CHECK_FALSE((a * b).requires_grad());
  }
  CHECK(grad_enabled());
}

TEST_CASE("gradients of intermediates are freed unless retained", "[autograd]") {
  Tensor x({1}, {3});
  x.requires_grad_();
  Tensor y = square(x), z = square(x);
  y.retain_grad();
  (y + z).backward();
  CHECK(y.grad().item() == 1);
  CHECK_FALSE(z.has_grad());
  CHECK(x.grad().item() == 12);
}

TEST_CASE("backward keeps its hands off the gradient it was given", "[autograd]") {
  // A leaf, and an intermediate that keeps its gradient, would otherwise own the caller's numbers.
  Tensor x({2}, {1, 2});
  x.requires_grad_();
  const Tensor g({2}, {3, 4});
  x.backward(g);
  x.backward(g);
  CHECK(g.to_vector() == std::vector<Scalar>{3, 4});
  CHECK(x.grad().to_vector() == std::vector<Scalar>{6, 8});

  Tensor y = neg(x);
  y.retain_grad();
  Tensor changed = g.clone();
  y.backward(changed);
  changed.set({0}, 100);
  CHECK(y.grad().to_vector() == std::vector<Scalar>{3, 4});
}

TEST_CASE("relative_error sees a NaN wherever it stands", "[autograd]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const Tensor reference({3}, {1, 2, 3});
  for (std::int64_t i = 0; i < 3; ++i) {
    Tensor broken = reference.clone();
    broken.set({i}, nan);
    CHECK_FALSE(relative_error(broken, reference) < 1);
  }
}

TEST_CASE("a branch that no gradient reaches passes none on", "[autograd]") {
  Tensor x({2}, {1, 2});
  x.requires_grad_();
  const Tensor unused = square(x);
  sum(slice(x, 0, 0, 1)).backward();
  CHECK(x.grad().to_vector() == V{1, 0});
}

TEST_CASE("misuse of backward is explained", "[autograd][errors]") {
  Tensor x({2}, {1, 2});
  CHECK_THROWS_WITH(sum(x).backward(),
                    "backward: nothing that this tensor was computed from requires a gradient");
  x.requires_grad_();
  const Tensor y = square(x), loss = sum(y);
  CHECK_THROWS_WITH(y.backward(),
                    "backward: needs a tensor with one element (or a gradient to start from), "
                    "got shape [2]");
  CHECK_THROWS_WITH(y.backward(Tensor({3})),
                    "backward: gradient must have the tensor's shape [2], got [3]");
  Tensor made = square(x);
  CHECK_THROWS_WITH(made.requires_grad_(),
                    "requires_grad_: only leaves can be changed; this tensor was made by an op "
                    "(detach() it first)");
  loss.backward();
  const char* used = "backward: this graph was already used and freed; run the forward pass again";
  CHECK_THROWS_WITH(loss.backward(), used);
  CHECK_THROWS_WITH(sum(square(y)).backward(), used);  // y is shared with the graph that is gone
  CHECK(x.grad().to_vector() == V{2, 4});              // and nothing was added
}

TEST_CASE("an empty handle says so", "[autograd][errors]") {
  const Tensor none;
  CHECK_FALSE(none.defined());
  CHECK_FALSE(none.requires_grad());
  CHECK_THROWS_WITH(none.shape(), "Tensor: this handle holds no tensor");
  CHECK_THROWS_WITH(none.data(), "Tensor: this handle holds no tensor");
  CHECK_THROWS_WITH(none.grad(), "Tensor: this handle holds no tensor");
}

TEST_CASE("a chain of a hundred thousand ops runs and dies without deep recursion", "[autograd]") {
  Tensor x({1}, {1});
  x.requires_grad_();
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = neg(y);
  y.backward();
  CHECK(x.grad().item() == 1);
  Tensor never_used = x;
  for (int i = 0; i < 100000; ++i) never_used = neg(never_used);
}

TEST_CASE("observers see every op with its module path", "[autograd]") {
  struct Log : OpObserver {
    std::vector<std::string> lines;
    void after_forward(const Op& op) override {
      lines.push_back(concat("forward ", op.module_path, ":", op.name, " ", op.output.shape()));
    }
    void before_backward(const Op& op, const Tensor& dy) override {
      lines.push_back(concat("backward ", op.module_path, ":", op.name, " ", dy.shape()));
    }
  } log;
  Tensor x({2}, {1, 2});
  x.requires_grad_();
  Tensor y;
  {
    const ModuleScope outer("net");
    const ModuleScope inner("head");
    CHECK(current_module_path() == "net.head");
    y = square(x);
  }
  CHECK(current_module_path().empty());
  sum(y).backward();
  CHECK(log.lines == std::vector<std::string>{"forward net.head:square [2]", "forward :sum [1]",
                                              "backward :sum [1]", "backward net.head:square [2]"});
}

TEST_CASE("an exception inside a backward leaves the engine usable", "[autograd]") {
  Tensor x({1}, {1});
  x.requires_grad_();
  const Tensor bad =
      from_op("bad", x.clone(), {x}, [](const Tensor&) { throw std::runtime_error("stop"); });
  CHECK_THROWS_WITH(square(bad).backward(), "stop");
  CHECK(grad_enabled());
  square(x).backward();
  CHECK(x.grad().item() == 2);
}

TEST_CASE("gradcheck finds a backward that is wrong", "[autograd][gradcheck]") {
  const auto wrong = [](const std::vector<Tensor>& in) {
    const Tensor& x = in[0];
    return from_op("wrong_square", square(x.detach()), {x},
                   [dx = x.grad_slot(), x = x.detach()](const Tensor& dy) {
                     const auto g = dy.data(), v = x.data();
                     dx->accumulate([=](std::size_t i) { return g[i] * v[i]; });  // forgot the 2
                   });
  };
  const GradcheckReport report = gradcheck(wrong, {Tensor({2}, {1, 2})});
  CHECK_FALSE(report.ok);
  CHECK(report.table().find("WRONG") != std::string::npos);
  CHECK(gradchecked_ops().count("wrong_square") == 0);
}

TEST_CASE("gradcheck finds a backward that overwrites", "[autograd][gradcheck]") {
  const auto overwrites = [](const std::vector<Tensor>& in) {
    const Tensor& x = in[0];
    return from_op("overwriting_neg", neg(x.detach()), {x}, [dx = x.grad_slot()](const Tensor& dy) {
      const auto out = dx->target().data;
      for (std::size_t i = 0; i < dy.data().size(); ++i) out[i] = -dy.data()[i];
    });
  };
  const GradcheckReport report = gradcheck(overwrites, {Tensor({2}, {1, 2})});
  CHECK_FALSE(report.ok);
  CHECK(report.failure.find("a second backward pass must add") != std::string::npos);
}

TEST_CASE("relative_error is relative to the reference's largest value", "[gradcheck]") {
  const Tensor zero({2}), b({2}, {-4, 1});
  CHECK(relative_error(Tensor({2}, {-4, 3}), b) == 0.5);
  CHECK(relative_error(b, b) == 0);
  CHECK(relative_error(b, zero) == 4);
  const Scalar infinity = std::numeric_limits<Scalar>::infinity();
  CHECK(std::isinf(relative_error(Tensor({2}, {0, infinity - infinity}), b)));
  CHECK(std::isinf(relative_error(b, Tensor({2}, infinity))));
  CHECK_THROWS_WITH(relative_error(b, Tensor({1, 2})),
                    "relative_error: a must have b's shape [1, 2], got [2]");
}
