#include "detection/proposals/graph_segmentation.h"

#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "detection/proposals/color_space.h"
#include "detection/proposals/gaussian_filter.h"

namespace boxgrad::detection {
namespace {

// Four of the eight neighbours; the other four are the same edges seen from the other end.
constexpr int kEdgeDx[] = {1, 0, 1, 1};
constexpr int kEdgeDy[] = {0, 1, 1, -1};

constexpr std::int64_t kMaxGraphPixels = std::int64_t{1} << 28;

/// Sorts by the upper 32 bits and leaves equal ones in their order: three counting sorts, by the
/// lowest 11 bits first. Comparing would take five times as long, and sorting is half of the work.
void sort_by_weight(std::vector<std::uint64_t>& edges) {
  std::vector<std::uint64_t> sorted(edges.size());
  for (int shift = 32; shift < 64; shift += 11) {
    std::array<std::size_t, 2049> start{};
    const auto digit = [shift](std::uint64_t edge) { return (edge >> shift) & 2047; };
    for (const std::uint64_t edge : edges) ++start[digit(edge) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    for (const std::uint64_t edge : edges) sorted[start[digit(edge)]++] = edge;
    edges.swap(sorted);
  }
}

/// Segments that grow together: a forest in which each tree is one, with its root as its name.
class DisjointSets {
 public:
  explicit DisjointSets(std::size_t n) : parent_(n), size_(n, 1) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  std::int32_t find(std::int32_t x) {
    while (parent(x) != x) x = parent(x) = parent(parent(x));  // halves the path on the way
    return x;
  }
  /// Joins two different roots; returns the root of both.
  std::int32_t join(std::int32_t a, std::int32_t b) {
    if (size(a) < size(b)) std::swap(a, b);
    parent(b) = a;
    size_[static_cast<std::size_t>(a)] += size(b);
    return a;
  }
  std::int32_t size(std::int32_t root) const { return size_[static_cast<std::size_t>(root)]; }

 private:
  std::int32_t& parent(std::int32_t x) { return parent_[static_cast<std::size_t>(x)]; }
  std::vector<std::int32_t> parent_, size_;
};

}  // namespace

PixelGraph::PixelGraph(const Tensor& planes, double sigma) {
  check(planes.defined() && planes.rank() == 3 && planes.numel() > 0,
        "PixelGraph: planes must be [H, W, C] without an empty axis, got ",
        planes.defined() ? planes.shape() : Shape{0});
  const std::int64_t height = planes.size(0), width = planes.size(1), channels = planes.size(2);
  check(height * width <= kMaxGraphPixels, "PixelGraph: at most ", kMaxGraphPixels, " pixels, got ",
        width, " x ", height);
  for (const Scalar v : planes.data())
    check(std::isfinite(v), "PixelGraph: planes must be finite, got ", v);
  width_ = static_cast<int>(width), height_ = static_cast<int>(height);

  const std::vector<Scalar> kernel = gaussian_kernel(sigma);
  const Tensor smooth = filter_separable(planes, kernel, kernel);
  const Scalar* x0 = smooth.data().data();
  edges_.reserve(static_cast<std::size_t>(4 * height * width));
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t pixel = y * width + x;
      const Scalar* a = x0 + pixel * channels;
      for (int d = 0; d < 4; ++d) {
        if (x + kEdgeDx[d] >= width || y + kEdgeDy[d] < 0 || y + kEdgeDy[d] >= height) continue;
        const Scalar* b = a + (kEdgeDy[d] * width + kEdgeDx[d]) * channels;
        Scalar square = 0;
        for (std::int64_t c = 0; c < channels; ++c) square += (a[c] - b[c]) * (a[c] - b[c]);
        const float weight = static_cast<float>(std::sqrt(square));
        edges_.push_back(std::uint64_t{std::bit_cast<std::uint32_t>(weight)} << 32 |
                         static_cast<std::uint64_t>(4 * pixel + d));
      }
    }
  sort_by_weight(edges_);
}

Segmentation PixelGraph::segment(double k, std::int64_t min_size) const {
  check(k >= 0 && std::isfinite(k), "PixelGraph: k must be >= 0, got ", k);
  check(min_size >= -1, "PixelGraph: min_size must be >= 0, or -1 for k pixels, got ", min_size);
  if (min_size == -1) min_size = static_cast<std::int64_t>(k);

  const std::size_t pixels = static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
  DisjointSets sets(pixels);
  std::vector<float> bound(pixels, static_cast<float>(k));  // of a root: Int + k / size
  const auto bound_of = [&](std::int32_t root) -> float& {
    return bound[static_cast<std::size_t>(root)];
  };
  const auto for_each_edge = [&](auto&& visit) {
    for (const std::uint64_t edge : edges_) {
      const std::uint32_t place = static_cast<std::uint32_t>(edge), d = place & 3;
      const std::int32_t a = static_cast<std::int32_t>(place >> 2);
      const std::int32_t b = a + kEdgeDy[d] * width_ + kEdgeDx[d];
      const std::int32_t root_a = sets.find(a), root_b = sets.find(b);
      if (root_a == root_b) continue;
      visit(root_a, root_b, std::bit_cast<float>(static_cast<std::uint32_t>(edge >> 32)));
    }
  };
  for_each_edge([&](std::int32_t a, std::int32_t b, float weight) {
    if (weight > bound_of(a) || weight > bound_of(b)) return;
    const std::int32_t root = sets.join(a, b);
    bound_of(root) = weight + static_cast<float>(k) / static_cast<float>(sets.size(root));
  });
  for_each_edge([&](std::int32_t a, std::int32_t b, float) {
    if (sets.size(a) < min_size || sets.size(b) < min_size) sets.join(a, b);
  });

  Segmentation result{width_, height_, std::vector<std::int32_t>(pixels), 0};
  std::vector<std::int32_t> number(pixels, -1);  // of a root
  for (std::size_t p = 0; p < pixels; ++p) {
    std::int32_t& n = number[static_cast<std::size_t>(sets.find(static_cast<std::int32_t>(p)))];
    if (n < 0) n = result.count++;
    result.labels[p] = n;
  }
  return result;
}

Segmentation graph_segmentation(const Tensor& planes, const GraphSegmentationOptions& options) {
  return PixelGraph(planes, options.sigma).segment(options.k, options.min_size);
}

Segmentation graph_segmentation(const Image& image, const GraphSegmentationOptions& options) {
  return graph_segmentation(to_color_space(image, ColorSpace::rgb), options);
}

}  // namespace boxgrad::detection
