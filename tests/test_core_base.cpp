// core/shape.cpp, tensor, random, parallel, blas and svd: what everything else stands on.
#include <atomic>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "core/blas.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/svd.h"
#include "core/tensor.h"
#include "tests/check_gradients.h"

using namespace boxgrad;

namespace {

/// Restores the number of threads when a test ends.
struct ThreadsGuard {
  int before = num_threads();
  ~ThreadsGuard() { set_num_threads(before); }
};

}  // namespace

TEST_CASE("Shape", "[shape]") {
  const Shape shape{2, 3, 4};
  CHECK(shape.numel() == 24);
  CHECK(shape[-1] == 4);
  CHECK(shape.to_string() == "[2, 3, 4]");
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{5, 0}.numel() == 0);
  CHECK_THROWS_WITH(shape[3], "Shape: axis must be in [-3, 2], got 3");
  CHECK_THROWS_WITH((Shape{2, -1}), "Shape: extents must be >= 0, got -1");
  CHECK_THROWS_WITH((Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}),
                    "Shape: 1099511627776 x 1099511627776 is too large");
}

TEST_CASE("Tensor creation and access", "[tensor]") {
  Tensor x({2, 2}, {1, 2, 3, 4});
  CHECK(x.at({1, 0}) == 3);
  x.set({1, 0}, 7);
  CHECK(x.to_vector() == std::vector<Scalar>{1, 2, 7, 4});
  CHECK(Tensor({3}).to_vector() == std::vector<Scalar>{0, 0, 0});
  CHECK(Tensor::arange(3).to_vector() == std::vector<Scalar>{0, 1, 2});
  CHECK(Tensor::full({2}, 5).to_vector() == std::vector<Scalar>{5, 5});
  CHECK(reinterpret_cast<std::uintptr_t>(x.data().data()) % 64 == 0);
  CHECK_THROWS_WITH(Tensor({2, 2}, {1, 2, 3}), "Tensor: shape [2, 2] needs 4 values, got 3");
  CHECK_THROWS_WITH(x.item(), "item: needs a tensor with one element, got shape [2, 2]");
  CHECK_THROWS_WITH(x.at({0}), "at: shape [2, 2] needs 2 indices, got 1");
  CHECK_THROWS_WITH(x.at({0, 2}), "at: index 2 is outside axis 1 of [2, 2]");
}

TEST_CASE("Tensor prints like NumPy", "[tensor]") {
  const auto text = [](const Tensor& x) {
    std::ostringstream out;
    out << x;
    return out.str();
  };
  CHECK(text(Tensor({3}, {1, Scalar(2.5), -3})) == "[  1, 2.5,  -3]");
  CHECK(text(Tensor({2, 2}, {1, 2, 3, 40})) == "[[ 1,  2],\n [ 3, 40]]");
  CHECK(text(Tensor({2, 1, 2}, {1, 2, 3, 4})) == "[[[1, 2]],\n\n [[3, 4]]]");
  CHECK(text(Tensor({0})) == "[]");
  CHECK(text(Tensor::arange(2000)) == "[   0,    1,    2, ..., 1997, 1998, 1999]");
}

TEST_CASE("Philox matches its published vectors", "[random]") {
  // Known answers of the authors' Random123 library for philox4x32-10.
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Random is a function of seed, stream and counter", "[random]") {
  Random a(1, 2);
  for (int i = 0; i < 5; ++i) a.next_u32();
  Random resumed(1, 2, a.counter());
  CHECK(a == resumed);
  for (int i = 0; i < 9; ++i) CHECK(a.next_u32() == resumed.next_u32());
  CHECK(Random(1, 2).next_u32() != Random(1, 3).next_u32());
  CHECK(Random(1, 2).next_u32() != Random(2, 2).next_u32());

  Random random(7);
  double sum = 0, squares = 0;
  for (int i = 0; i < 20000; ++i) {
    const double u = random.uniform(), z = random.normal();
    REQUIRE((u >= 0 && u < 1));
    sum += z;
    squares += z * z;
  }
  CHECK(std::abs(sum / 20000) < 0.03);
  CHECK(std::abs(squares / 20000 - 1) < 0.05);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random.below(6));
  CHECK(seen == std::set<std::int64_t>{0, 1, 2, 3, 4, 5});
  CHECK_THROWS_WITH(random.below(0), "Random::below: n must be > 0, got 0");
  const auto order = random.permutation(50);
  CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 50);
}

TEST_CASE("parallel_for covers everything once, for any number of threads", "[parallel]") {
  const ThreadsGuard guard;
  for (const int threads : {1, 2, 3, 4, 8}) {
    set_num_threads(threads);
    for (const std::int64_t n : {0, 1, 7, 1000}) {
      std::vector<int> hits(static_cast<std::size_t>(n), 0);
      parallel_for(n, 3, [&](std::int64_t begin, std::int64_t end) {
        CHECK_FALSE(end - begin > 3);
        for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
      });
      CHECK(std::ranges::all_of(hits, [](int h) { return h == 1; }));
    }
  }
  CHECK_THROWS_WITH(set_num_threads(0), "set_num_threads: n must be from 1 to 256, got 0");
}

TEST_CASE("parallel_for rethrows and goes on working", "[parallel]") {
  const ThreadsGuard guard;
  set_num_threads(4);
  for (int round = 0; round < 20; ++round) {
    CHECK_THROWS_WITH(parallel_for(100, 1,
                                   [](std::int64_t i, std::int64_t) {
                                     if (i == 42) throw std::runtime_error("42");
                                   }),
                      "42");
    std::atomic<int> count = 0;
    parallel_for(100, 1, [&](std::int64_t, std::int64_t) { ++count; });
    CHECK(count == 100);
  }
}

TEST_CASE("nested and concurrent calls of parallel_for work", "[parallel]") {
  const ThreadsGuard guard;
  set_num_threads(3);
  std::atomic<int> count = 0;
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    CHECK(in_parallel_region());
    parallel_for(5, 1, [&](std::int64_t, std::int64_t) { ++count; });
  });
  CHECK(count == 20);
  CHECK_FALSE(in_parallel_region());
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round)
        parallel_for(10, 1, [&](std::int64_t, std::int64_t) { ++count; });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(count == 20 + 1500);
}

TEST_CASE("denormal numbers are flushed in every thread", "[parallel]") {
  const ThreadsGuard guard;
  set_num_threads(4);
  volatile Scalar tiny = std::numeric_limits<Scalar>::min();
  parallel_for(64, 1, [&](std::int64_t, std::int64_t) {
    const Scalar half = tiny / 2;
    if (half != 0) throw std::runtime_error("a denormal survived");
  });
}

TEST_CASE("gemm equals its definition", "[blas]") {
  Random random(3);
  // The last three are cut into tiles of rows, of columns and along k.
  for (const auto& [m, n, k] :
       {std::tuple{1, 1, 1}, std::tuple{3, 5, 7}, std::tuple{2, 3, 0}, std::tuple{900, 40, 70},
        std::tuple{33, 1000, 90}, std::tuple{24, 40, 9000}}) {
    for (const Trans ta : {Trans::no, Trans::yes})
      for (const Trans tb : {Trans::no, Trans::yes})
        for (const Scalar beta : {Scalar(0), Scalar(1), Scalar(-0.5)}) {
          const Tensor a = Tensor::randn({m, k}, random), b = Tensor::randn({k, n}, random);
          const Tensor before = Tensor::randn({m, n}, random);
          Tensor expected = before.clone();
          if (k < 100 && m < 100) {
            for (int i = 0; i < m; ++i)
              for (int j = 0; j < n; ++j) {
                double dot = 0;
                for (int l = 0; l < k; ++l) {
                  const int ia = ta == Trans::no ? i * k + l : l * m + i;
                  const int ib = tb == Trans::no ? l * n + j : j * k + l;
                  dot += double(a.data()[std::size_t(ia)]) * double(b.data()[std::size_t(ib)]);
                }
                Scalar& c = expected.data()[std::size_t(i * n + j)];
                c = Scalar(2 * dot) + beta * c;
              }
          } else {
            gemm_serial(ta, tb, m, n, k, 2, a.data().data(), ta == Trans::no ? k : m,
                        b.data().data(), tb == Trans::no ? n : k, beta, expected.data().data(), n);
          }
          Tensor c = before.clone();
          if (beta == 0)  // must not even be read
            std::ranges::fill(c.data(), std::numeric_limits<Scalar>::quiet_NaN());
          gemm(ta, tb, m, n, k, 2, a.data().data(), ta == Trans::no ? k : m, b.data().data(),
               tb == Trans::no ? n : k, beta, c.data().data(), n);
          CHECK(relative_error(c, expected) < 1e-5);
        }
  }
}

TEST_CASE("gemm gives the same bits for any number of threads", "[blas]") {
  const ThreadsGuard guard;
  Random random(4);
  for (const auto& [m, n, k] : {std::tuple{700, 64, 96}, std::tuple{64, 800, 128},
                                std::tuple{27, 32, 20000}, std::tuple{500, 500, 500}}) {
    const Tensor a = Tensor::randn({m, k}, random), b = Tensor::randn({k, n}, random);
    std::vector<Scalar> first;
    for (const int threads : {1, 2, 3, 4, 8}) {
      set_num_threads(threads);
      Tensor c = Tensor::empty({m, n});
      gemm(Trans::no, Trans::no, m, n, k, 1, a.data().data(), k, b.data().data(), n, 0,
           c.data().data(), n);
      if (first.empty()) first = c.to_vector();
      CHECK(c.to_vector() == first);
    }
  }
  CHECK(blas_description().find("OpenBLAS") != std::string::npos);
}

TEST_CASE("svd: singular values and the error of a truncation", "[svd]") {
  const double tolerance = sizeof(Scalar) == 4 ? 1e-5 : 1e-12;
  const Svd diagonal = svd(Tensor({3, 4}, {3, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0}));
  CHECK(diagonal.s[0] == Approx(3));
  CHECK(diagonal.s[1] == Approx(2));
  CHECK(diagonal.s[2] == Approx(1));

  // Values from numpy.linalg.svd.
  const Tensor w({3, 4}, {1, 2, 3, 4, 2, 4, 6, Scalar(8.1), 0, 1, 0, 1});
  const Svd d = svd(w);
  CHECK(d.s[0] == Approx(12.361980).epsilon(1e-5));
  CHECK(d.s[1] == Approx(0.889174).epsilon(1e-4));
  CHECK(d.s[2] == Approx(0.028769).epsilon(1e-2));
  CHECK(relative_error(low_rank(d, 3), w) < 10 * tolerance);
  double squares = 0;
  const Tensor rank1 = low_rank(d, 1);
  for (std::size_t i = 0; i < 12; ++i)
    squares += std::pow(double(w.data()[i]) - double(rank1.data()[i]), 2);
  CHECK(std::sqrt(squares) == Approx(0.889639).epsilon(1e-4));

  Random random(5);
  const Tensor tall = Tensor::randn({20, 6}, random);
  const Svd t = svd(tall);
  CHECK(t.u.shape() == Shape{20, 6});
  CHECK(t.vt.shape() == Shape{6, 6});
  CHECK(relative_error(low_rank(t, 6), tall) < 10 * tolerance);

  CHECK_THROWS_WITH(svd(Tensor({2})), "svd: w must be a matrix [m, n], got shape [2]");
  CHECK_THROWS_WITH(svd(Tensor({0, 2})), "svd: w is empty, shape [0, 2]");
  CHECK_THROWS_WITH(low_rank(t, 7), "low_rank: t must be from 1 to 6, got 7");
}
