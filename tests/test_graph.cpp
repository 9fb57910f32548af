#include <algorithm>
#include <pugixml.hpp>

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

TEST_CASE("GraphRecorder: every edge is drawn, around the boxes", "[graph]") {
  Tensor w({1}, {3}), frozen({1}, {2});
  w.requires_grad_();
  GraphRecorder recorder;
  recorder.name(w, "<w & \"co\">");
  Tensor y = w * w;  // two edges between the same pair
  for (int i = 0; i < 3; ++i) y = exp(y * frozen);
  (y + w).backward();  // an edge past six layers
  const std::string svg = recorder.to_svg();
  pugi::xml_document document;
  REQUIRE(document.load_string(svg.c_str()));
  std::vector<std::string> edges;
  for (const auto& path : document.child("svg").children("path"))
    if (std::string(path.attribute("class").value()) == "edge")
      edges.push_back(path.attribute("d").value());
  CHECK(edges.size() == 2 + 3 * 3 + 2);
  std::sort(edges.begin(), edges.end());
  CHECK(std::unique(edges.begin(), edges.end()) == edges.end());
  CHECK(svg.find("&lt;w &amp; &quot;co&quot;&gt;") != std::string::npos);
  CHECK(svg.find("class=\"loss\"") != std::string::npos);
  CHECK(svg.find("class=\"constant\"") != std::string::npos);
  CHECK(svg == recorder.to_svg());
  CHECK(GraphRecorder().to_svg().find("</svg>") != std::string::npos);
}
