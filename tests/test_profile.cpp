// layers/profile.cpp, layers/roofline.cpp, core/peaks.cpp, core/chart_labels.cpp

#include <chrono>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "core/autograd.h"
#include "core/charts.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/peaks.h"
#include "layers/conv.h"
#include "layers/count.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/profile.h"
#include "layers/sequential.h"
#include "layers/sgd.h"
#include "tests/catch.h"

using namespace boxgrad;
using nn::Pass;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

/// Passes x on, and takes its time: what a profile has to find.
Tensor sleepy(const Tensor& x, int forward_ms, int backward_ms) {
  sleep_ms(forward_ms);
  return from_op("sleepy", x.clone(), {x}, [dx = x.grad_slot(), backward_ms](const Tensor& dy) {
    sleep_ms(backward_ms);
    const auto g = dy.data();
    if (dx) dx->accumulate([&](std::size_t i) { return g[i]; });
  });
}

struct Sleepy : nn::Module {
  Sleepy(int f, int b) : forward_ms(f), backward_ms(b) {}
  Tensor forward(const Tensor& x) override { return sleepy(x, forward_ms, backward_ms); }
  int forward_ms, backward_ms;
};

/// The row, or an empty one.
nn::ProfileRow find(const nn::Profile& profile, const std::string& path, const std::string& op,
                    Pass pass) {
  for (const nn::ProfileRow& row : profile.rows)
    if (row.path == path && row.op == op && row.pass == pass) return row;
  return {};
}

double sum_of_rows(const nn::Profile& profile) {
  return std::accumulate(profile.rows.begin(), profile.rows.end(), 0.0,
                         [](double sum, const auto& row) { return sum + row.seconds; });
}

}  // namespace

TEST_CASE("Profiler: time goes to the layer and the pass that took it", "[profile]") {
  nn::Sequential net(std::make_shared<Sleepy>(40, 5), std::make_shared<Sleepy>(5, 60));
  Tensor x({4}, 1);
  x.requires_grad_();
  nn::Profiler profiler;
  const auto start = Clock::now();
  for (int step = 0; step < 2; ++step) net(x).backward(Tensor({4}, 1));
  const double wall = seconds_since(start);
  const nn::Profile profile = profiler.profile();

  const auto first = find(profile, "0", "sleepy", Pass::forward);
  const auto second = find(profile, "1", "sleepy", Pass::forward);
  const auto first_back = find(profile, "0", "sleepy", Pass::backward);
  const auto second_back = find(profile, "1", "sleepy", Pass::backward);
  for (const auto& row : {first, second, first_back, second_back}) CHECK(row.calls == 2);
  // A sleep lasts at least as long as asked for: a loaded machine only adds.
  CHECK(first.seconds >= 0.080);
  CHECK(second.seconds >= 0.010);
  CHECK(first_back.seconds >= 0.010);
  CHECK(second_back.seconds >= 0.120);
  // Every moment belongs to exactly one row.
  CHECK(sum_of_rows(profile) == Approx(profile.seconds).epsilon(1e-6));
  CHECK(profile.seconds >= wall);
  CHECK(first.seconds + second.seconds + first_back.seconds + second_back.seconds <= wall);
  // Backward stands under its forward.
  REQUIRE(profile.rows.size() >= 4);
  CHECK(profile.rows[0].path == "0");
  CHECK(profile.rows[1].pass == Pass::backward);
  CHECK(profile.rows[2].path == "1");
}

TEST_CASE("Profiler: nested ops and modules are not counted twice", "[profile]") {
  // An op that is computed by another op, and whose backward calls ops.
  const auto outer = [](const Tensor& x) {
    const Tensor y = sleepy(x.detach(), 30, 0);
    sleep_ms(20);
    return from_op("outer", y.detach(), {x},
                   [dx = x.grad_slot()](const Tensor& dy) { dx->add(sleepy(dy, 25, 0)); });
  };
  Tensor x({4}, 1);
  x.requires_grad_();
  nn::Profiler profiler;
  {
    const ModuleScope a("a");
    {
      const ModuleScope b("b");
      outer(x).backward(Tensor({4}, 1));
    }
    sleep_ms(15);
  }
  const nn::Profile profile = profiler.profile();
  CHECK(find(profile, "a.b", "sleepy", Pass::forward).calls == 1);
  CHECK(find(profile, "a.b", "sleepy", Pass::forward).seconds >= 0.030);
  CHECK(find(profile, "a.b", "outer", Pass::forward).seconds >= 0.020);
  CHECK(find(profile, "a.b", "outer", Pass::backward).seconds >= 0.025);
  CHECK(find(profile, "a", "(between ops)", Pass::other).seconds >= 0.015);
  CHECK(sum_of_rows(profile) == Approx(profile.seconds).epsilon(1e-6));
}

TEST_CASE("Profiler: work that is no op has its row, and is not charged to the next", "[profile]") {
  Tensor w({4}, 1);
  w.requires_grad_();
  nn::Profiler profiler;
  {
    const WorkScope work("matching");
    sleep_ms(40);
  }
  const auto start = Clock::now();
  exp(w);
  const double wall = seconds_since(start);
  const nn::Profile profile = profiler.profile();
  CHECK(find(profile, "", "matching", Pass::other).seconds >= 0.040);
  CHECK(find(profile, "", "matching", Pass::other).calls == 1);
  CHECK(find(profile, "", "exp", Pass::forward).seconds <= wall + 0.005);
}

TEST_CASE("Profiler counts what count_layers counts, and once more per gradient", "[profile]") {
  nn::Sequential net(
      std::make_shared<nn::Conv2d>(3, 8, 3, Conv2dOptions{.stride = 2, .padding = 1}),
      std::make_shared<nn::MaxPool2d>(2),
      std::make_shared<nn::Conv2d>(8, 4, 1, Conv2dOptions{.bias = false}));
  const Shape input{2, 16, 12, 3};
  const nn::ModelCount count = nn::count_layers(net, input);
  nn::Profiler profiler;
  const Tensor y = net(Tensor(input));
  y.backward(Tensor(y.shape(), 1));
  const nn::Profile profile = profiler.profile();
  for (const nn::LayerCount& layer : count.layers) {
    std::int64_t forward = 0, backward = 0;
    for (const nn::ProfileRow& row : profile.rows)
      if (row.path == layer.path)
        (row.pass == Pass::forward ? forward : backward) += row.multiply_adds;
    CHECK(forward == layer.multiply_adds);
    // The images want no gradient.
    CHECK(backward == (layer.path == "0" ? 1 : 2) * layer.multiply_adds);
  }
  const auto conv = find(profile, "0", "conv2d", Pass::forward);
  constexpr std::int64_t kSize = sizeof(Scalar);
  const std::int64_t x = 2 * 16 * 12 * 3, w = 3 * 3 * 3 * 8, b = 8, out = 2 * 8 * 6 * 8;
  CHECK(conv.bytes == (x + w + b + out) * kSize);
  CHECK(conv.remark.rfind("narrow: only 3", 0) == 0);
  // dy, x, w, b are read, dw and db are written.
  CHECK(find(profile, "0", "conv2d", Pass::backward).bytes == (out + x + 2 * w + 2 * b) * kSize);
}

TEST_CASE("Profiler: a view moves nothing", "[profile]") {
  Tensor x({4, 2}, 1);
  x.requires_grad_();
  nn::Profiler profiler;
  reshape(x, {8}).backward(Tensor({8}, 1));
  const nn::Profile profile = profiler.profile();
  CHECK(find(profile, "", "reshape", Pass::forward).bytes == 0);
  CHECK(find(profile, "", "reshape", Pass::backward).calls == 1);
  CHECK(find(profile, "", "reshape", Pass::backward).bytes == 0);
}

TEST_CASE("Profiler goes on after a backward that threw", "[profile]") {
  Tensor x({4}, 1);
  x.requires_grad_();
  nn::Profiler profiler;
  const Tensor bad = from_op("bad", x.clone(), {x},
                             [](const Tensor&) { throw std::runtime_error("backward of bad"); });
  CHECK_THROWS(bad.backward(Tensor({4}, 1)));
  CHECK_FALSE(in_backward());
  CHECK(current_module_path().empty());
  exp(x);
  CHECK(find(profiler.profile(), "", "exp", Pass::forward).calls == 1);
}

TEST_CASE("A backward closure runs under its module's path", "[profile]") {
  Tensor x({1}, 1);
  x.requires_grad_();
  std::string seen;
  Tensor y;
  {
    const ModuleScope scope("head");
    y = from_op("spy", x.clone(), {x}, [&seen](const Tensor&) { seen = current_module_path(); });
  }
  y.backward();
  CHECK(seen == "head");
  CHECK(current_module_path().empty());
}

TEST_CASE("Profile::table", "[profile]") {
  nn::Profile profile;
  profile.steps = 2;
  profile.seconds = 0.1;
  profile.rows = {{.path = "features.0",
                   .op = "conv2d",
                   .pass = Pass::forward,
                   .calls = 2,
                   .seconds = 0.06,
                   .multiply_adds = 3'000'000'000,
                   .bytes = 60'000'000,
                   .remark = "im2col: as it is wide"},
                  {.path = "features.1",
                   .op = "relu",
                   .pass = Pass::backward,
                   .calls = 2,
                   .seconds = 0.0399,
                   .bytes = 399'000'000,
                   .remark = ""},
                  {.path = "", .op = "(between ops)", .seconds = 0.00008, .remark = ""}};
  CHECK(
      profile.table({.gflops = 200, .gb_per_s = 20, .threads = 1}) ==
      "layer        op      pass      calls     ms  share  GFLOP/s  % peak  GB/s  % peak  by\n"
      "features.0   conv2d  forward       1  30.00   60.0    100.0      50   1.0       5  im2col\n"
      "features.1   relu    backward      1  19.95   39.9                   10.0      50\n"
      "(1 smaller)                            0.04    0.1\n"
      "total of one step, mean of 2          50.00  100.0     60.0      30\n"
      "peaks with 1 thread: 200 GFLOP/s, 20.0 GB/s of main memory\n");
  const std::string by_time =
      profile.table({.gflops = 200, .gb_per_s = 20, .threads = 2}, nn::ProfileOrder::time);
  CHECK(by_time.find("features.0") < by_time.find("features.1"));
}

TEST_CASE("Profile::by_op puts layers together", "[profile]") {
  nn::Profile profile;
  profile.seconds = 6;
  profile.steps = 3;
  const auto add = [&](const char* path, const char* remark, Pass pass, double seconds) {
    profile.rows.push_back({.path = path,
                            .op = "conv2d",
                            .pass = pass,
                            .calls = 3,
                            .seconds = seconds,
                            .multiply_adds = 10,
                            .bytes = 100,
                            .remark = remark});
  };
  add("a", "im2col: as it is", Pass::forward, 1);
  add("b", "im2col: for another reason", Pass::forward, 2);
  add("b", "im2col: for another reason", Pass::backward, 2);
  add("c", "narrow: x", Pass::forward, 1);
  const nn::Profile merged = profile.by_op();
  REQUIRE(merged.rows.size() == 3);
  CHECK(merged.rows[0].path == "2 layers");
  CHECK(merged.rows[0].calls == 6);
  CHECK(merged.rows[0].seconds == Approx(3));
  CHECK(merged.rows[0].bytes == 200);
  CHECK(merged.rows[1].pass == Pass::backward);
  CHECK(merged.rows[2].algorithm() == "narrow");
  CHECK(merged.multiply_adds() == profile.multiply_adds());
  CHECK(merged.steps == 3);
  CHECK(sum_of_rows(merged) == Approx(6));
}

TEST_CASE("roofline: a dot per layer and pass, labelled", "[profile]") {
  nn::Profile profile;
  profile.seconds = 1;
  profile.rows = {{.path = "net.<conv>",
                   .op = "conv2d",
                   .pass = Pass::forward,
                   .calls = 1,
                   .seconds = 0.5,
                   .multiply_adds = 1'000'000'000,
                   .bytes = 10'000'000,
                   .remark = ""},
                  {.path = "norm",
                   .op = "batch_norm",
                   .pass = Pass::forward,
                   .calls = 1,
                   .seconds = 0.5,
                   .bytes = 10'000'000,
                   .remark = ""}};
  const std::string svg = nn::roofline(profile, {.gflops = 200, .gb_per_s = 20, .threads = 2});
  CHECK_THAT(svg, ContainsSubstring(">net.&lt;conv&gt;</text>"));
  CHECK_THAT(svg, ContainsSubstring("forward: net.&lt;conv&gt;: 200, 4"));  // 2e9 FLOP, 10 MB, .5 s
  CHECK_THAT(svg, !ContainsSubstring("norm"));
  CHECK_THAT(svg, ContainsSubstring("ridge: 10 FLOP/byte"));
  // Nothing to draw, and peaks that are missing, are no reason to fail.
  CHECK_THAT(nn::roofline({}, {}), ContainsSubstring("<svg"));
}

TEST_CASE("Labels of points stand where there is room", "[charts]") {
  const Series cloud{.x = {1, 1, 1, 1, 1, 1, 2},
                     .y = {1, 1, 1, 1, 1, 1, 2},
                     .labels = {"one", "two", "three", "four", "five", "six", "far"}};
  const std::string svg = scatter_chart({cloud});
  CHECK_THAT(svg, ContainsSubstring(">one</text>"));
  CHECK_THAT(svg, ContainsSubstring(">far</text>"));
  CHECK_THAT(svg, !ContainsSubstring(">six</text>"));  // four places around a dot
  CHECK_THAT(svg, ContainsSubstring("six: 1, 1"));     // on the dot nevertheless
  CHECK_THROWS_WITH(line_chart({{.name = "s", .y = {1, 2}, .labels = {"a"}}}),
                    "line_chart: series \"s\" must have no labels or 2, got 1");
}

TEST_CASE("shortest_s runs at least three times", "[profile]") {
  int runs = 0;
  const double best = shortest_s(0, [&] {
    if (++runs != 2) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  CHECK(runs == 3);
  CHECK(best < 0.02);
}

TEST_CASE("measure_peaks", "[profile]") {
  const MachinePeaks peaks = measure_peaks(0.001);
  CHECK(peaks.threads == num_threads());
  // Any machine that can build this, under any sanitizer.
  CHECK(peaks.gflops > 0.01);
  CHECK(peaks.gb_per_s > 0.01);
  CHECK(peaks.gflops < 1e6);
  CHECK(peaks.gb_per_s < 1e5);
  CHECK_THROWS_WITH(measure_peaks(0), "measure_peaks: seconds must be in (0, 60], got 0");
}
