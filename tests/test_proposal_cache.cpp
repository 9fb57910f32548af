#include <unistd.h>

#include <atomic>
#include <functional>
#include <limits>
#include <sstream>

#include "core/draw.h"
#include "core/files.h"
#include "core/parallel.h"
#include "core/serialize.h"
#include "detection/proposals/proposal_cache.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// Removed at the end.
struct CacheFolder {
  fs::path path = fs::temp_directory_path() / concat("boxgrad_proposals_", getpid());
  CacheFolder() { fs::remove_all(path); }
  ~CacheFolder() { fs::remove_all(path); }
  fs::path file() const { return path / "squares.safetensors"; }
};

/// Picture i shows a square of side 10 + i.
class Squares : public Dataset {
 public:
  explicit Squares(std::int64_t size, std::uint8_t grey = 200) : size_(size), grey_(grey) {}
  std::int64_t size() const override { return size_; }
  Sample get(std::int64_t i) const override {
    Sample sample{Image(48, 40, 30, 30, 30), {}, concat("square/", i)};
    const double side = 10 + static_cast<double>(i);
    fill_rectangle(sample.image, 5, 5, 5 + side, 5 + side, {grey_, grey_, 40});
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string key(std::int64_t i) const override { return keys_ ? keys_(i) : ""; }
  std::vector<std::string> names_{"square"};
  std::function<std::string(std::int64_t)> keys_;

 private:
  std::int64_t size_;
  std::uint8_t grey_;
};

/// i boxes for sample i, and how often it was asked.
struct CountingMethod {
  std::atomic<int> calls = 0;
  ProposalMethod method{"numbers", [this](const Sample&, std::int64_t i) {
                          ++calls;
                          return Tensor({i, 4}, static_cast<Scalar>(i));
                        }};
};

std::vector<std::vector<Scalar>> numbers(const std::vector<Tensor>& proposals) {
  std::vector<std::vector<Scalar>> all;
  for (const Tensor& p : proposals) all.push_back(p.to_vector());
  return all;
}

}  // namespace

TEST_CASE("cached_proposals computes once", "[proposal_cache]") {
  const CacheFolder folder;
  const Squares squares(5);
  CountingMethod counting;
  std::ostringstream log;
  double seconds = 0, seconds_again = 0;
  const auto first =
      cached_proposals(squares, counting.method, folder.path, "squares", &log, &seconds);
  CHECK(seconds > 0);
  REQUIRE(first.size() == 5);
  for (std::size_t i = 0; i < 5; ++i)
    CHECK(first[i].shape() == Shape{static_cast<std::int64_t>(i), 4});
  CHECK(counting.calls == 5);
  const auto again =
      cached_proposals(squares, counting.method, folder.path, "squares", &log, &seconds_again);
  CHECK(seconds_again == Approx(seconds).epsilon(1e-4));  // of then
  CHECK(counting.calls == 5);
  CHECK(numbers(again) == numbers(first));
  CHECK(again[0].shape() == Shape{0, 4});
  CHECK(log.str().empty());
  // Nothing but the file is left.
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("cached_proposals of selective search: the same for any number of threads",
          "[proposal_cache]") {
  const CacheFolder folder;
  const Squares squares(6);
  const ProposalMethod method = selective_search_method(SelectiveSearchOptions::preset("single"));
  const int before = num_threads();
  set_num_threads(1);
  const auto one = compute_proposals(squares, method);
  set_num_threads(4);
  const auto four = compute_proposals(squares, method);
  set_num_threads(before);
  CHECK(numbers(one) == numbers(four));
  CHECK(numbers(cached_proposals(squares, method, folder.path, "squares")) == numbers(one));
  CHECK(numbers(cached_proposals(squares, method, folder.path, "squares")) == numbers(one));
}

TEST_CASE("cached_proposals: a file of something else is replaced", "[proposal_cache]") {
  const CacheFolder folder;
  CountingMethod counting;
  std::ostringstream log;
  const auto get = [&](const Dataset& dataset) {
    log.str("");
    counting.calls = 0;
    return cached_proposals(dataset, counting.method, folder.path, "squares", &log);
  };
  get(Squares(5));
  SECTION("another number of samples") {
    CHECK(get(Squares(4)).size() == 4);
    CHECK(counting.calls == 4);
  }
  SECTION("other pictures") {
    get(Squares(5, 201));
    CHECK(counting.calls == 5);
  }
  SECTION("other classes") {
    Squares squares(5);
    squares.names_ = {"box"};
    get(squares);
    CHECK(counting.calls == 5);
  }
  SECTION("another photo between those whose pictures are looked at") {
    Squares many(30);
    many.keys_ = [](std::int64_t i) { return concat(i, ".jpg"); };
    get(many);
    many.keys_ = [](std::int64_t i) { return i == 2 ? "new.jpg" : concat(i, ".jpg"); };
    get(many);
    CHECK(counting.calls == 30);
  }
  SECTION("other options") {
    counting.method.description = "numbers, seed 1";
    get(Squares(5));
    CHECK(counting.calls == 5);
  }
  CHECK_THAT(log.str(), ContainsSubstring("squares.safetensors is not used: it was made from other "
                                          "pictures or with other options; computing them again"));
}

TEST_CASE("cached_proposals: a damaged file is noticed and replaced", "[proposal_cache]") {
  const CacheFolder folder;
  const Squares squares(5);
  CountingMethod counting;
  std::ostringstream log;
  const auto get = [&] {
    return numbers(cached_proposals(squares, counting.method, folder.path, "squares", &log));
  };
  const auto expected = get();
  const std::vector<std::uint8_t> whole = read_file(folder.file(), 1 << 20);
  // Its metadata but for the seconds, which differ each time.
  const auto metadata = [&] {
    auto all = load_safetensors(folder.file()).metadata;
    all.erase("seconds");
    return all;
  };
  const auto good = metadata();
  const auto spoiled = [&](const std::vector<std::uint8_t>& bytes) {
    write_file_atomically(folder.file(), std::span<const std::uint8_t>(bytes));
    log.str("");
    counting.calls = 0;
    const bool same = get() == expected;
    const bool replaced = metadata() == good;
    return same && replaced && counting.calls == 5 &&
           log.str().find("computing them again") != std::string::npos;
  };
  // Cut short anywhere, and any byte changed.
  for (std::size_t n = 0; n < whole.size(); n += 17)
    REQUIRE(spoiled({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)}));
  for (std::size_t i = 0; i < whole.size(); i += 13) {
    std::vector<std::uint8_t> bytes = whole;
    bytes[i] ^= 1;
    // A space behind the header's JSON, or a letter in a name that is not looked at, may change.
    write_file_atomically(folder.file(), std::span<const std::uint8_t>(bytes));
    INFO("byte " << i);
    REQUIRE(get() == expected);
  }
  std::vector<std::uint8_t> last = whole;
  last.back() ^= 1;
  REQUIRE(spoiled(last));
}

TEST_CASE("cached_proposals: a file that was made to mislead", "[proposal_cache]") {
  // Counts that do not fit, under a hash that does: not a byte is read out of bounds.
  const CacheFolder folder;
  const Squares squares(3);
  CountingMethod counting;
  std::ostringstream log;
  cached_proposals(squares, counting.method, folder.path, "squares", &log);
  const TensorFile good = load_safetensors(folder.file());
  for (const Tensor& counts :
       {Tensor({3}, {0, 1, 3}), Tensor({3}, {0, 1, 1}), Tensor({3}, {-1, 2, 2}),
        Tensor({3}, {0, 1.5, 1.5}), Tensor({3}, {0, 0, static_cast<Scalar>(1e30)}),
        Tensor({3}, {0, 0, std::numeric_limits<Scalar>::quiet_NaN()}), Tensor({2}, {1, 2})}) {
    TensorFile bad = good;
    Sha256 hash;
    for (auto& [name, tensor] : bad.tensors) {
      if (name == "counts") tensor = counts;
    }
    for (const std::string wanted : {"boxes", "counts"})
      for (const auto& [name, tensor] : bad.tensors)
        if (name == wanted) {
          const auto data = tensor.data();
          hash.update({reinterpret_cast<const std::uint8_t*>(data.data()), data.size_bytes()});
        }
    bad.metadata["sha256"] = hash.hex();
    save_safetensors(folder.file(), bad);
    log.str("");
    CHECK(cached_proposals(squares, counting.method, folder.path, "squares", &log).size() == 3);
    CHECK_THAT(log.str(), ContainsSubstring("its "));
    CHECK_THAT(log.str(), !ContainsSubstring("SHA-256"));
  }
  save_safetensors(folder.file(), {{}, good.metadata});
  log.str("");
  cached_proposals(squares, counting.method, folder.path, "squares", &log);
  CHECK_THAT(log.str(), ContainsSubstring("it holds no boxes"));
}

TEST_CASE("cached_proposals: a place that cannot be written", "[proposal_cache]") {
  const CacheFolder folder;
  CountingMethod counting;
  std::ostringstream log;
  fs::create_directories(folder.file());  // a folder in the file's place
  CHECK(cached_proposals(Squares(3), counting.method, folder.path, "squares", &log).size() == 3);
  CHECK_THAT(log.str(), ContainsSubstring("they are not kept"));
}

TEST_CASE("cached_proposals: names of files may be of any script", "[proposal_cache]") {
  const CacheFolder folder;
  CountingMethod counting;
  CHECK(cached_proposals(Squares(3), counting.method, folder.path, "_séance").size() == 3);
  CHECK(fs::exists(folder.path / "_séance.safetensors"));
}

TEST_CASE("cached_proposals explains a wrong argument", "[proposal_cache][errors]") {
  const CacheFolder folder;
  const Squares squares(2);
  CountingMethod counting;
  for (const std::string name : {"", "../up", "a/b", ".hidden", "-x", "a b"})
    CHECK_THROWS_WITH(cached_proposals(squares, counting.method, folder.path, name),
                      ContainsSubstring("cached_proposals: name must be letters, digits"));
  CHECK_FALSE(fs::exists(folder.path));
  counting.method.description = "";
  CHECK_THROWS_WITH(cached_proposals(squares, counting.method, folder.path, "squares"),
                    "cached_proposals: the method needs a description");
  const ProposalMethod wrong{"wrong", [](const Sample&, std::int64_t) { return Tensor({3}); }};
  CHECK_THROWS_WITH(cached_proposals(squares, wrong, folder.path, "squares"),
                    ContainsSubstring("the method must give boxes [P, 4]"));
  CHECK_FALSE(fs::exists(folder.file()));
  CHECK(cached_proposals(Squares(0), ProposalMethod{"none", wrong.propose}, folder.path, "none")
            .empty());
}
