// layers/optimizer.cpp, and layers/path_pattern.cpp by which it chooses parameters.
#include <cmath>
#include <limits>

#include "core/ops.h"
#include "core/parallel.h"
#include "layers/adamw.h"
#include "layers/optimizer.h"
#include "layers/schedule.h"
#include "layers/sgd.h"
#include "tests/check_gradients.h"

using namespace boxgrad;
using namespace boxgrad::nn;

namespace {

/// Two parameters as in tests/golden/layers.py.
StateDict make_parameters() {
  Tensor w({3}, {1, -2, 3}), b({1}, {0.5});
  return {{"w", w.requires_grad_()}, {"b", b.requires_grad_()}};
}

void one_backward(const StateDict& parameters, int t) {
  const Tensor &w = parameters[0].second, &b = parameters[1].second;
  const Tensor loss = sum(Tensor({3}, {0.5, 1, 2}) * w * w) + sum(w) * b +
                      b * static_cast<Scalar>(std::sin(static_cast<double>(t)));
  loss.backward();
}

void train(Optimizer& optimizer, const StateDict& parameters, int begin, int end) {
  const Schedule schedule = multistep({10});
  for (int t = begin; t < end; ++t) {
    optimizer.zero_grad();
    one_backward(parameters, t);
    optimizer.step(schedule(t));
  }
}

Tensor joined(const StateDict& parameters) {
  return cat({parameters[0].second.detach(), parameters[1].second.detach()}, 0);
}

Tensor after_20(const SGDOptions& options) {
  const StateDict parameters = make_parameters();
  SGD sgd(parameters, options);
  train(sgd, parameters, 0, 20);
  CHECK(sgd.steps() == 20);
  return joined(parameters);
}

/// A parameter whose gradient is set by hand.
StateDict one_parameter(Scalar value, const std::string& path = "w") {
  Tensor w({1}, {value});
  return {{path, w.requires_grad_()}};
}

void set_gradient(const Tensor& parameter, Scalar g) { (parameter * g).backward(); }

}  // namespace

TEST_CASE("SGD equals torch.optim.SGD over 20 steps", "[optimizer][sgd]") {
  const double r = 0.05;
  CHECK(relative_error(after_20({.rate = r}),
                       Tensor({4}, {0.48785350, -0.68985259, 0.23051047, 0.06133542})) < 2e-6);
  CHECK(relative_error(after_20({.rate = r, .momentum = 0.9}),
                       Tensor({4}, {-0.21217268, 0.84011655, 0.39943096, -0.19467515})) < 2e-6);
  CHECK(relative_error(after_20({.rate = r, .weight_decay = 0.1}),
                       Tensor({4}, {0.46038644, -0.64927859, 0.21526650, 0.05549956})) < 2e-6);
  CHECK(relative_error(after_20({.rate = r, .momentum = 0.9, .weight_decay = 0.1}),
                       Tensor({4}, {-0.24182029, 0.79610140, 0.43032009, -0.20102766})) < 2e-6);
  CHECK(
      relative_error(after_20({.rate = r, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true}),
                     Tensor({4}, {-0.09034999, 0.51197118, 0.22807673, -0.49248345})) < 2e-6);
  CHECK(relative_error(after_20({.rate = r,
                                 .momentum = 0.9,
                                 .weight_decay = 0.1,
                                 .groups = {{.pattern = "b", .rate = 2, .decay = 0}}}),
                       Tensor({4}, {0.88132013, 1.60802086, 0.89799470, -3.17797478})) < 2e-6);
}

TEST_CASE("SGD with Caffe's velocity", "[optimizer][sgd]") {
  SGDOptions options{.rate = 0.05, .momentum = 0.9, .weight_decay = 0.1};
  options.velocity = Velocity::caffe;
  CHECK(relative_error(after_20(options),
                       Tensor({4}, {-0.50566784, 0.69991652, 3.48864899, -0.34580329})) < 2e-6);
  options.nesterov = true;
  CHECK(relative_error(after_20(options),
                       Tensor({4}, {-0.26377140, 0.52222715, 1.15844779, -1.02232207})) < 2e-6);

  // By hand: gradient 1 twice, momentum 0.9, rate 0.1 then 0.01.
  for (const auto& [velocity, expected] :
       {std::pair{Velocity::caffe, 0.8}, std::pair{Velocity::torch, 0.881}}) {
    const StateDict parameters = one_parameter(1);
    SGD sgd(parameters, {.rate = 0.1, .momentum = 0.9, .velocity = velocity});
    for (const double factor : {1.0, 0.1}) {
      sgd.zero_grad();
      set_gradient(parameters[0].second, 1);
      sgd.step(factor);
    }
    CHECK(parameters[0].second.item() == Approx(expected));
  }
}

TEST_CASE("Fast R-CNN's weight and bias by hand", "[optimizer][sgd]") {
  const StateDict weight = one_parameter(2, "fc.weight"), bias = one_parameter(2, "fc.bias");
  SGD sgd({weight[0], bias[0]}, {.rate = 0.001,
                                 .momentum = 0.9,
                                 .weight_decay = 5e-4,
                                 .groups = {{.pattern = ".*\\.bias", .rate = 2, .decay = 0}}});
  std::vector<double> weights, biases;
  for (int i = 0; i < 2; ++i) {
    sgd.zero_grad();
    set_gradient(weight[0].second, Scalar(0.5));
    set_gradient(bias[0].second, Scalar(0.5));
    sgd.step();
    weights.push_back(static_cast<double>(weight[0].second.item()));
    biases.push_back(static_cast<double>(bias[0].second.item()));
  }
  CHECK(weights[0] == Approx(1.999499).epsilon(1e-6));
  CHECK(weights[1] == Approx(1.9985471).epsilon(1e-6));
  CHECK(biases[0] == Approx(1.999).epsilon(1e-6));
  CHECK(biases[1] == Approx(1.9971).epsilon(1e-6));
}

TEST_CASE("AdamW equals torch.optim.AdamW over 20 steps", "[optimizer][adamw]") {
  const StateDict parameters = make_parameters();
  AdamW adam(parameters,
             {.rate = 0.1, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = 0.1});
  train(adam, parameters, 0, 20);
  CHECK(relative_error(joined(parameters),
                       Tensor({4}, {0.15412953, -0.78069499, 1.68680099, -0.47332774})) < 2e-6);
}

TEST_CASE("accumulation moves by the mean of k gradients", "[optimizer]") {
  const StateDict parameters = one_parameter(1);
  Tensor w = parameters[0].second;
  SGD sgd(parameters, {.rate = 1, .accumulate = 3});
  for (const Scalar g : {Scalar(1), Scalar(2), Scalar(6)}) {
    CHECK(w.item() == 1);
    sgd.zero_grad();  // does nothing between the updates
    set_gradient(w, g);
    sgd.step();
  }
  CHECK(w.item() == Approx(1 - 3));
  CHECK(sgd.steps() == 1);
  sgd.zero_grad();
  CHECK_FALSE(w.has_grad());
}

TEST_CASE("a frozen parameter is not moved and keeps no state", "[optimizer]") {
  StateDict parameters = make_parameters();
  SGD sgd(parameters, {.rate = 0.1, .momentum = 0.9, .weight_decay = 0.1});
  parameters[0].second.requires_grad_(false);
  train(sgd, parameters, 0, 2);
  CHECK(parameters[0].second.to_vector() == std::vector<Scalar>{1, -2, 3});
  CHECK(sgd.state_dict().size() == 2);  // "steps" and b's velocity
  parameters[0].second.requires_grad_(true);
  train(sgd, parameters, 2, 3);
  CHECK(sgd.state_dict().size() == 3);
  parameters[1].second.requires_grad_(false);
  train(sgd, parameters, 3, 4);
  CHECK(sgd.state_dict().size() == 2);
  // Without a gradient there is no decay either.
  const StateDict idle = one_parameter(1);
  SGD(idle, {.rate = 1, .weight_decay = 1}).step();
  CHECK(idle[0].second.item() == 1);
}

TEST_CASE("clipping scales all gradients, or those of a group", "[optimizer]") {
  const StateDict a = one_parameter(1, "a"), b = one_parameter(1, "b");
  SGD sgd({a[0], b[0]}, {.rate = 1});
  set_gradient(a[0].second, 3);
  set_gradient(b[0].second, -4);
  CHECK(sgd.clip_gradients(10) == 5);
  CHECK(b[0].second.grad().item() == -4);
  CHECK(sgd.clip_gradients(1) == 5);
  CHECK(a[0].second.grad().item() == Approx(0.6));
  CHECK(b[0].second.grad().item() == Approx(-0.8));

  SGD grouped({a[0], b[0]}, {.rate = 1, .groups = {{.pattern = "a", .max_norm = 0.3}}});
  grouped.step();
  CHECK(a[0].second.item() == Approx(1 - 0.3));
  CHECK(b[0].second.item() == Approx(1 + 0.8));

  grouped.zero_grad();
  set_gradient(a[0].second, std::numeric_limits<Scalar>::infinity());
  set_gradient(b[0].second, 2);
  CHECK(std::isinf(grouped.clip_gradients(1)));
  CHECK(b[0].second.grad().item() == 2);
}

TEST_CASE("clipping gives the same bits for any number of threads", "[optimizer]") {
  Random random(3);
  Tensor w = Tensor::randn({50000}, random).requires_grad_();
  SGD sgd({{"w", w}}, {.rate = 1});
  sum(square(w)).backward();
  const int before = num_threads();
  std::vector<double> norms;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    norms.push_back(sgd.clip_gradients(1e9));
  }
  set_num_threads(before);
  CHECK((norms[0] == norms[1] && norms[0] == norms[2]));
  double exact = 0;
  const Tensor gradient = w.grad();
  for (const Scalar g : gradient.data()) exact += static_cast<double>(g) * static_cast<double>(g);
  CHECK(norms[0] == Approx(std::sqrt(exact)));
}

TEST_CASE("an optimiser continues from its saved state bit for bit", "[optimizer]") {
  const auto resumed = [](auto make) {
    const StateDict straight = make_parameters(), stopped = make_parameters(),
                    continued = make_parameters();
    const auto a = make(straight), b = make(stopped), c = make(continued);
    train(*a, straight, 0, 20);
    train(*b, stopped, 0, 7);  // in the midst of an accumulation over 2
    for (std::size_t i = 0; i < stopped.size(); ++i) {
      Tensor to = continued[i].second;
      std::ranges::copy(stopped[i].second.data(), to.data().begin());
    }
    c->load_state_dict(b->state_dict());
    train(*c, continued, 7, 20);
    CHECK(joined(straight).to_vector() == joined(continued).to_vector());
    CHECK(a->steps() == c->steps());
  };
  resumed([](const StateDict& p) {
    return std::make_unique<SGD>(
        p, SGDOptions{.rate = 0.05, .momentum = 0.9, .weight_decay = 0.1, .accumulate = 2});
  });
  resumed([](const StateDict& p) { return std::make_unique<AdamW>(p, AdamWOptions{.rate = 0.1}); });
}

TEST_CASE("optimisers explain what does not fit", "[optimizer][errors]") {
  const StateDict p = make_parameters();
  CHECK_THROWS_WITH(SGD(p, {.rate = -1}), "SGD: rate must be >= 0 and finite, got -1");
  CHECK_THROWS_WITH(SGD(p, {.momentum = 1}), "SGD: momentum must be in [0, 1), got 1");
  CHECK_THROWS_WITH(SGD(p, {.weight_decay = -1}),
                    "SGD: weight_decay must be >= 0 and finite, got -1");
  CHECK_THROWS_WITH(SGD(p, {.nesterov = true}), "SGD: nesterov needs a momentum > 0");
  CHECK_THROWS_WITH(SGD(p, {.accumulate = 0}), "SGD: accumulate must be >= 1, got 0");
  CHECK_THROWS_WITH(SGD(StateDict{}, {}), "SGD: there is no parameter to learn");
  CHECK_THROWS_WITH(SGD({p[0], p[0]}, {}), "SGD: two parameters are named \"w\"");
  CHECK_THROWS_WITH(SGD(p, {.groups = {{.pattern = "bias"}}}),
                    "SGD: no parameter's path matches \"bias\"; the first path is \"w\"");
  CHECK_THROWS_WITH(SGD(p, {.groups = {{.pattern = "("}}}),
                    ContainsSubstring("\"(\" is not a regular expression"));
  CHECK_THROWS_WITH(AdamW(p, {.beta1 = 1}), ContainsSubstring("AdamW: beta1 and beta2"));
  CHECK_THROWS_WITH(AdamW(p, {.epsilon = 0}), ContainsSubstring("AdamW: epsilon must be > 0"));

  SGD sgd(p, {.momentum = 0.9});
  CHECK_THROWS_WITH(sgd.step(-1), "SGD: the rate factor must be >= 0 and finite, got -1");
  CHECK_THROWS_WITH(sgd.clip_gradients(0), "SGD: max_norm must be > 0, got 0");
  const Tensor steps({2}, {3, 0});
  CHECK_THROWS_WITH(sgd.load_state_dict({}), "SGD: the state has no entry \"steps\"");
  CHECK_THROWS_WITH(sgd.load_state_dict({{"steps", steps}, {"w.velocity", Tensor({4})}}),
                    "SGD: \"w.velocity\" must have shape [3], got [4]");
  CHECK_THROWS_WITH(sgd.load_state_dict({{"steps", steps}, {"x.velocity", Tensor({4})}}),
                    "SGD: the state's entry \"x.velocity\" does not belong here");
  CHECK_THROWS_WITH(sgd.load_state_dict({{"steps", Tensor({2}, {3, 1})}}),
                    ContainsSubstring("must hold two counts"));
  CHECK_THROWS_WITH(sgd.load_state_dict({{"steps", steps}, {"steps", steps}}),
                    ContainsSubstring("the same name"));
  AdamW adam(p, {});
  CHECK_THROWS_WITH(adam.load_state_dict({{"steps", steps}, {"w.mean", Tensor({3})}}),
                    "AdamW: the state of \"w\" is not complete at \"square\"");
  CHECK(sgd.steps() == 0);
}
