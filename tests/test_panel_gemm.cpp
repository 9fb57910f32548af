// layers/kernels/panel_gemm.h and packed_gemm.h: products of our own, and what is built on them.
#include <string>
#include <tuple>
#include <vector>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "layers/conv.h"
#include "layers/kernels/packed_gemm.h"
#include "layers/kernels/panel_gemm.h"
#include "layers/separable_batch_norm.h"
#include "tests/catch.h"
#include "tests/kernel_numbers.h"

using namespace boxgrad;

TEST_CASE("every kernel on panel_gemm computes the same with BLAS", "[kernels]") {
  // As exact as the ways themselves: rounding alone tells the two apart.
  static constexpr bool kFloat = sizeof(Scalar) == 4;
  static constexpr double kDirect = kFloat ? 1e-5 : 1e-12, kNormed = kFloat ? 2e-5 : 1e-12;
  static constexpr double kLargeTiles = kFloat ? 1e-4 : 1e-12;
  struct Result {
    std::string name;
    Tensor value;
    double bound;
  };
  const auto run = [](PanelGemm kernel) {
    set_panel_gemm(kernel);
    manual_seed(1);
    std::vector<Result> results;
    const auto keep = [&](const char* name, const Tensor& y, const std::vector<Tensor>& leaves,
                          double bound) {
      y.backward(Tensor::randn(y.shape()));
      results.push_back({name, y.detach(), bound});
      for (const Tensor& leaf : leaves) results.push_back({name, leaf.grad(), bound});
    };
    // 3x3 with tiles of either size, whatever would be chosen for such maps.
    for (const auto& [k, algorithm, bound] : {std::tuple{1, ConvAlgorithm::pointwise, kDirect},
                                              {3, ConvAlgorithm::winograd2, kDirect},
                                              {3, ConvAlgorithm::winograd4, kLargeTiles},
                                              {3, ConvAlgorithm::narrow, kDirect}})
      for (const auto& [in, out] : {std::pair{16, 40}, {70, 64}, {3, 40}}) {
        const Tensor x = Tensor::randn({2, 13, 14, in}).requires_grad_();
        const Tensor w = Tensor::randn({k, k, in, out}).requires_grad_();
        keep(to_string(algorithm), conv2d(x, w, {}, {.padding = k / 2, .algorithm = algorithm}),
             {x, w}, bound);
      }
    // The products of 1x1 layers inside the ops with batch norm: few rows, then many.
    for (const std::int64_t side : {4, 30}) {
      const Tensor x = Tensor::randn({2, side, side, 16}).requires_grad_();
      const Tensor w = Tensor::randn({1, 1, 16, 40}).requires_grad_();
      const Tensor gamma = Tensor::ones({40}), beta({40}), mean({40}), var = Tensor::ones({40});
      keep("conv2d_batch_norm", conv2d_batch_norm(x, {w, gamma, beta, mean, var, {}, {}}), {x, w},
           kNormed);
      const Tensor map = x.clone().requires_grad_(), pixel = w.clone().requires_grad_();
      const Tensor filter = Tensor::randn({3, 3, 1, 16}).requires_grad_();
      const Tensor gamma1 = Tensor::ones({16}), beta1({16}), mean1({16}), var1 = Tensor::ones({16});
      keep("separable_batch_norm",
           separable_batch_norm(
               map, {filter, gamma1, beta1, mean1, var1, {.padding = 1, .groups = 16}, {}},
               {pixel, gamma, beta, mean, var, {}, {}}),
           {map, filter, pixel}, kNormed);
    }
    return results;
  };
  const PanelGemm before = panel_gemm_kernel();
  const auto own = run(PanelGemm::own), blas = run(PanelGemm::blas);
  set_panel_gemm(before);
  for (std::size_t i = 0; i < own.size(); ++i) {
    INFO(own[i].name << ", result " << i);
    CHECK(relative_error(own[i].value, blas[i].value) < own[i].bound);
  }
}

TEST_CASE("panel_gemm equals the definition", "[kernels]") {
  for (const std::int64_t rows : {1, 2, 3, 13, 14, 15, 31})
    for (const std::int64_t depth : {0, 1, 7, 40})
      for (const bool across : {false, true}) {
        INFO(rows << " rows, depth " << depth << ", across " << across);
        const auto a = random_numbers(rows * depth + 1, 1);
        const auto b = random_numbers((depth + 1) * (kPanel + 3), 2);
        const Strided matrix = across ? Strided{a.data(), 1, rows} : Strided{a.data(), depth, 1};
        for (const bool add : {false, true}) {
          std::vector<Scalar> c = random_numbers(rows * (kPanel + 5), 3), expected = c;
          for (std::int64_t i = 0; i < rows; ++i)
            for (std::int64_t j = 0; j < kPanel; ++j) {
              Scalar& target = expected[static_cast<std::size_t>(i * (kPanel + 5) + j)];
              if (!add) target = 0;
              for (std::int64_t t = 0; t < depth; ++t)
                target += a[static_cast<std::size_t>(across ? t * rows + i : i * depth + t)] *
                          b[static_cast<std::size_t>(t * (kPanel + 3) + j)];
            }
          panel_gemm(rows, depth, matrix, b.data(), kPanel + 3, c.data(), kPanel + 5, add);
          CHECK(difference(c, expected) < kTolerance);
        }
      }
}

TEST_CASE("packed_gemm and transposed_gemm equal the definition", "[kernels]") {
  for (const std::int64_t rows : {1, 30, 250})
    for (const std::int64_t depth : {1, 5, 300, 530})
      for (const std::int64_t columns : {1, 31, 32, 33, 70})
        for (const bool transposed : {false, true}) {
          INFO(rows << " x " << depth << " x " << columns << ", transposed " << transposed);
          const auto a = random_numbers(rows * depth, 1), b = random_numbers(depth * columns, 2);
          const auto old = random_numbers(rows * columns, 3);
          const PackedMatrix packed(
              depth, columns,
              transposed ? Strided{b.data(), 1, depth} : Strided{b.data(), columns, 1});
          for (const bool add : {false, true}) {
            std::vector<Scalar> c = old, d = old, expected_c = old, expected_d = old;
            for (std::int64_t i = 0; i < rows; ++i)
              for (std::int64_t j = 0; j < columns; ++j) {
                double sum_c = 0, sum_d = 0;
                for (std::int64_t t = 0; t < depth; ++t) {
                  const auto right = static_cast<double>(
                      b[static_cast<std::size_t>(transposed ? j * depth + t : t * columns + j)]);
                  sum_c += static_cast<double>(a[static_cast<std::size_t>(i * depth + t)]) * right;
                  sum_d += static_cast<double>(a[static_cast<std::size_t>(t * rows + i)]) *
                           static_cast<double>(b[static_cast<std::size_t>(t * columns + j)]);
                }
                const auto k = static_cast<std::size_t>(i * columns + j);
                expected_c[k] = static_cast<Scalar>(sum_c) + (add ? old[k] : Scalar{0});
                expected_d[k] = static_cast<Scalar>(sum_d) + (add ? old[k] : Scalar{0});
              }
            packed_gemm(rows, {a.data(), depth, 1}, packed, c.data(), columns, add);
            transposed_gemm(rows, columns, depth, a.data(), b.data(), d.data(), add);
            CHECK(difference(c, expected_c) < kTolerance);
            CHECK(difference(d, expected_d) < kTolerance);
          }
        }
}
