#include "layers/kernels/pool.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "core/autograd.h"
#include "layers/kernels/simd.h"

namespace boxgrad {

void PoolAxis::add(std::int64_t from, std::int64_t to) {
  origin.push_back(from);
  begin.push_back(std::max<std::int64_t>(from, 0));
  end.push_back(std::min(to, cells));
  assert(begin.back() < end.back());
}

void PoolAxis::finish() {
  std::int64_t from = 0, to = 0;
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    while (from < windows() && end[static_cast<std::size_t>(from)] <= cell) ++from;
    while (to < windows() && begin[static_cast<std::size_t>(to)] <= cell) ++to;
    first.push_back(from);
    last.push_back(std::max(from, to));
  }
}

namespace {

/// Calls f(n, row) for every row of every image, on all threads; `width` numbers a row.
template <class F>
void for_each_row(std::int64_t batch, std::int64_t rows, std::int64_t width, F f) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElementwiseGrain / std::max<std::int64_t>(width, 1));
  parallel_for(batch * rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
  });
}

}  // namespace

void max_pool_forward(const PoolShape& s, std::int64_t kernel_w, const Scalar* x, Scalar* y,
                      std::uint8_t* argmax) {
  const std::int64_t channels = s.channels, out_w = s.w.windows(), in_w = s.w.cells;
  for_each_row(s.batch, s.h.windows(), out_w * channels, [&](std::int64_t n, std::int64_t i) {
    const auto ih = static_cast<std::size_t>(i);
    const Scalar* image = x + n * s.h.cells * in_w * channels;
    for (std::int64_t j = 0; j < out_w; ++j) {
      const auto jw = static_cast<std::size_t>(j);
      const std::int64_t to = ((n * s.h.windows() + i) * out_w + j) * channels;
      const std::int64_t h0 = s.h.begin[ih], h1 = s.h.end[ih], w0 = s.w.begin[jw], w1 = s.w.end[jw];
      const std::int64_t place0 = (h0 - s.h.origin[ih]) * kernel_w + w0 - s.w.origin[jw];
      for_each_vector(channels, [&]<class V>(std::int64_t c) {
        V best, value;
        load(best, image + (h0 * in_w + w0) * channels + c);
        Index<V> winner = Index<V>{} + static_cast<int>(place0);
        for (std::int64_t h = h0; h < h1; ++h) {
          const Scalar* cell = image + (h * in_w + w0) * channels + c;
          int place = static_cast<int>(place0 + (h - h0) * kernel_w);
          for (std::int64_t w = w0; w < w1; ++w, cell += channels, ++place) {
            load(value, cell);
            const auto wins = (value > best) | (value != value);
            best = wins ? value : best;
            winner = wins ? Index<V>{} + place : winner;
          }
        }
        store(y + to + c, best);
        if (argmax != nullptr) store_index(argmax + to + c, winner);
      });
    }
  });
}

void max_pool_backward(const PoolShape& s, std::int64_t kernel_w, const Scalar* dy,
                       const std::uint8_t* argmax, Scalar beta, Scalar* dx) {
  const std::int64_t channels = s.channels, out_w = s.w.windows(), in_w = s.w.cells;
  for_each_row(s.batch, s.h.cells, in_w * channels, [&](std::int64_t n, std::int64_t h) {
    const auto ih = static_cast<std::size_t>(h);
    for (std::int64_t w = 0; w < in_w; ++w) {
      const auto iw = static_cast<std::size_t>(w);
      Scalar* __restrict to = dx + ((n * s.h.cells + h) * in_w + w) * channels;
      bool add = beta != 0;  // the cell's first window stores, the others add
      for (std::int64_t i = s.h.first[ih]; i < s.h.last[ih]; ++i)
        for (std::int64_t j = s.w.first[iw]; j < s.w.last[iw]; ++j) {
          const std::int64_t from = ((n * s.h.windows() + i) * out_w + j) * channels;
          const Scalar* __restrict gradient = dy + from;
          const std::uint8_t* __restrict winner = argmax + from;
          const auto place =
              static_cast<std::uint8_t>((h - s.h.origin[static_cast<std::size_t>(i)]) * kernel_w +
                                        w - s.w.origin[static_cast<std::size_t>(j)]);
          if (add)
            for (std::int64_t c = 0; c < channels; ++c)
              to[c] += winner[c] == place ? gradient[c] : Scalar{0};
          else
            for (std::int64_t c = 0; c < channels; ++c)
              to[c] = winner[c] == place ? gradient[c] : Scalar{0};
          add = true;
        }
      if (!add) std::fill(to, to + channels, Scalar{0});
    }
  });
}

void average_pool_forward(const PoolShape& s, const std::vector<Scalar>& scale_h,
                          const std::vector<Scalar>& scale_w, const Scalar* x, Scalar* y) {
  const std::int64_t channels = s.channels, out_w = s.w.windows(), in_w = s.w.cells;
  for_each_row(s.batch, s.h.windows(), out_w * channels, [&](std::int64_t n, std::int64_t i) {
    const auto ih = static_cast<std::size_t>(i);
    const Scalar* image = x + n * s.h.cells * in_w * channels;
    for (std::int64_t j = 0; j < out_w; ++j) {
      const auto jw = static_cast<std::size_t>(j);
      Scalar* to = y + ((n * s.h.windows() + i) * out_w + j) * channels;
      const Scalar scale = scale_h[ih] * scale_w[jw];
      for_each_vector(channels, [&]<class V>(std::int64_t c) {
        // Row by row: the rounding error of a sum grows with the length of its longest chain.
        V sum{}, row, value;
        for (std::int64_t h = s.h.begin[ih]; h < s.h.end[ih]; ++h) {
          const Scalar* cell = image + (h * in_w + s.w.begin[jw]) * channels + c;
          row = V{};
          for (std::int64_t w = s.w.begin[jw]; w < s.w.end[jw]; ++w, cell += channels) {
            load(value, cell);
            row += value;
          }
          sum += row;
        }
        sum *= scale;
        store(to + c, sum);
      });
    }
  });
}

void average_pool_backward(const PoolShape& s, const std::vector<Scalar>& scale_h,
                           const std::vector<Scalar>& scale_w, const Scalar* dy, Scalar beta,
                           Scalar* dx) {
  const std::int64_t channels = s.channels, out_w = s.w.windows(), in_w = s.w.cells;
  for_each_row(s.batch, s.h.cells, in_w * channels, [&](std::int64_t n, std::int64_t h) {
    const auto ih = static_cast<std::size_t>(h);
    for (std::int64_t w = 0; w < in_w; ++w) {
      const auto iw = static_cast<std::size_t>(w);
      Scalar* __restrict to = dx + ((n * s.h.cells + h) * in_w + w) * channels;
      bool add = beta != 0;
      for (std::int64_t i = s.h.first[ih]; i < s.h.last[ih]; ++i)
        for (std::int64_t j = s.w.first[iw]; j < s.w.last[iw]; ++j) {
          const Scalar* __restrict gradient = dy + ((n * s.h.windows() + i) * out_w + j) * channels;
          const Scalar scale =
              scale_h[static_cast<std::size_t>(i)] * scale_w[static_cast<std::size_t>(j)];
          if (add)
            for (std::int64_t c = 0; c < channels; ++c) to[c] += scale * gradient[c];
          else
            for (std::int64_t c = 0; c < channels; ++c) to[c] = scale * gradient[c];
          add = true;
        }
      if (!add) std::fill(to, to + channels, Scalar{0});
    }
  });
}

}  // namespace boxgrad
