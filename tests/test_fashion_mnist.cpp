#include <unistd.h>

#include <array>
#include <cmath>
#include <numeric>

#include "core/files.h"
#include "detection/data/fashion_mnist.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

// A folder with `count` images and labels in the four-file layout's training half.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / concat("boxgrad_fashion_", ::getpid());
  Folder(std::uint8_t images, std::uint8_t labels, std::uint8_t last_label) {
    std::filesystem::create_directories(path);
    std::vector<std::uint8_t> bytes{0, 0, 8, 3, 0, 0, 0, images, 0, 0, 0, 28, 0, 0, 0, 28};
    bytes.resize(bytes.size() + std::size_t{images} * 784, 51);
    write_file_atomically(path / "train-images-idx3-ubyte", bytes);
    bytes = {0, 0, 8, 1, 0, 0, 0, labels};
    bytes.resize(bytes.size() + labels, 1);
    bytes.back() = last_label;
    write_file_atomically(path / "train-labels-idx1-ubyte", bytes);
  }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("FashionMnist reads a small folder", "[data][fashion_mnist]") {
  const Folder folder(3, 3, 9);
  const FashionMnist data(FashionMnist::Split::train, folder.path);
  CHECK(data.size() == 3);
  CHECK(data.label(0) == 1);
  CHECK(data.label(2) == 9);
  const std::vector<std::int64_t> pick{2, 0};
  const Tensor raw = data.images(pick, false), normalized = data.images(pick);
  CHECK(raw.shape() == Shape({2, 28, 28, 1}));
  CHECK(raw.at({1, 27, 27, 0}) == Approx(0.2));
  CHECK(normalized.at({0, 0, 0, 0}) == Approx((0.2 - 0.2860) / 0.3530));
  CHECK(data.picture(0) == Image(28, 28, 51, 51, 51));
  CHECK(data.labels(pick) == std::vector<std::int64_t>{9, 1});
  CHECK_THROWS_WITH(data.image(3), "FashionMnist: index must be in 0..2, got 3");
}

TEST_CASE("FashionMnist explains what is wrong", "[data][fashion_mnist][errors]") {
  using Split = FashionMnist::Split;
  CHECK_THROWS_WITH(FashionMnist(Split::test, "/nonexistent"),
                    Catch::Contains("/nonexistent/t10k-images-idx3-ubyte.gz") &&
                        Catch::Contains("apt-get install dataset-fashion-mnist"));
  {
    const Folder folder(3, 2, 1);
    CHECK_THROWS_WITH(FashionMnist(Split::train, folder.path),
                      Catch::Contains("one label for each image, shape [3], got [2]"));
  }
  const Folder folder(2, 2, 10);
  CHECK_THROWS_WITH(FashionMnist(Split::train, folder.path),
                    Catch::Contains("label 1 must be 0 to 9, got 10"));
}

TEST_CASE("FashionMnist is what Zalando published", "[data][fashion_mnist][installed]") {
  const FashionMnist train(FashionMnist::Split::train), test(FashionMnist::Split::test);
  REQUIRE(train.size() == 60000);
  REQUIRE(test.size() == 10000);
  for (const auto& [data, each] : {std::pair{&train, 6000}, std::pair{&test, 1000}}) {
    std::array<int, 10> count{};
    for (std::int64_t i = 0; i < data->size(); ++i)
      ++count[static_cast<std::size_t>(data->label(i))];
    for (const int n : count) CHECK(n == each);
  }
  double sum = 0, square = 0;
  for (std::int64_t i = 0; i < train.size(); ++i) {
    std::int64_t s = 0, q = 0;
    for (const std::int64_t v : train.image(i)) s += v, q += v * v;
    sum += static_cast<double>(s) / 255, square += static_cast<double>(q) / (255. * 255);
  }
  const double n = 60000. * 784, mean = sum / n;
  CHECK(mean == Approx(FashionMnist::kMean).epsilon(1e-3));
  CHECK(std::sqrt(square / n - mean * mean) == Approx(FashionMnist::kStd).epsilon(1e-3));
  CHECK(FashionMnist::class_names()[static_cast<std::size_t>(train.label(0))] == "Ankle boot");
}
