#include <algorithm>
#include <cmath>

#include "core/graph.h"
#include "core/svg.h"

// Draws a recorded graph in layers, after Sugiyama, Tagawa and Toda, "Methods for visual
// understanding of hierarchical system structures", IEEE Trans. SMC 1981: layers, bends where an
// edge passes a layer, an order with few crossings, places.
namespace boxgrad {

namespace {

constexpr double kFont = 12, kLine = 16, kPad = 9, kGapX = 22, kGapY = 38, kMargin = 14;
constexpr double kBendWidth = 10;

/// A node of the graph, or a bend: the place where a long edge passes a layer.
struct Item {
  std::vector<std::string> text;
  std::vector<std::size_t> above, below;  // neighbours one layer up and down
  double x = 0, width = kBendWidth, height = 0;
  std::size_t layer = 0, rank = 0;  // rank: its place within the layer
  bool bend = true;
};

struct Edge {
  std::size_t from, to;
  std::vector<std::size_t> bends;
};

struct Drawing {
  std::vector<Item> items;  // the graph's nodes first
  std::vector<Edge> edges;
  std::vector<std::vector<std::size_t>> layers;
};

/// Every op one layer below its lowest input; a leaf right above the first op that reads it, which
/// keeps edges short.
void choose_layers(const std::vector<GraphNode>& nodes, std::vector<Item>& items) {
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::size_t input : nodes[i].inputs)
      items[i].layer = std::max(items[i].layer, items[input].layer + 1);
  std::vector<std::size_t> first_reader(nodes.size(), nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::size_t input : nodes[i].inputs)
      first_reader[input] = std::min(first_reader[input], items[i].layer);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].op.empty() && first_reader[i] < nodes.size()) items[i].layer = first_reader[i] - 1;
}

Drawing make_layers(const std::vector<GraphNode>& nodes) {
  Drawing d;
  d.items.resize(nodes.size());
  choose_layers(nodes, d.items);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Item& item = d.items[i];
    item.bend = false;
    item.text = nodes[i].lines();
    item.width = 40;
    for (const std::string& line : item.text)
      item.width = std::max(item.width, text_width(line, kFont) + 2 * kPad);
    if (nodes[i].op.empty()) item.width += 16;  // its ends are round
    item.height = static_cast<double>(item.text.size()) * kLine + 2 * kPad - 4;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const std::size_t input : nodes[i].inputs) {
      Edge edge{input, i, {}};
      std::size_t last = input;
      const auto join = [&](std::size_t next) {
        d.items[last].below.push_back(next);
        d.items[next].above.push_back(last);
        last = next;
      };
      for (std::size_t k = d.items[input].layer + 1; k < d.items[i].layer; ++k) {
        edge.bends.push_back(d.items.size());
        d.items.emplace_back().layer = k;
        join(edge.bends.back());
      }
      join(i);
      d.edges.push_back(std::move(edge));
    }
  for (std::size_t i = 0; i < d.items.size(); ++i) {
    const std::size_t layer = d.items[i].layer;
    if (d.layers.size() <= layer) d.layers.resize(layer + 1);
    d.items[i].rank = d.layers[layer].size();
    d.layers[layer].push_back(i);
  }
  return d;
}

/// How many pairs of edges between neighbouring layers cross.
std::size_t crossings(const Drawing& d) {
  std::size_t count = 0;
  for (const std::vector<std::size_t>& layer : d.layers) {
    std::vector<std::pair<std::size_t, std::size_t>> ends;
    for (const std::size_t i : layer)
      for (const std::size_t below : d.items[i].below)
        ends.emplace_back(d.items[i].rank, d.items[below].rank);
    for (std::size_t a = 0; a < ends.size(); ++a)
      for (std::size_t b = a + 1; b < ends.size(); ++b)
        count += (ends[a].first < ends[b].first && ends[a].second > ends[b].second) ||
                 (ends[a].first > ends[b].first && ends[a].second < ends[b].second);
  }
  return count;
}

/// Sorts layers by the mean rank of their neighbours, downwards and upwards in turn, and keeps
/// the best order seen.
void choose_order(Drawing& d) {
  auto best = d.layers;
  std::size_t fewest = crossings(d);
  for (int sweep = 0; sweep < 16 && fewest > 0; ++sweep) {
    const bool down = sweep % 2 == 0;
    for (std::size_t step = 0; step < d.layers.size(); ++step) {
      std::vector<std::size_t>& layer = d.layers[down ? step : d.layers.size() - 1 - step];
      std::vector<std::pair<double, std::size_t>> wanted;
      for (const std::size_t i : layer) {
        const auto& neighbours = down ? d.items[i].above : d.items[i].below;
        double sum = 0;
        for (const std::size_t n : neighbours) sum += static_cast<double>(d.items[n].rank);
        // Without neighbours an item stays where it is.
        wanted.emplace_back(neighbours.empty() ? static_cast<double>(d.items[i].rank)
                                               : sum / static_cast<double>(neighbours.size()),
                            i);
      }
      std::stable_sort(wanted.begin(), wanted.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      for (std::size_t k = 0; k < layer.size(); ++k) {
        layer[k] = wanted[k].second;
        d.items[layer[k]].rank = k;
      }
    }
    if (const std::size_t now = crossings(d); now < fewest) {
      fewest = now;
      best = d.layers;
    }
  }
  d.layers = best;
  for (const auto& layer : d.layers)
    for (std::size_t k = 0; k < layer.size(); ++k) d.items[layer[k]].rank = k;
}

/// Moves the items of a layer as near as possible (least squares) to where they want to be, in
/// their order and without overlap. With x_k = z_k + (room that items 0..k need) the condition
/// reads z_0 <= z_1 <= ..., which pooling of neighbours that violate it solves exactly.
void place_layer(const std::vector<std::size_t>& layer, const std::vector<double>& wanted,
                 std::vector<Item>& items) {
  struct Pool {
    double sum, count;
    double mean() const { return sum / count; }
  };
  std::vector<double> room(layer.size(), 0);
  std::vector<Pool> pools;
  for (std::size_t k = 0; k < layer.size(); ++k) {
    if (k > 0)
      room[k] = room[k - 1] + (items[layer[k - 1]].width + items[layer[k]].width) / 2 + kGapX;
    pools.push_back({wanted[k] - room[k], 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back() = {pools.back().sum + last.sum, pools.back().count + last.count};
    }
  }
  std::size_t k = 0;
  for (const Pool& pool : pools)
    for (double n = 0; n < pool.count; ++n, ++k) items[layer[k]].x = pool.mean() + room[k];
}

/// Every item wants to stand between its neighbours; bends pull harder, so that long edges are
/// straight. Returns the width of it all.
double choose_places(Drawing& d) {
  for (const auto& layer : d.layers) place_layer(layer, std::vector<double>(layer.size()), d.items);
  for (int sweep = 0; sweep < 40; ++sweep)
    for (std::size_t step = 0; step < d.layers.size(); ++step) {
      const auto& layer = d.layers[sweep % 2 == 0 ? step : d.layers.size() - 1 - step];
      std::vector<double> wanted;
      for (const std::size_t i : layer) {
        double sum = 0, weight = 0;
        for (const auto* side : {&d.items[i].above, &d.items[i].below})
          for (const std::size_t n : *side) {
            const double w = d.items[i].bend && d.items[n].bend ? 4 : 1;
            sum += w * d.items[n].x;
            weight += w;
          }
        wanted.push_back(weight > 0 ? sum / weight : d.items[i].x);
      }
      place_layer(layer, wanted, d.items);
    }
  double left = 1e9, right = -1e9;
  for (const Item& item : d.items) {
    left = std::min(left, item.x - item.width / 2);
    right = std::max(right, item.x + item.width / 2);
  }
  for (Item& item : d.items) item.x += kMargin - left;
  return d.items.empty() ? 2 * kMargin : right - left + 2 * kMargin;
}

/// A curve that leaves (x1, y1) and reaches (x2, y2) downwards.
std::string curve(double x1, double y1, double x2, double y2) {
  const auto at = [](double v) { return format_coordinate(v); };
  const double middle = (y1 + y2) / 2;
  return concat("C", at(x1), " ", at(middle), " ", at(x2), " ", at(middle), " ", at(x2), " ",
                at(y2));
}

}  // namespace

std::string GraphRecorder::to_svg() const {
  const std::vector<GraphNode> all = nodes();
  check(all.size() <= 200, "to_svg: ", all.size(),
        " nodes are too many for this drawing; use to_dot() and Graphviz");
  Drawing d = make_layers(all);
  choose_order(d);
  const double width = choose_places(d);
  std::vector<double> top(d.layers.size()), bottom(d.layers.size());
  double y = kMargin;
  for (std::size_t k = 0; k < d.layers.size(); ++k) {
    top[k] = y;
    for (const std::size_t i : d.layers[k]) y = std::max(y, top[k] + d.items[i].height);
    bottom[k] = y;
    y += kGapY;
  }
  Svg svg(width, std::max(y - kGapY, kMargin) + kMargin, "graph of the recorded computation");

  const auto last_rank = [&](const Edge& edge) {  // of what the edge's last piece comes from
    return d.items[edge.bends.empty() ? edge.from : edge.bends.back()].rank;
  };
  for (const Edge& edge : d.edges) {
    const Item &from = d.items[edge.from], &to = d.items[edge.to];
    // Arrows into one op stand side by side, in the order of where they come from; both of x * x.
    double place = 0;
    for (const Edge& other : d.edges) {
      if (other.to != edge.to || &other == &edge) continue;
      const std::size_t mine = last_rank(edge), theirs = last_rank(other);
      place += theirs < mine || (theirs == mine && &other < &edge) ? 1 : -1;
    }
    const double spread = std::min(7.0, to.width / 2 / static_cast<double>(to.above.size() + 1));
    const double end_x = to.x + place * spread, end_y = top[to.layer] - 6;
    double x = from.x, down_to = top[from.layer] + from.height;
    std::string path = "M" + format_coordinate(x) + " " + format_coordinate(down_to);
    for (const std::size_t bend : edge.bends) {
      const Item& item = d.items[bend];
      path +=
          curve(x, down_to, item.x, top[item.layer]) + "V" + format_coordinate(bottom[item.layer]);
      x = item.x;
      down_to = bottom[item.layer];
    }
    svg.path(path + curve(x, down_to, end_x, end_y), "edge");
    svg.path(
        concat("M", format_coordinate(end_x - 4), " ", format_coordinate(end_y - 1), "h8l-4 7z"),
        "arrow");
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Item& item = d.items[i];
    const bool leaf = all[i].op.empty(), trained = all[i].requires_grad;
    const char* style = leaf                 ? (trained ? "leaf" : "constant")
                        : item.below.empty() ? "loss"
                                             : "box";
    const double above = top[item.layer];
    svg.rect(item.x - item.width / 2, above, item.width, item.height, style,
             leaf ? item.height / 2 : 5);
    for (std::size_t line = 0; line < item.text.size(); ++line) {
      const bool gradient = all[i].gradient_norm >= 0 && line + 1 == item.text.size();
      svg.text(item.x, above + kPad + 8 + static_cast<double>(line) * kLine, item.text[line],
               line == 0  ? "ink strong"
               : gradient ? "gradient"
                          : "soft",
               Anchor::middle);
    }
  }
  return svg.str();
}

}  // namespace boxgrad
