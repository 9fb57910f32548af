#include "detection/proposals/selective_search.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <memory>
#include <sstream>
#include <unordered_set>

#include "core/check.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/resize.h"

namespace boxgrad::detection {
namespace {

constexpr int kMaxSearchSide = 65535;  // four of them name a box in 64 bits

void check_options(const Image& image, const SelectiveSearchOptions& o) {
  const char* op = "selective_search";
  check(image.width() > 0 && image.height() > 0, op, ": the image has no pixels");
  check(!o.strategies.empty(), op, ": strategies must not be empty; see preset()");
  for (const SearchStrategy& s : o.strategies) {
    check(s.k >= 0 && std::isfinite(s.k), op, ": k must be >= 0, got ", s.k);
    check(s.terms.color || s.terms.texture || s.terms.size || s.terms.fill, op,
          ": a strategy needs at least one term of similarity");
  }
  check(o.resize_width_px >= 0, op, ": resize_width_px must be >= 0, got ", o.resize_width_px);
  check(o.min_side_px >= 0, op, ": min_side_px must be >= 0, got ", o.min_side_px);
  check(o.max_boxes >= 0, op, ": max_boxes must be >= 0, got ", o.max_boxes);
}

Image at_working_size(const Image& image, int width) {
  if (width == 0 || width == image.width()) return image;
  const double height = static_cast<double>(image.height()) * width / image.width();
  check(width <= kMaxSearchSide && height <= kMaxSearchSide,
        "selective_search: a side must be at most ", kMaxSearchSide, " pixels, got ", width, " x ",
        height);
  return resize(image, width, std::max(1, static_cast<int>(std::lround(height))));
}

/// Positions of the different values of a list, and for each entry the position of its value.
template <class T>
struct Distinct {
  std::vector<T> values;
  std::vector<std::size_t> of;
  void add(const T& value) {
    const auto found = std::ranges::find(values, value);
    of.push_back(static_cast<std::size_t>(found - values.begin()));
    if (found == values.end()) values.push_back(value);
  }
};

template <class Body>
void in_parallel(std::size_t n, Body&& body) {
  parallel_for(static_cast<std::int64_t>(n), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(static_cast<std::size_t>(i));
  });
}

struct RankedBox {
  double rank;
  RegionFeatures::Place place;
};

/// All regions of all hierarchies by rank, each box once.
std::vector<RankedBox> ranked_boxes(const std::vector<RegionHierarchy>& hierarchies,
                                    std::uint64_t seed) {
  std::vector<RankedBox> boxes;
  for (std::size_t s = 0; s < hierarchies.size(); ++s) {
    Random random(seed, s);
    const std::vector<Region>& regions = hierarchies[s].regions;
    for (std::size_t i = 1; i <= regions.size(); ++i)
      boxes.push_back(
          {static_cast<double>(i) * random.uniform(), regions[regions.size() - i].place});
  }
  std::ranges::stable_sort(boxes, {}, &RankedBox::rank);
  std::unordered_set<std::uint64_t> seen;
  std::erase_if(boxes, [&](const RankedBox& box) {
    const auto part = [](std::int32_t v, int shift) {
      return static_cast<std::uint64_t>(v) << shift;
    };
    const RegionFeatures::Place& p = box.place;
    return !seen.insert(part(p.x1, 0) | part(p.y1, 16) | part(p.x2, 32) | part(p.y2, 48)).second;
  });
  return boxes;
}

std::string terms_name(const SimilarityTerms& t) {
  std::string name;
  const auto add = [&](bool wanted, const char* letter) {
    if (!wanted) return;
    if (!name.empty()) name += '+';
    name += letter;
  };
  add(t.color, "C"), add(t.texture, "T"), add(t.size, "S"), add(t.fill, "F");
  return name;
}

}  // namespace

SelectiveSearchOptions SelectiveSearchOptions::preset(const std::string& name) {
  const SimilarityTerms ctsf, tsf{.color = false};
  const SimilarityTerms fill{.color = false, .texture = false, .size = false};
  const SimilarityTerms size{.color = false, .texture = false, .fill = false};
  std::vector<ColorSpace> spaces;
  std::vector<SimilarityTerms> terms;
  std::vector<double> ks;
  if (name == "single") {
    spaces = {ColorSpace::hsv}, terms = {ctsf}, ks = {100};
  } else if (name == "fast") {
    spaces = {ColorSpace::hsv, ColorSpace::lab}, terms = {ctsf, tsf}, ks = {50, 100};
  } else if (name == "quality") {
    spaces = {ColorSpace::hsv, ColorSpace::lab, ColorSpace::rgi, ColorSpace::hue,
              ColorSpace::intensity};
    terms = {ctsf, tsf, fill, size}, ks = {50, 100, 150, 300};
  } else {
    check(false, "SelectiveSearchOptions: preset must be single, fast or quality, got \"", name,
          "\"");
  }
  SelectiveSearchOptions options;
  for (const ColorSpace space : spaces)
    for (const double k : ks)
      for (const SimilarityTerms& t : terms) options.strategies.push_back({space, t, k});
  return options;
}

std::vector<RegionHierarchy> selective_search_hierarchies(const Image& image,
                                                          const SelectiveSearchOptions& options) {
  check_options(image, options);
  const Image picture = at_working_size(image, options.resize_width_px);
  check(picture.width() <= kMaxSearchSide && picture.height() <= kMaxSearchSide,
        "selective_search: a side must be at most ", kMaxSearchSide, " pixels, got ",
        picture.width(), " x ", picture.height());

  // Strategies share what they can: a graph per colour space, features per colour space and k.
  Distinct<ColorSpace> spaces;
  Distinct<std::pair<std::size_t, double>> cuts;  // colour space's position, k
  for (const SearchStrategy& s : options.strategies) {
    spaces.add(s.space);
    cuts.add({spaces.of.back(), s.k});
  }
  struct View {
    std::unique_ptr<PixelGraph> graph;
    PixelBins bins;
  };
  std::vector<View> views(spaces.values.size());
  in_parallel(views.size(), [&](std::size_t i) {
    const Tensor planes = to_color_space(picture, spaces.values[i]);
    views[i] = {std::make_unique<PixelGraph>(planes, options.sigma), pixel_bins(planes)};
  });
  struct Start {
    Segmentation segmentation;
    RegionFeatures features;
  };
  std::vector<Start> starts(cuts.values.size());
  in_parallel(starts.size(), [&](std::size_t i) {
    const auto& [space, k] = cuts.values[i];
    starts[i].segmentation = views[space].graph->segment(k);
    starts[i].features = region_features(starts[i].segmentation, views[space].bins);
  });
  std::vector<RegionHierarchy> hierarchies(options.strategies.size());
  in_parallel(hierarchies.size(), [&](std::size_t i) {
    const Start& start = starts[cuts.of[i]];
    hierarchies[i] = group_regions(start.segmentation, start.features, options.strategies[i].terms);
  });
  return hierarchies;
}

Tensor selective_search(const Image& image, const SelectiveSearchOptions& options) {
  const std::vector<RegionHierarchy> hierarchies = selective_search_hierarchies(image, options);
  const Segmentation& picture = hierarchies.front().segmentation;
  const Scalar scale_x = static_cast<Scalar>(image.width()) / static_cast<Scalar>(picture.width);
  const Scalar scale_y = static_cast<Scalar>(image.height()) / static_cast<Scalar>(picture.height);
  const Scalar min_side = static_cast<Scalar>(options.min_side_px);

  const std::size_t most = options.max_boxes == 0 ? std::numeric_limits<std::size_t>::max()
                                                  : static_cast<std::size_t>(options.max_boxes);
  std::vector<Scalar> rows;
  for (const RankedBox& box : ranked_boxes(hierarchies, options.seed)) {
    if (rows.size() / 4 == most) break;
    const RegionFeatures::Place& p = box.place;
    const Scalar x1 = static_cast<Scalar>(p.x1) * scale_x, x2 = static_cast<Scalar>(p.x2) * scale_x;
    const Scalar y1 = static_cast<Scalar>(p.y1) * scale_y, y2 = static_cast<Scalar>(p.y2) * scale_y;
    if (x2 - x1 < min_side || y2 - y1 < min_side) continue;
    rows.insert(rows.end(), {x1, y1, x2, y2});
  }
  return Tensor({static_cast<std::int64_t>(rows.size() / 4), 4}, rows);
}

std::string to_string(const SelectiveSearchOptions& options) {
  std::ostringstream text;
  text << std::setprecision(17) << "selective search, strategies";
  for (const SearchStrategy& s : options.strategies)
    text << ' ' << to_string(s.space) << '/' << terms_name(s.terms) << '/' << s.k;
  text << ", sigma " << options.sigma << ", width " << options.resize_width_px << ", min side "
       << options.min_side_px << ", at most " << options.max_boxes << ", seed " << options.seed;
  return text.str();
}

}  // namespace boxgrad::detection
