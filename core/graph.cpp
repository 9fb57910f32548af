#include "core/graph.h"

#include <cmath>
#include <sstream>

#include "core/svg.h"

namespace boxgrad {

namespace {

double norm(std::span<const Scalar> numbers) {
  double squares = 0;
  for (const Scalar v : numbers) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares);
}

std::vector<Scalar> shown(std::span<const Scalar> numbers) {
  if (static_cast<std::int64_t>(numbers.size()) > GraphRecorder::kShownValues) return {};
  return {numbers.begin(), numbers.end()};
}

void set_gradient(GraphNode& node, std::span<const Scalar> numbers) {
  node.gradient = shown(numbers);
  node.gradient_norm = norm(numbers);
}

std::string list(const std::vector<Scalar>& values) {
  std::string text;
  for (const Scalar v : values) {
    if (!text.empty()) text += ", ";
    text += format_number(static_cast<double>(v));
  }
  return text;
}

}  // namespace

std::vector<std::string> GraphNode::lines() const {
  std::vector<std::string> text;
  text.push_back(!op.empty() ? op : !name.empty() ? name : requires_grad ? "leaf" : "constant");
  if (!module_path.empty()) text.push_back(module_path);
  text.push_back(values.empty() ? shape.to_string() : "= " + list(values));
  if (!gradient.empty())
    text.push_back("grad " + list(gradient));
  else if (gradient_norm >= 0)
    text.push_back("|grad| " + format_number(gradient_norm));
  return text;
}

void GraphRecorder::name(const Tensor& tensor, const std::string& name) {
  names_[tensor.id()] = name;
}

std::size_t GraphRecorder::node_of(const Tensor& tensor) {
  const auto found = index_.find(tensor.id());
  if (found != index_.end()) return found->second;
  GraphNode node;
  node.id = tensor.id();
  node.shape = tensor.shape();
  node.requires_grad = tensor.requires_grad();
  node.values = shown(tensor.data());
  nodes_.push_back(std::move(node));
  index_[tensor.id()] = nodes_.size() - 1;
  leaves_.emplace(nodes_.size() - 1, tensor);
  return nodes_.size() - 1;
}

void GraphRecorder::after_forward(const Op& op) {
  GraphNode node;
  for (const Tensor& input : op.inputs) node.inputs.push_back(node_of(input));
  node.id = op.output_id;
  node.op = op.name;
  node.module_path = op.module_path;
  node.shape = op.output.shape();
  node.requires_grad = op.output.requires_grad();
  node.values = shown(op.output.data());
  nodes_.push_back(std::move(node));
  index_[op.output_id] = nodes_.size() - 1;
}

void GraphRecorder::before_backward(const Op& op, const Tensor& dy) {
  const auto found = index_.find(op.output_id);
  if (found != index_.end()) set_gradient(nodes_[found->second], dy.data());
}

std::vector<GraphNode> GraphRecorder::nodes() const {
  std::vector<GraphNode> result = nodes_;
  for (GraphNode& node : result)
    if (const auto found = names_.find(node.id); found != names_.end()) node.name = found->second;
  for (const auto& [index, leaf] : leaves_)
    if (leaf.has_grad()) set_gradient(result[index], leaf.grad().data());
  return result;
}

std::string GraphRecorder::table() const {
  const std::vector<GraphNode> all = nodes();
  std::ostringstream out;
  for (const GraphNode& node : all) {
    if (node.op.empty()) continue;
    out << (node.module_path.empty() ? "-" : node.module_path) << "  " << node.op << "  (";
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      out << (i ? ", " : "") << all[node.inputs[i]].shape;
    out << ") -> " << node.shape;
    if (node.gradient_norm >= 0) out << "  |grad| " << format_number(node.gradient_norm);
    out << '\n';
  }
  return out.str();
}

std::string GraphRecorder::to_dot() const {
  const std::vector<GraphNode> all = nodes();
  std::ostringstream out;
  out << "digraph {\n  node [fontname=\"Helvetica\", fontsize=10]\n";
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::string label;
    for (const std::string& line : all[i].lines()) {
      if (!label.empty()) label += "\\n";
      for (const char c : line) {
        if (c == '"' || c == '\\') label += '\\';
        label += c;
      }
    }
    out << "  n" << i << " [shape=" << (all[i].op.empty() ? "ellipse" : "box") << ", label=\""
        << label << "\"]\n";
    for (const std::size_t input : all[i].inputs) out << "  n" << input << " -> n" << i << '\n';
  }
  out << "}\n";
  return out.str();
}

}  // namespace boxgrad
