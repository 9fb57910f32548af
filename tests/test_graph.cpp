#include "core/graph.h"
#include "core/ops.h"
#include "tests/catch.h"

using namespace boxgrad;

TEST_CASE("GraphRecorder keeps ops, values and gradients", "[graph]") {
  Tensor w({2}, {2, -1}), b({1}, {1});
  w.requires_grad_();
  GraphRecorder recorder;
  recorder.name(w, "w \"quoted\"");
  const Tensor x({2}, {3, 4});
  {
    const ModuleScope scope("neuron");
    square(sum(w * x) + b).backward();  // (2 + 1)^2
  }
  const auto nodes = recorder.nodes();
  REQUIRE(nodes.size() == 7);  // w, x, mul, sum, b, add, square
  CHECK(nodes[0].name == "w \"quoted\"");
  CHECK(nodes[0].gradient == std::vector<Scalar>{18, 24});
  CHECK(nodes[1].gradient_norm == -1);
  CHECK(nodes[2].op == "mul");
  CHECK(nodes[2].module_path == "neuron");
  CHECK(nodes[2].inputs == std::vector<std::size_t>{0, 1});
  CHECK(nodes[6].values == std::vector<Scalar>{9});
  CHECK(nodes[3].gradient == std::vector<Scalar>{6});
  CHECK(recorder.table().find("neuron  mul  ([2], [2]) -> [2]  |grad| 8.485") == 0);
  const std::string dot = recorder.to_dot();
  CHECK(dot.find("n0 -> n2") != std::string::npos);
  CHECK(dot.find("w \\\"quoted\\\"") != std::string::npos);
  const std::string svg = recorder.to_svg();
  CHECK(svg.find("grad 18, 24") != std::string::npos);
  CHECK(svg.find("</svg>") != std::string::npos);
}

TEST_CASE("GraphRecorder: large tensors by shape and norm, large graphs by Graphviz", "[graph]") {
  Tensor x = Tensor::ones({100});
  x.requires_grad_();
  GraphRecorder recorder;
  Tensor y = x;
  sum(neg(x)).backward();
  CHECK(recorder.nodes()[0].values.empty());
  CHECK(recorder.nodes()[0].gradient_norm == 10);
  for (int i = 0; i < 250; ++i) y = neg(y);
  CHECK_THROWS_AS(recorder.to_svg(), std::invalid_argument);
  CHECK(recorder.to_dot().find("n250") != std::string::npos);
}
