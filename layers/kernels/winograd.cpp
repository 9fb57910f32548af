#include "layers/kernels/winograd.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "layers/kernels/panel_gemm.h"
#include "layers/kernels/scratch.h"
#include "layers/kernels/simd.h"
#include "layers/kernels/winograd_transform.h"

namespace boxgrad {

namespace winograd {

/// The tiles of a convolution's output, and of a square of pixels around each of them.
template <int m>
struct Tiles {
  static constexpr std::int64_t kIn = m + 2;  // pixels a side under a tile

  const ConvShape& s;
  std::int64_t rows = (s.out_h + m - 1) / m, cols = (s.out_w + m - 1) / m;

  std::int64_t count() const { return s.batch * rows * cols; }
  std::int64_t image(std::int64_t tile) const { return tile / (rows * cols); }
  std::int64_t top(std::int64_t tile) const { return tile / cols % rows * m; }
  std::int64_t left(std::int64_t tile) const { return tile % cols * m; }
};

/// One number per element of a tile (plane), row and channel. Neighbouring planes start a cache
/// line apart from a power of two, or all elements of a tile would fall into the same cache set.
template <int m>
struct Planes {
  static constexpr int kCount = (m + 2) * (m + 2);

  Planes(std::int64_t rows, std::int64_t channels)
      : channels(channels), size(rows * channels + kLanes), memory(kCount * size) {}
  Scalar* at(std::int64_t plane, std::int64_t row) {
    return memory.data() + plane * size + row * channels;
  }

  std::int64_t channels, size;
  Scratch memory;
};

std::int64_t padded(std::int64_t channels) { return (channels + kPanel - 1) / kPanel * kPanel; }

/// to[e] = (kMatrix d kMatrix^T)[e] for the square d of `side` x `side` pixels of a map
/// [N, H, W, channels] whose corner is (top, left) of image n; outside the map d is 0.
template <int m, const auto& kMatrix>
void transform_pixels(const Scalar* map, std::int64_t height, std::int64_t width,
                      std::int64_t channels, std::int64_t n, std::int64_t top, std::int64_t left,
                      const Scalar* zeros, Planes<m>& to, std::int64_t row) {
  constexpr std::int64_t kSide = kMatrix[0].size();
  const Scalar* pixel[kSide * kSide];
  for (std::int64_t i = 0; i < kSide; ++i)
    for (std::int64_t j = 0; j < kSide; ++j) {
      const std::int64_t h = top + i, w = left + j;
      const bool inside = h >= 0 && h < height && w >= 0 && w < width;
      pixel[i * kSide + j] = inside ? map + ((n * height + h) * width + w) * channels : zeros;
    }
  Scalar* target = to.at(0, row);
  const std::int64_t plane = to.size;
  for_each_vector(channels, [&]<class V>(std::int64_t c) {
    V d[kSide * kSide], transformed[Planes<m>::kCount];
    for (std::int64_t i = 0; i < kSide * kSide; ++i) load(d[i], pixel[i] + c);
    transform_square<kMatrix>(d, transformed);
    for (int e = 0; e < Planes<m>::kCount; ++e) store(target + e * plane + c, transformed[e]);
  });
}

/// V = B^T d B for tiles begin..end-1.
template <int m>
void transform_input(const Tiles<m>& tiles, const Scalar* x, std::int64_t begin, std::int64_t end,
                     const Scalar* zeros, Planes<m>& to, std::int64_t row) {
  const ConvShape& s = tiles.s;
  for (std::int64_t t = begin; t < end; ++t, ++row)
    transform_pixels<m, Transforms<m>::kInput>(x, s.in_h, s.in_w, s.in_c, tiles.image(t),
                                               tiles.top(t) - s.pad_top, tiles.left(t) - s.pad_left,
                                               zeros, to, row);
}

/// y = A^T M A (+ beta y), then bias and activation, for tiles begin..end-1.
template <int m>
void transform_output(const Tiles<m>& tiles, Planes<m>& from, std::int64_t begin, std::int64_t end,
                      const BiasActivation& epilogue, Scalar beta, Scalar* y) {
  const ConvShape& s = tiles.s;
  for (std::int64_t t = begin; t < end; ++t) {
    const std::int64_t top = tiles.top(t), left = tiles.left(t);
    const std::int64_t rows = std::min<std::int64_t>(m, s.out_h - top);
    const std::int64_t cols = std::min<std::int64_t>(m, s.out_w - left);
    Scalar* corner = y + ((tiles.image(t) * s.out_h + top) * s.out_w + left) * s.out_c;
    const Scalar* source = from.at(0, t - begin);
    for_each_vector(s.out_c, [&]<class V>(std::int64_t c) {
      V values[Planes<m>::kCount], out[m * m];
      for (int e = 0; e < Planes<m>::kCount; ++e) load(values[e], source + e * from.size + c);
      transform_square<Transforms<m>::kOutput>(values, out);
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols; ++j) {
          Scalar* target = corner + (i * s.out_w + j) * s.out_c + c;
          if (beta != 0) {
            V before;
            load(before, target);
            out[i * m + j] += before * beta;
          }
          store(target, out[i * m + j]);
        }
    });
    for (std::int64_t i = 0; i < rows; ++i)
      epilogue.apply(corner + i * s.out_w * s.out_c, cols, s.out_c);
  }
}

/// Where transformed filters lie, as panel_gemm wants them: for each element e and panel of kPanel
/// outputs, [inputs, kPanel] numbers side by side; outputs beyond the last are 0. They fill `total`
/// numbers.
template <int m>
struct Filters {
  static constexpr int kCount = Planes<m>::kCount;

  Filters(std::int64_t inputs, std::int64_t outputs)
      : inputs(inputs),
        panels(padded(outputs) / kPanel),
        size(inputs * panels * kPanel + kLanes),
        total(kCount * size) {}
  std::int64_t at(std::int64_t e, std::int64_t panel) const {
    return e * size + panel * inputs * kPanel;
  }

  std::int64_t inputs, panels, size, total;
};

/// U = G g G^T. With `turned` the filters of the input gradient: taps turned round, inputs and
/// outputs exchanged. w is [3, 3, in, out] before the exchange.
template <int m>
void transform_filters(const Scalar* w, std::int64_t in, std::int64_t out, bool turned,
                       const Filters<m>& to, Scalar* transformed) {
  constexpr std::int64_t kDepth = 16;  // inputs at a time: 9 taps of them and a panel are 18 KiB
  const std::int64_t outputs = turned ? in : out;
  const std::int64_t blocks = (to.inputs + kDepth - 1) / kDepth;
  parallel_for(to.panels * blocks, 4, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) Scalar taps[9][kDepth][kPanel];
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t panel = task / blocks, first = task % blocks * kDepth;
      const std::int64_t depth = std::min(kDepth, to.inputs - first), column = panel * kPanel;
      const std::int64_t count = std::min(kPanel, outputs - column);
      if (count < kPanel) std::fill(&taps[0][0][0], &taps[0][0][0] + 9 * kDepth * kPanel, 0);
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        const Scalar* from = w + (turned ? 8 - tap : tap) * in * out;
        if (turned) {
          for (std::int64_t o = 0; o < count; ++o)
            for (std::int64_t i = 0; i < depth; ++i)
              taps[tap][i][o] = from[(column + o) * out + first + i];
        } else {
          for (std::int64_t i = 0; i < depth; ++i)
            std::copy_n(from + (first + i) * out + column, count, taps[tap][i]);
        }
      }
      for (std::int64_t i = 0; i < depth; ++i)
        for (std::int64_t o = 0; o < kPanel; o += kLanes) {
          Vec g[9], u[Filters<m>::kCount];
          for (int tap = 0; tap < 9; ++tap) load(g[tap], &taps[tap][i][o]);
          transform_square<Transforms<m>::kFilter>(g, u);
          for (int e = 0; e < Filters<m>::kCount; ++e)
            store(transformed + to.at(e, panel) + (first + i) * kPanel + o, u[e]);
        }
    }
  });
}

/// Tiles per block, four times the rows of panel_gemm's tile: enough rows for each time that the
/// filters are read, few enough for V and M to stay in an L2 cache up to 128 channels.
constexpr std::int64_t kBlock = 56;

template <int m>
void convolve(const ConvShape& s, const Scalar* x, const Filters<m>& filters, const Scalar* u,
              const BiasActivation& epilogue, Scalar beta, Scalar* y) {
  const Tiles<m> tiles{s};
  const std::vector<Scalar> zeros(static_cast<std::size_t>(s.in_c));
  // At least two blocks, where there are two tiles.
  const std::int64_t block = std::min(kBlock, (tiles.count() + 1) / 2);
  parallel_for(
      tiles.count(), std::max<std::int64_t>(block, 1), [&](std::int64_t begin, std::int64_t end) {
        Planes<m> v(end - begin, s.in_c), products(end - begin, filters.panels * kPanel);
        transform_input(tiles, x, begin, end, zeros.data(), v, 0);
        for (std::int64_t e = 0; e < Planes<m>::kCount; ++e)
          for (std::int64_t panel = 0; panel < filters.panels; ++panel)
            panel_gemm(end - begin, s.in_c, {v.at(e, 0), s.in_c, 1}, u + filters.at(e, panel),
                       kPanel, products.at(e, 0) + panel * kPanel, products.channels, false);
        transform_output(tiles, products, begin, end, epilogue, beta, y);
      });
}

template <int m>
void forward(const ConvShape& s, const Scalar* x, const Scalar* w, const BiasActivation& epilogue,
             Scalar* y) {
  const Filters<m> filters(s.in_c, s.out_c);
  Scratch u(filters.total);
  transform_filters<m>(w, s.in_c, s.out_c, false, filters, u.data());
  convolve(s, x, filters, u.data(), epilogue, Scalar{0}, y);
}

template <int m>
void input_gradient(const ConvShape& s, const Scalar* dy, const Scalar* w, Scalar beta,
                    Scalar* dx) {
  const Filters<m> filters(s.out_c, s.in_c);
  Scratch u(filters.total);
  transform_filters<m>(w, s.in_c, s.out_c, true, filters, u.data());
  const auto rows = gradient_phases(s.in_h, 3, 1, s.pad_top, 1);
  const auto cols = gradient_phases(s.in_w, 3, 1, s.pad_left, 1);
  convolve(gradient_shape(s, rows[0], cols[0]), dy, filters, u.data(), {}, beta, dx);
}

/// dw = G^T dU G (+ beta dw), dU being the sum of `parts` that lie in sums one below the other.
template <int m>
void transform_filter_gradient(const ConvShape& s, Planes<m>& sums, std::int64_t parts, Scalar beta,
                               Scalar* dw) {
  parallel_for(s.in_c, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t ci = begin; ci < end; ++ci)
      for_each_vector(s.out_c, [&]<class V>(std::int64_t co) {
        V du[Planes<m>::kCount] = {}, g[9];
        for (std::int64_t part = 0; part < parts; ++part)
          for (int e = 0; e < Planes<m>::kCount; ++e) {
            V term;
            load(term, sums.at(e, part * s.in_c + ci) + co);
            du[e] += term;
          }
        transform_square<Transforms<m>::kFilterGradient>(du, g);
        for (int tap = 0; tap < 9; ++tap) {
          Scalar* target = dw + (tap * s.in_c + ci) * s.out_c + co;
          if (beta != 0) {
            V before;
            load(before, target);
            g[tap] += before * beta;
          }
          store(target, g[tap]);
        }
      });
  });
}

/// The two factors of dU for a block of tiles: V and dM.
template <int m>
struct GradientBlock {
  GradientBlock(const ConvShape& s, std::int64_t rows)
      : zeros(static_cast<std::size_t>(std::max(s.in_c, s.out_c))),
        v(rows, s.in_c),
        dm(rows, padded(s.out_c)) {
    std::fill_n(dm.at(0, 0), Planes<m>::kCount * dm.size, Scalar{0});  // what pads the last panel
  }

  /// Rows row... of V and dM from tiles begin..end-1.
  void transform(const Tiles<m>& tiles, const Scalar* x, const Scalar* dy, std::int64_t begin,
                 std::int64_t end, std::int64_t row) {
    const ConvShape& s = tiles.s;
    transform_input(tiles, x, begin, end, zeros.data(), v, row);
    for (std::int64_t t = begin; t < end; ++t, ++row)
      transform_pixels<m, Transforms<m>::kOutputGradient>(dy, s.out_h, s.out_w, s.out_c,
                                                          tiles.image(t), tiles.top(t),
                                                          tiles.left(t), zeros.data(), dm, row);
  }

  /// dU[e] (+)= V[e]^T dM[e] for one panel of output channels; rows of dU from `sum_row`.
  void multiply(std::int64_t rows, std::int64_t e, std::int64_t panel, bool add, Planes<m>& sums,
                std::int64_t sum_row) {
    const std::int64_t column = panel * kPanel;
    panel_gemm(v.channels, rows, {v.at(e, 0), 1, v.channels}, dm.at(e, 0) + column, dm.channels,
               sums.at(e, sum_row) + column, sums.channels, add);
  }

  std::vector<Scalar> zeros;
  Planes<m> v, dm;
};

/// How many sums dU is split into, each over its own tiles, so that threads need not wait for each
/// other: at most eight, as many as 40 MiB hold, and each over two blocks of tiles at least.
std::int64_t gradient_parts(std::int64_t size, std::int64_t tiles) {
  const std::int64_t most = (std::int64_t{40} << 20) / static_cast<std::int64_t>(sizeof(Scalar));
  return std::min({std::int64_t{8}, most / size, tiles / (2 * kBlock)});
}

template <int m>
void weight_gradient(const ConvShape& s, const Scalar* x, const Scalar* dy, Scalar beta,
                     Scalar* dw) {
  const Tiles<m> tiles{s};
  const std::int64_t out = padded(s.out_c), panels = out / kPanel, count = tiles.count();
  const std::int64_t parts = gradient_parts(Planes<m>::kCount * s.in_c * out, count);
  if (parts >= 4) {  // fewer would leave threads idle
    // Each task has some of the tiles, and a dU of its own.
    Planes<m> sums(parts * s.in_c, out);
    const std::int64_t per_part = (count + parts - 1) / parts;
    parallel_for(parts, 1, [&](std::int64_t part, std::int64_t) {
      GradientBlock<m> block(s, kBlock);
      const std::int64_t first = part * per_part, last = std::min(first + per_part, count);
      for (std::int64_t t = first; t < last; t += kBlock) {
        const std::int64_t rows = std::min(kBlock, last - t);
        block.transform(tiles, x, dy, t, t + rows, 0);
        for (std::int64_t e = 0; e < Planes<m>::kCount; ++e)
          for (std::int64_t panel = 0; panel < panels; ++panel)
            block.multiply(rows, e, panel, t > first, sums, part * s.in_c);
      }
    });
    return transform_filter_gradient(s, sums, parts, beta, dw);
  }
  // A large dU, few tiles: all work on one block, first on its tiles, then on elements of dU.
  constexpr std::int64_t kRows = 2 * kBlock;
  Planes<m> sums(s.in_c, out);
  if (count == 0) std::fill_n(sums.at(0, 0), Planes<m>::kCount * sums.size, Scalar{0});
  GradientBlock<m> block(s, std::min(kRows, count));
  for (std::int64_t t = 0; t < count; t += kRows) {
    const std::int64_t rows = std::min(kRows, count - t);
    parallel_for(rows, 8, [&](std::int64_t begin, std::int64_t end) {
      block.transform(tiles, x, dy, t + begin, t + end, begin);
    });
    parallel_for(Planes<m>::kCount * panels, 1, [&](std::int64_t task, std::int64_t) {
      block.multiply(rows, task / panels, task % panels, t > 0, sums, 0);
    });
  }
  transform_filter_gradient(s, sums, 1, beta, dw);
}

}  // namespace winograd

bool winograd_covers(const ConvShape& s) {
  return s.kernel_h == 3 && s.kernel_w == 3 && s.stride_h == 1 && s.stride_w == 1 &&
         s.dilation_h == 1 && s.dilation_w == 1 && s.groups == 1;
}

void winograd_forward(int m, const ConvShape& s, const Scalar* x, const Scalar* w,
                      const BiasActivation& epilogue, Scalar* y) {
  m == 2 ? winograd::forward<2>(s, x, w, epilogue, y) : winograd::forward<4>(s, x, w, epilogue, y);
}

WinogradFilters::WinogradFilters(int m, std::int64_t in, std::int64_t out, const Scalar* w)
    : m_(m), in_(in), out_(out) {
  const auto fill = [&]<int kM>() {
    const winograd::Filters<kM> filters(in, out);
    transformed_ = std::make_unique<Buffer>(filters.total, Buffer::Fill::none);
    winograd::transform_filters<kM>(w, in, out, false, filters, transformed_->data());
  };
  m == 2 ? fill.operator()<2>() : fill.operator()<4>();
}

void WinogradFilters::forward(const ConvShape& s, const Scalar* x, const BiasActivation& epilogue,
                              Scalar* y) const {
  const auto run = [&]<int kM>() {
    winograd::convolve<kM>(s, x, {in_, out_}, transformed_->data(), epilogue, Scalar{0}, y);
  };
  m_ == 2 ? run.operator()<2>() : run.operator()<4>();
}

void winograd_input_gradient(int m, const ConvShape& s, const Scalar* dy, const Scalar* w,
                             Scalar beta, Scalar* dx) {
  m == 2 ? winograd::input_gradient<2>(s, dy, w, beta, dx)
         : winograd::input_gradient<4>(s, dy, w, beta, dx);
}

void winograd_weight_gradient(int m, const ConvShape& s, const Scalar* x, const Scalar* dy,
                              Scalar beta, Scalar* dw) {
  m == 2 ? winograd::weight_gradient<2>(s, x, dy, beta, dw)
         : winograd::weight_gradient<4>(s, x, dy, beta, dw);
}

}  // namespace boxgrad
