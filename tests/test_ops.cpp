// core/ops_*.cpp with core/broadcast.cpp underneath, and core/sort.cpp.
#include <functional>
#include <limits>
#include <map>

#include "core/ops.h"
#include "tests/check_gradients.h"

using namespace boxgrad;
using Catch::Matchers::Equals;

namespace {

Tensor positive(Shape shape, std::uint64_t seed) {
  Random random(seed);
  Tensor x = Tensor::rand(std::move(shape), random);
  for (Scalar& v : x.data()) v = v + Scalar(0.5);
  return x;
}

Tensor normal(Shape shape, std::uint64_t seed) {
  Random random(seed);
  return Tensor::randn(std::move(shape), random);
}

std::vector<Scalar> values(const Tensor& x) { return x.to_vector(); }
using V = std::vector<Scalar>;

/// What PyTorch says of an op of one or two inputs.
struct GoldenOp {
  std::string name;
  Shape a, b;
  std::string positive;  ///< the input that 1.5 is added to
  Shape out;
  V y, da, db;
};

/// The inputs of tests/golden/ops.py.
Tensor numbers(const Shape& shape, std::int64_t seed, bool positive = false) {
  Tensor t(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i)
    t.data()[static_cast<std::size_t>(i)] =
        static_cast<Scalar>((37 * i + 11 * seed) % 101 - 50) / 50 + Scalar(positive ? 1.5 : 0);
  return t;
}

using Op = std::function<Tensor(const Tensor& a, const Tensor& b)>;
const std::map<std::string, Op> kOps = {
    {"add", add},
    {"sub", sub},
    {"mul", mul},
    {"div", boxgrad::div},
    {"neg", [](const Tensor& a, const Tensor&) { return neg(a); }},
    {"square", [](const Tensor& a, const Tensor&) { return square(a); }},
    {"exp", [](const Tensor& a, const Tensor&) { return exp(a); }},
    {"log", [](const Tensor& a, const Tensor&) { return log(a); }},
    {"sqrt", [](const Tensor& a, const Tensor&) { return sqrt(a); }},
    {"clamp", [](const Tensor& a, const Tensor&) { return clamp(a, Scalar(-0.5), Scalar(0.25)); }},
    {"matmul", matmul},
    {"sum",
     [](const Tensor& a, const Tensor&) {
       return sum(a, {0, 2});
     }},
    {"mean", [](const Tensor& a, const Tensor&) { return mean(a, {1}, true); }},
    {"max",
     [](const Tensor& a, const Tensor&) {
       return max(a, {1, 2});
     }},
    {"reshape",
     [](const Tensor& a, const Tensor&) {
       return reshape(a, {4, -1});
     }},
    {"permute",
     [](const Tensor& a, const Tensor&) {
       return permute(a, {2, 0, 1});
     }},
    {"cat",
     [](const Tensor& a, const Tensor& b) {
       return cat({a, b, a}, 1);
     }},
    {"slice", [](const Tensor& a, const Tensor&) { return slice(a, 1, 1, 3); }},
    {"index_select",
     [](const Tensor& a, const Tensor&) {
       return index_select(a, 1, {3, 0, 3});
     }},
    {"gather",
     [](const Tensor& a, const Tensor&) {
       return gather(a, {0, 3, 1, 1, 2, 0});
     }},
};

}  // namespace

#include "tests/golden/ops.h"

TEST_CASE("every op of core equals PyTorch's, forward and backward", "[ops]") {
  CHECK(std::size(kGoldenOps) == kOps.size());
  for (const GoldenOp& golden : kGoldenOps) {
    INFO(golden.name);
    Tensor a = numbers(golden.a, 1, golden.positive == "a");
    Tensor b = numbers(golden.b, 2, golden.positive == "b");
    const Tensor y = kOps.at(golden.name)(a.requires_grad_(), b.requires_grad_());
    CHECK(relative_error(y, Tensor(golden.out, golden.y)) < 1e-5);
    y.backward(numbers(golden.out, 3));
    CHECK(relative_error(a.grad(), Tensor(golden.a, golden.da)) < 1e-5);
    CHECK(b.has_grad() == !golden.db.empty());
    if (b.has_grad()) CHECK(relative_error(b.grad(), Tensor(golden.b, golden.db)) < 1e-5);
  }
}

TEST_CASE("a large elementwise op is cut into pieces and equals its parts", "[ops]") {
  // One long row, and many short ones: both ways in which work is cut.
  const std::int64_t n = 40001;
  const Tensor a = normal({3, n}, 21), row = normal({n}, 22), column = normal({3, 1}, 23);
  const Tensor whole = square(a) + row * column;
  const Tensor turned = permute(permute(a, {1, 0}) * reshape(column, {3}), {1, 0});
  bool equal = true;
  for (std::int64_t i = 0; i < 3; ++i)
    for (std::int64_t k = 0; k < n; ++k) {
      const Scalar product = row.at({k}) * column.at({i, 0});
      equal =
          equal && whole.at({i, k}) == Approx(a.at({i, k}) * a.at({i, k}) + product).margin(1e-5);
      equal = equal && turned.at({i, k}) == a.at({i, k}) * column.at({i, 0});
    }
  CHECK(equal);
}

TEST_CASE("elementwise ops with two inputs broadcast", "[ops]") {
  const Tensor a({2, 3}, {1, 2, 3, 4, 5, 6}), row({3}, {10, 20, 30}), column({2, 1}, {100, 200});
  CHECK(values(a + row) == V{11, 22, 33, 14, 25, 36});
  CHECK(values(column - a) == V{99, 98, 97, 196, 195, 194});
  CHECK(values(a * Scalar(2)) == V{2, 4, 6, 8, 10, 12});
  CHECK(values(row / Tensor({1, 1}, {10})) == V{1, 2, 3});
  CHECK((row + column).shape() == Shape{2, 3});
  CHECK((Tensor({0, 3}) + row).shape() == Shape{0, 3});
  CHECK(broadcast_shape({5, 1, 4}, {3, 1}, "add") == Shape{5, 3, 4});
}

TEST_CASE("elementwise ops with two inputs: gradients", "[ops][gradcheck]") {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{3}, {3}},       {{2, 3}, {3}},       {{2, 3}, {2, 1}},       {{1}, {2, 2}},
      {{4, 1}, {1, 3}}, {{2, 3, 2}, {3, 1}}, {{2, 1, 2}, {1, 3, 1}}, {{3}, {1}}};
  for (const auto& [sa, sb] : shapes) {
    const std::vector<Tensor> in = {normal(sa, 1), positive(sb, 2)};
    check_gradients([](const auto& x) { return x[0] + x[1]; }, in);
    check_gradients([](const auto& x) { return x[0] - x[1]; }, in);
    check_gradients([](const auto& x) { return x[0] * x[1]; }, in);
    check_gradients([](const auto& x) { return x[0] / x[1]; }, in);
  }
}

TEST_CASE("an input used twice collects both gradients", "[ops][gradcheck]") {
  check_gradients([](const auto& x) { return x[0] * x[0] + x[0]; }, {normal({2, 2}, 3)});
  check_gradients([](const auto& x) { return x[0] + x[0]; }, {normal({3}, 3)});
}

TEST_CASE("elementwise ops with one input", "[ops]") {
  const Tensor x({3}, {Scalar(0.25), 1, 4});
  CHECK(values(neg(x)) == V{Scalar(-0.25), -1, -4});
  CHECK(values(square(x)) == V{Scalar(0.0625), 1, 16});
  CHECK(values(sqrt(x)) == V{Scalar(0.5), 1, 2});
  CHECK(exp(x).at({1}) == Approx(2.718281828));
  CHECK(log(x).at({2}) == Approx(1.386294361));
  CHECK(values(clamp(x, Scalar(0.5), 2)) == V{Scalar(0.5), 1, 2});
}

TEST_CASE("elementwise ops with one input: gradients", "[ops][gradcheck]") {
  for (const Shape& shape : {Shape{1}, Shape{5}, Shape{2, 3}, Shape{2, 1, 3}}) {
    check_gradients([](const auto& in) { return -in[0]; }, {normal(shape, 4)});
    check_gradients([](const auto& in) { return square(in[0]); }, {normal(shape, 5)});
    check_gradients([](const auto& in) { return exp(in[0]); }, {normal(shape, 6)});
    check_gradients([](const auto& in) { return log(in[0]); }, {positive(shape, 7)});
    check_gradients([](const auto& in) { return sqrt(in[0]); }, {positive(shape, 8)});
  }
  // Below, inside and above the clamp, none within a step of its edges.
  check_gradients([](const auto& in) { return clamp(in[0], -1, 1); },
                  {Tensor({4}, {-2, Scalar(-0.5), Scalar(0.5), 3})});
}

TEST_CASE("matmul", "[ops]") {
  const Tensor a({2, 3}, {1, 2, 3, 4, 5, 6}), b({3, 2}, {7, 8, 9, 10, 11, 12});
  CHECK(values(matmul(a, b)) == V{58, 64, 139, 154});
  CHECK(matmul(Tensor({0, 3}), b).shape() == Shape{0, 2});
  CHECK(values(matmul(Tensor({2, 0}), Tensor({0, 2}))) == V{0, 0, 0, 0});
  CHECK_THROWS_WITH(matmul(a, a), "matmul: needs [M, K] x [K, N], got [2, 3] x [2, 3]");
}

TEST_CASE("matmul gradient", "[ops][gradcheck]") {
  for (const auto& [m, k, n] : {std::tuple{1, 1, 1}, std::tuple{2, 3, 4}, std::tuple{5, 1, 2}})
    check_gradients([](const auto& in) { return matmul(in[0], in[1]); },
                    {normal({m, k}, 9), normal({k, n}, 10)});
}

TEST_CASE("reductions", "[ops]") {
  const Tensor x({2, 3}, {1, 5, 3, 4, 2, 6});
  CHECK(sum(x).item() == 21);
  CHECK(values(sum(x, {0})) == V{5, 7, 9});
  CHECK(values(sum(x, {-1})) == V{9, 12});
  CHECK(sum(x, {1}, true).shape() == Shape{2, 1});
  CHECK(mean(x).item() == Approx(3.5));
  CHECK(values(mean(x, {1})) == V{3, 4});
  CHECK(max(x).item() == 6);
  CHECK(values(max(x, {0})) == V{4, 5, 6});
  CHECK(values(max(x, {1})) == V{5, 6});
  CHECK(sum(Tensor({0, 2})).item() == 0);
  CHECK_THROWS_WITH(mean(Tensor({0, 2})), "mean: nothing to average, shape [0, 2]");
  CHECK_THROWS_WITH(max(Tensor({2, 0}), {1}), "max: nothing to compare, shape [2, 0]");
  CHECK_THROWS_WITH(sum(x, {2}), "sum: axis must be in [-2, 1], got 2");
  CHECK_THROWS_WITH(sum(x, {1, -1}), "sum: axis -1 is named twice");
}

TEST_CASE("a sum over millions of floats keeps its digits", "[ops]") {
  CHECK(sum(Tensor({1 << 25}, Scalar(0.1))).item() == Approx(3355443.25).epsilon(1e-6));
}

TEST_CASE("max ignores NaN and sends the gradient to the first of equals", "[ops]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(max(Tensor({3}, {nan, 2, 1})).item() == 2);
  CHECK(std::isnan(max(Tensor({2}, {nan, nan})).item()));
  Tensor x({4}, {1, 3, 3, 2});
  x.requires_grad_();
  max(x).backward();
  CHECK(values(x.grad()) == V{0, 1, 0, 0});
}

TEST_CASE("reductions: gradients", "[ops][gradcheck]") {
  const Tensor x({2, 3, 2}, {1, 5, 3, 4, 2, 6, 12, 11, 10, 9, 8, 7});
  for (const std::vector<int>& axes :
       {std::vector<int>{}, {0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}})
    for (const bool keepdim : {false, true}) {
      check_gradients([&](const auto& in) { return sum(in[0], axes, keepdim); }, {x});
      check_gradients([&](const auto& in) { return mean(in[0], axes, keepdim); }, {x});
      check_gradients([&](const auto& in) { return max(in[0], axes, keepdim); }, {x});
    }
}

TEST_CASE("reshape shares numbers, permute and cat and slice copy", "[ops]") {
  const Tensor x({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor y = reshape(x, {3, -1});
  CHECK(y.shape() == Shape{3, 2});
  CHECK(y.data().data() == x.data().data());
  CHECK(values(permute(x, {1, 0})) == V{1, 4, 2, 5, 3, 6});
  CHECK(permute(Tensor({2, 3, 4, 5}), {0, 3, 1, 2}).shape() == Shape{2, 5, 3, 4});
  CHECK(values(cat({x, Tensor({1, 3}, {7, 8, 9})}, 0)) == V{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(values(cat({x, Tensor({2, 1}, {7, 8})}, -1)) == V{1, 2, 3, 7, 4, 5, 6, 8});
  CHECK(values(slice(x, 1, 1, 3)) == V{2, 3, 5, 6});
  CHECK(slice(x, 0, 1, 1).shape() == Shape{0, 3});
}

TEST_CASE("shape ops explain what does not fit", "[ops][errors]") {
  const Tensor x({2, 3});
  CHECK_THROWS_WITH(reshape(x, {4, 2}),
                    "reshape: [2, 3] has 6 elements and does not fit into [4, 2]");
  CHECK_THROWS_WITH(reshape(x, {4, -1}), "reshape: [2, 3] has 6 elements, which 4 does not divide");
  CHECK_THROWS_WITH(permute(x, {0, 0}), "permute: order must name each axis of [2, 3] once");
  CHECK_THROWS_WITH(slice(x, 1, 2, 4),
                    "slice: needs 0 <= begin <= end <= 3 along axis 1 of [2, 3], got 2 and 4");
  CHECK_THROWS_WITH(cat({x, Tensor({3, 2})}, 0),
                    "cat: all inputs must have shape [2, 3] except along axis 0, got [3, 2]");
  CHECK_THROWS_WITH(x + Tensor({2}),
                    "add: shapes [2, 3] and [2] do not broadcast (axis -1: 3 against 2)");
}

TEST_CASE("shape ops: gradients", "[ops][gradcheck]") {
  const Tensor x = normal({2, 3, 2}, 11);
  check_gradients([](const auto& in) { return reshape(in[0], {4, 3}); }, {x});
  // Two readers of one tensor: neither may take over the other's gradient buffer.
  check_gradients(
      [](const auto& in) { return reshape(in[0], {12}) + reshape(square(in[0]), {12}); }, {x});
  for (const std::vector<int>& order : {std::vector<int>{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {0, 2, 1}})
    check_gradients([&](const auto& in) { return permute(in[0], order); }, {x});
  for (const int axis : {0, 1, 2}) {
    check_gradients(
        [&](const auto& in) {
          return cat({in[0], in[1], in[0]}, axis);
        },
        {x, normal({2, 3, 2}, 12)});
    check_gradients([&](const auto& in) { return slice(in[0], axis, 1, 2); }, {x});
  }
}

TEST_CASE("index_select and gather", "[ops]") {
  const Tensor x({3, 2}, {1, 2, 3, 4, 5, 6});
  CHECK(values(index_select(x, 0, {2, 0, 2})) == V{5, 6, 1, 2, 5, 6});
  CHECK(values(index_select(x, 1, {1})) == V{2, 4, 6});
  CHECK(index_select(x, 0, {}).shape() == Shape{0, 2});
  CHECK(values(gather(x, {0, 1, 0})) == V{1, 4, 5});
  CHECK(gather(Tensor({2, 3, 4}), std::vector<std::int64_t>(6, 0)).shape() == Shape{2, 3});
  CHECK_THROWS_WITH(index_select(x, 0, {3}),
                    "index_select: index must be from 0 to 2 along axis 0 of [3, 2], got 3");
  CHECK_THROWS_WITH(gather(x, {0, 2, 0}), "gather: index must be from 0 to 1, got 2");
  CHECK_THROWS_WITH(gather(x, {0}), "gather: needs one index per row of [3, 2], that is 3, got 1");
}

TEST_CASE("index_select and gather: gradients", "[ops][gradcheck]") {
  const Tensor x = normal({3, 2, 2}, 13);
  check_gradients([](const auto& in) { return index_select(in[0], 0, {2, 0, 2}); }, {x});
  check_gradients([](const auto& in) { return index_select(in[0], 1, {1, 1}); }, {x});
  check_gradients([](const auto& in) { return index_select(in[0], 2, {1, 0}); }, {x});
  check_gradients([](const auto& in) { return gather(in[0], {0, 1, 0, 1, 1, 0}); }, {x});
}

TEST_CASE("order of plain vectors", "[ops]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  const V scores = {nan, 1, 3, 1, nan, 3};
  CHECK(argsort_descending(scores) == std::vector<std::int64_t>{2, 5, 1, 3, 0, 4});
  CHECK(topk(scores, 2) == std::vector<std::int64_t>{2, 5});
  CHECK(topk(scores, 99).size() == 6);
  CHECK_THROWS_WITH(topk(scores, -1), "topk: k must be >= 0, got -1");
}

TEST_CASE("argmax names the first largest value of each row", "[ops]") {
  const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
  CHECK(argmax(Tensor({2, 2, 3}, {1, 3, 3, -2, -1, -5, nan, 0, 1, nan, nan, nan})) ==
        std::vector<std::int64_t>{1, 1, 2, 0});
  CHECK(argmax(Tensor({0, 3})).empty());
  CHECK_THROWS_WITH(argmax(Tensor({3, 0})),
                    "argmax: x must have shape [..., L] with L > 0, got [3, 0]");
}
