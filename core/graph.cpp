#include "core/graph.h"

#include <algorithm>
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

/// The lines that stand in a node's box.
std::vector<std::string> lines(const GraphNode& node) {
  std::vector<std::string> text;
  text.push_back(!node.op.empty()     ? node.op
                 : !node.name.empty() ? node.name
                 : node.requires_grad ? "leaf"
                                      : "constant");
  if (!node.module_path.empty()) text.push_back(node.module_path);
  text.push_back(node.values.empty() ? node.shape.to_string() : "= " + list(node.values));
  if (!node.gradient.empty())
    text.push_back("grad " + list(node.gradient));
  else if (node.gradient_norm >= 0)
    text.push_back("|grad| " + format_number(node.gradient_norm));
  return text;
}

}  // namespace

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
    for (const std::string& line : lines(all[i])) {
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

// --- the drawing ----------------------------------------------------------------------------

namespace {

constexpr double kFont = 12, kLine = 16, kPad = 9, kGapX = 22, kGapY = 40, kMargin = 12;

struct Placed {
  std::vector<std::string> text;
  double x = 0, y = 0, width = 0, height = 0;  // x: centre, y: top
  std::size_t layer = 0;
};

/// Every op one layer below its lowest input; a leaf right above the first op that reads it, which
/// keeps edges short.
void choose_layers(const std::vector<GraphNode>& nodes, std::vector<Placed>& placed) {
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::size_t input : nodes[i].inputs)
      placed[i].layer = std::max(placed[i].layer, placed[input].layer + 1);
  std::vector<std::size_t> first_reader(nodes.size(), nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::size_t input : nodes[i].inputs)
      first_reader[input] =
          std::min(first_reader[input] == nodes.size() ? placed[i].layer : first_reader[input],
                   placed[i].layer);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].op.empty() && first_reader[i] < nodes.size())
      placed[i].layer = first_reader[i] - 1;
}

}  // namespace

std::string GraphRecorder::to_svg() const {
  const std::vector<GraphNode> all = nodes();
  check(all.size() <= 200, "to_svg: ", all.size(),
        " nodes are too many for this drawing; use to_dot() and Graphviz");
  std::vector<Placed> placed(all.size());
  choose_layers(all, placed);
  std::vector<std::vector<std::size_t>> layers;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Placed& p = placed[i];
    p.text = lines(all[i]);
    for (const std::string& line : p.text) p.width = std::max(p.width, text_width(line, kFont));
    p.width += 2 * kPad + (all[i].op.empty() ? 16 : 0);
    p.height = static_cast<double>(p.text.size()) * kLine + 2 * kPad - 4;
    if (layers.size() <= p.layer) layers.resize(p.layer + 1);
    layers[p.layer].push_back(i);
  }

  // Rows from top to bottom, each centred, nodes in the order of the mean place of their inputs.
  double total_width = 0, y = kMargin;
  std::vector<double> row_width(layers.size(), 0);
  for (std::size_t k = 0; k < layers.size(); ++k) {
    for (const std::size_t i : layers[k]) row_width[k] += placed[i].width + kGapX;
    row_width[k] -= layers[k].empty() ? 0 : kGapX;
    total_width = std::max(total_width, row_width[k]);
  }
  total_width += 2 * kMargin;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    const auto wanted = [&](std::size_t i) {
      double sum = 0;
      std::size_t above = 0;
      for (const std::size_t input : all[i].inputs)
        if (placed[input].layer < k) {
          sum += placed[input].x;
          ++above;
        }
      return above ? sum / static_cast<double>(above) : 1e9;  // leaves go to the right
    };
    std::stable_sort(layers[k].begin(), layers[k].end(),
                     [&](std::size_t a, std::size_t b) { return wanted(a) < wanted(b); });
    double x = (total_width - row_width[k]) / 2, height = 0;
    for (const std::size_t i : layers[k]) {
      placed[i].x = x + placed[i].width / 2;
      placed[i].y = y;
      x += placed[i].width + kGapX;
      height = std::max(height, placed[i].height);
    }
    y += height + kGapY;
  }

  Svg svg(total_width, y - kGapY + kMargin, "graph of the recorded computation");
  for (std::size_t i = 0; i < all.size(); ++i)
    for (const std::size_t input : all[i].inputs) {
      const Placed &from = placed[input], &to = placed[i];
      const double y1 = from.y + from.height, y2 = to.y - 5, bend = (y2 - y1) / 2;
      const auto at = [](double v) { return format_coordinate(v); };
      svg.path(concat("M ", at(from.x), " ", at(y1), " C ", at(from.x), " ", at(y1 + bend), " ",
                      at(to.x), " ", at(y2 - bend), " ", at(to.x), " ", at(y2)),
               "edge");
      svg.path(concat("M ", at(to.x - 4), " ", at(y2 - 2), " L ", at(to.x), " ", at(y2 + 4), " L ",
                      at(to.x + 4), " ", at(y2 - 2)),
               "edge");
    }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Placed& p = placed[i];
    const bool leaf = all[i].op.empty();
    svg.rect(p.x - p.width / 2, p.y, p.width, p.height, leaf ? "leaf" : "box",
             leaf ? p.height / 2 : 4);
    for (std::size_t line = 0; line < p.text.size(); ++line)
      svg.text(p.x, p.y + kPad + 8 + static_cast<double>(line) * kLine, p.text[line],
               line == 0 ? "ink" : "soft", Anchor::middle);
  }
  return svg.str();
}

}  // namespace boxgrad
