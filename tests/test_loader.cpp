#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <new>
#include <set>

#include "detection/training/loader.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

// Image i is one pixel of red i; get() can be slow or fail at one index.
class Numbered : public Dataset {
 public:
  explicit Numbered(std::int64_t size, std::int64_t bad = -1) : size_(size), bad_(bad) {}
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t index) const override {
    ++calls;
    check(index != bad_, "file \"", index, ".jpg\" is damaged");
    if (index % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    Sample sample;
    sample.image = Image(1, 1, static_cast<std::uint8_t>(index), 0, 0);
    sample.name = concat("no. ", index);
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  mutable std::atomic<int> calls{0};

 private:
  std::int64_t size_, bad_;
  std::vector<std::string> names_{"thing"};
};

Sample random_green(Sample sample, Random& random) {
  sample.image.pixel(0, 0)[1] = static_cast<std::uint8_t>(random.below(256));
  return sample;
}

using Numbers = std::vector<Scalar>;

std::vector<Numbers> first_batches(const Dataset& data, LoaderOptions options, int count) {
  Loader loader(data, std::move(options));
  std::vector<Numbers> result;
  for (int i = 0; i < count; ++i) result.push_back(loader.next().images.to_vector());
  return result;
}

std::vector<std::string> names(const Batch& batch) {
  std::vector<std::string> result;
  for (const BatchImage& info : batch.infos) result.push_back(info.name);
  return result;
}

}  // namespace

TEST_CASE("Loader gives the same batches for any number of threads", "[data][loader]") {
  const Numbered data(25);
  const LoaderOptions options{.batch_size = 4, .seed = 5, .threads = 0, .transform = random_green};
  const auto expected = first_batches(data, options, 20);
  for (const int threads : {1, 2, 5}) {
    LoaderOptions many = options;
    many.threads = threads;
    many.ahead = threads;
    CHECK(first_batches(data, many, 20) == expected);
  }
  LoaderOptions other = options;
  other.seed = 6;
  CHECK(first_batches(data, other, 20) != expected);
}

TEST_CASE("Loader starts anywhere", "[data][loader]") {
  const Numbered data(7);
  LoaderOptions options{.batch_size = 3, .seed = 1, .threads = 2, .transform = random_green};
  const auto all = first_batches(data, options, 12);
  options.start_iteration = 8;
  const auto resumed = first_batches(data, options, 4);
  CHECK(std::equal(resumed.begin(), resumed.end(), all.begin() + 8));
  CHECK(Loader(data, options).iteration() == 8);
}

TEST_CASE("Loader shows every image once in a pass", "[data][loader]") {
  const Numbered data(10);
  Loader loader(data, {.batch_size = 4, .threads = 2});
  // 5 batches of 4 are two passes of 10, in two orders.
  std::vector<std::string> seen;
  for (int i = 0; i < 5; ++i)
    for (const std::string& name : names(loader.next())) seen.push_back(name);
  CHECK(std::set<std::string>(seen.begin(), seen.begin() + 10).size() == 10);
  CHECK(std::set<std::string>(seen.begin() + 10, seen.end()).size() == 10);
  CHECK_FALSE(std::equal(seen.begin(), seen.begin() + 10, seen.begin() + 10));
}

TEST_CASE("Loader runs over the data once, in order", "[data][loader]") {
  const Numbered data(5);
  for (const int threads : {0, 2}) {
    Loader loader(data, {.batch_size = 2, .shuffle = false, .once = true, .threads = threads});
    CHECK(loader.batches_per_pass() == 3);
    CHECK(names(loader.next()) == std::vector<std::string>{"no. 0", "no. 1"});
    CHECK(names(loader.next()) == std::vector<std::string>{"no. 2", "no. 3"});
    CHECK_FALSE(loader.done());
    CHECK(names(loader.next()) == std::vector<std::string>{"no. 4"});
    CHECK(loader.done());
    CHECK_THROWS_AS(loader.next(), std::logic_error);
  }
}

TEST_CASE("Loader rethrows a worker's error in its turn", "[data][loader][errors]") {
  const Numbered data(12, 7);
  for (const int threads : {0, 1, 3}) {
    Loader loader(data, {.batch_size = 2, .shuffle = false, .threads = threads});
    for (int i = 0; i < 3; ++i) CHECK_NOTHROW(loader.next());
    const char* message = "Loader: iteration 3, sample 7: file \"7.jpg\" is damaged";
    CHECK_THROWS_WITH(loader.next(), message);
    CHECK_THROWS_WITH(loader.next(), message);
  }
  Loader loader(data, {.batch_size = 2, .shuffle = false, .transform = [](Sample s, Random&) {
                         check(s.name != "no. 3", "resize: too small");
                         return s;
                       }});
  loader.next();
  CHECK_THROWS_WITH(loader.next(), "Loader: iteration 1, sample 3 (no. 3): resize: too small");
}

TEST_CASE("Loader blames no photo for lack of memory or a mistake of ours",
          "[data][loader][errors]") {
  struct Failing : Numbered {
    std::function<void()> fail;
    explicit Failing(std::function<void()> how) : Numbered(4), fail(std::move(how)) {}
    Sample get(std::int64_t index) const override {
      if (index == 2) fail();
      return Numbered::get(index);
    }
  };
  const Failing memory([] { throw std::bad_alloc(); });
  const Failing mistake([] { throw std::logic_error("a mistake"); });
  const Failing file([] { throw std::runtime_error("cannot read"); });
  for (const int threads : {0, 1}) {
    const LoaderOptions options{.batch_size = 2, .shuffle = false, .threads = threads};
    Loader first(memory, options), second(mistake, options), third(file, options);
    for (Loader* loader : {&first, &second, &third}) loader->next();
    CHECK_THROWS_AS(first.next(), std::bad_alloc);
    CHECK_THROWS_AS(second.next(), std::logic_error);
    CHECK_THROWS_WITH(third.next(), "Loader: iteration 1, sample 2: cannot read");
  }
}

TEST_CASE("Loader holds a bounded number of batches and stops at once", "[data][loader]") {
  const Numbered data(100);
  {
    Loader loader(data, {.batch_size = 2, .threads = 3, .ahead = 4});
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK(data.calls <= 8);
    loader.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(data.calls <= 10);
  }
  { const Loader unused(data, {.threads = 2}); }
}

TEST_CASE("Loader refuses bad options", "[data][loader][errors]") {
  const Numbered data(3), none(0);
  CHECK_THROWS_WITH(Loader(none, {}), "Loader: the dataset is empty");
  CHECK_THROWS_WITH(Loader(data, {.batch_size = 0}), "Loader: batch_size must be > 0, got 0");
  CHECK_THROWS_WITH(Loader(data, {.ahead = 0}), "Loader: ahead must be > 0, got 0");
  CHECK_THROWS_WITH(Loader(data, {.start_iteration = -1}), Catch::Contains("got -1"));
}
