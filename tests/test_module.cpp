#include "core/autograd.h"
#include "core/ops.h"
#include "layers/module.h"
#include "layers/sequential.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

/// y = x * weight, with a running count of its calls.
struct Scale : nn::Module {
  explicit Scale(Scalar factor) : weight(add_parameter("weight", Tensor({1}, factor))) {}
  Tensor forward(const Tensor& x) override {
    calls.data()[0] += 1;
    path = current_module_path();
    return x * weight;
  }
  Tensor weight;
  Tensor calls = add_buffer("calls", Tensor({1}));
  std::string path;
};

/// Two places, one of them reachable only through a Sequential.
struct Net : nn::Module {
  nn::Child first = add_module("first", std::make_shared<Scale>(2));
  nn::Child rest = add_module("rest", std::make_shared<nn::Sequential>(std::make_shared<Scale>(3),
                                                                       std::make_shared<Scale>(5)));
  Tensor forward(const Tensor& x) override { return rest(first(x)); }
};

std::vector<std::string> names(const nn::StateDict& state) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : state) result.push_back(name);
  return result;
}

}  // namespace

TEST_CASE("a module's tree has paths", "[module]") {
  Net net;
  CHECK(names(net.parameters()) ==
        std::vector<std::string>{"first.weight", "rest.0.weight", "rest.1.weight"});
  CHECK(names(net.state_dict()).size() == 6);
  CHECK(net.parameter_count() == 3);
  CHECK(net(Tensor({1}, {1})).item() == 30);
  CHECK(dynamic_cast<Scale*>(net.find("rest.1"))->path == "rest.1");
  CHECK(net.find("rest.2") == nullptr);
  CHECK(net.find("") == &net);
  CHECK_THROWS_WITH(nn::Module().forward(Tensor({1})),
                    "Module::forward: \"\" is not called with one tensor");
}

TEST_CASE("a child can be replaced and shared", "[module]") {
  Net net;
  net.replace("rest.0", std::make_shared<Scale>(7));
  net.replace("first", std::make_shared<Scale>(1));
  CHECK(net(Tensor({1}, {1})).item() == 35);
  CHECK(net.first.as<Scale>().weight.item() == 1);
  CHECK_THROWS_AS(net.first.as<Net>(), std::logic_error);
  CHECK_THROWS_WITH(net.replace("rest.9", std::make_shared<Scale>(1)),
                    "Module::replace: there is no module at \"rest.9\"");

  const auto tower = std::make_shared<Scale>(2);
  nn::Sequential twice(tower, tower);
  CHECK(names(twice.parameters()) == std::vector<std::string>{"0.weight"});
  twice(Tensor({1}, {3})).backward();  // y = 3 w^2, dy/dw = 6 w
  CHECK(tower->weight.grad().item() == 12);
}

TEST_CASE("replace_each asks once for a module and looks no further below a replaced one",
          "[module]") {
  const auto tower = std::make_shared<Scale>(2);
  nn::Sequential net(tower, std::make_shared<Net>(), tower, std::make_shared<Scale>(5));
  int asked = 0;
  const int replaced = net.replace_each([&](nn::Module& module) -> std::shared_ptr<nn::Module> {
    ++asked;
    if (dynamic_cast<Net*>(&module) != nullptr) return std::make_shared<Scale>(10);
    return &module == tower.get() ? std::make_shared<Scale>(3) : nullptr;
  });
  CHECK(replaced == 2);
  CHECK(asked == 3);  // not for the net itself, once for the tower, not for what was in Net
  CHECK(&net[0] == &net[2]);
  CHECK(net(Tensor({1}, {1})).item() == 3 * 10 * 3 * 5);
  CHECK(net.replace_each([](nn::Module&) { return std::shared_ptr<nn::Module>(); }) == 0);
}

TEST_CASE("a shared module runs under the name of each of its places", "[module]") {
  const auto tower = std::make_shared<Scale>(2);
  nn::Sequential twice(tower, tower);
  const nn::OutputTap tap({"0", "1"});
  twice(Tensor({1}, {3}));
  CHECK(tap.output("0").item() == 6);
  CHECK(tap.output("1").item() == 12);

  // In two parents, under two names.
  nn::Sequential inner(tower);
  struct Outer : nn::Module {
    explicit Outer(std::shared_ptr<nn::Module> shared) : head(add_module("head", shared)) {}
    nn::Child head;
    Tensor forward(const Tensor& x) override { return head(x); }
  } outer(tower);
  inner(Tensor({1}, {1}));
  CHECK(tower->path == "0");
  outer(Tensor({1}, {1}));
  CHECK(tower->path == "head");
}

TEST_CASE("a Child without a module says so", "[module][errors]") {
  CHECK_THROWS_WITH(nn::Child()(Tensor({1})), "Child: no module was put here by add_module()");
  Net net;
  CHECK_THROWS_WITH(net.first.as<Net>(), "Child: the module \"first\" is of another type");
}

TEST_CASE("a state with a doubtful entry changes nothing", "[module][errors]") {
  Net net;
  nn::StateDict twice = net.state_dict();
  twice.emplace_back("first.weight", Tensor({1}, {8}));
  CHECK_THROWS_WITH(net.load_state_dict(twice), "load: \"first.weight\" is given twice");
  nn::StateDict hollow = {{"first.calls", Tensor({1}, {9})}, {"first.weight", Tensor()}};
  CHECK_THROWS_WITH(net.load_partial(hollow),
                    "load: \"first.weight\" must hold numbers, got no tensor");
  CHECK(net.first.as<Scale>().weight.item() == 2);
  CHECK(net.first.as<Scale>().calls.item() == 0);
}

TEST_CASE("EvaluationMode gives every module its own mode back, also after an error", "[module]") {
  Net net;
  net.find("rest")->eval();
  try {
    const nn::EvaluationMode evaluation(net);
    CHECK_FALSE(net.is_training());
    CHECK_FALSE(net.find("first")->is_training());
    throw std::runtime_error("an error");
  } catch (const std::runtime_error&) {
  }
  CHECK(net.is_training());
  CHECK(net.find("first")->is_training());
  CHECK_FALSE(net.find("rest")->is_training());
  CHECK_FALSE(net.find("rest.1")->is_training());
}

TEST_CASE("modes and freezing reach every descendant", "[module]") {
  Net net;
  net.eval();
  CHECK_FALSE(net.find("rest.1")->is_training());
  net.train();
  CHECK(net.find("rest.1")->is_training());
  net.find("rest")->set_requires_grad(false);
  net(Tensor({1}, {1})).backward();
  CHECK(net.first.as<Scale>().weight.has_grad());
  CHECK_FALSE(dynamic_cast<Scale*>(net.find("rest.0"))->weight.has_grad());
  net.zero_grad();
  CHECK_FALSE(net.first.as<Scale>().weight.has_grad());
}

TEST_CASE("a state loads whole or not at all", "[module]") {
  Net net, other;
  other.first.as<Scale>().weight.data()[0] = 11;
  net.load_state_dict(other.state_dict());
  CHECK(net.first.as<Scale>().weight.item() == 11);

  nn::StateDict state = other.state_dict();
  state[0].second = Tensor({1}, {99});
  state[2].second = Tensor({2});
  CHECK_THROWS_WITH(net.load_state_dict(state),
                    "load: \"rest.0.weight\" must have shape [1], got [2]");
  CHECK(net.first.as<Scale>().weight.item() == 11);
  state.erase(state.begin() + 2);
  CHECK_THROWS_WITH(net.load_state_dict(state), "load: missing rest.0.weight");
  CHECK(net.first.as<Scale>().weight.item() == 11);

  nn::StateDict prefixed = {{"backbone.first.weight", Tensor({1}, {4})},
                            {"backbone.extra", Tensor({1})},
                            {"head.weight", Tensor({1})}};
  const nn::LoadReport report = net.load_partial(prefixed, "backbone.");
  CHECK(report.loaded == std::vector<std::string>{"first.weight"});
  CHECK(report.missing.size() == 5);
  CHECK(report.unexpected == std::vector<std::string>{"extra"});
  CHECK(report.summary().starts_with("1 loaded; 5 not in the file: first.calls"));
  CHECK(net.first.as<Scale>().weight.item() == 4);
}

TEST_CASE("names in a module are checked", "[module][errors]") {
  struct Twice : nn::Module {
    Twice() {
      add_parameter("weight", Tensor({1}));
      add_buffer("weight", Tensor({1}));
    }
  };
  CHECK_THROWS_WITH(Twice(), "Module: the name \"weight\" is taken");
}

TEST_CASE("intermediate outputs can be asked for by path", "[module]") {
  Net net;
  const nn::OutputTap tap({"rest.0", "nowhere"});
  net(Tensor({1}, {1}));
  CHECK(tap.output("rest.0").item() == 6);
  CHECK(tap.output("rest.0").requires_grad());
  CHECK_THROWS_WITH(tap.output("nowhere"), "OutputTap: the module at \"nowhere\" did not run");
}
