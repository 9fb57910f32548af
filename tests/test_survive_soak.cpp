// A long training keeps its memory: resident memory at 100 % of the steps beside that at 10 %, with
// batches of any number of images, images of several sizes and any number of boxes. `make soak`
// runs 10^5 steps; BOXGRAD_SOAK_STEPS sets how many.
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "core/memory.h"
#include "core/stopwatch.h"
#include "detection/training/loader.h"
#include "detection/training/trainer.h"
#include "layers/adamw.h"
#include "tests/catch.h"
#include "tests/memory_folder.h"
#include "tests/toy_detector.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// Squares on grey; the picture's size and the number of squares depend on the index.
class Varying : public Dataset {
 public:
  std::int64_t size() const override { return 997; }
  Sample get(std::int64_t index) const override {
    Random random(7, static_cast<std::uint64_t>(index));
    const auto below = [&](int n) { return static_cast<int>(random.below(n)); };
    Sample sample;
    sample.name = concat("varying/", index);
    const int width = 16 * (1 + below(3)), height = 16 * (1 + below(3)), count = below(7);
    sample.image = Image(width, height, {60, 60, 60});
    std::vector<Scalar> boxes;
    for (int k = 0; k < count; ++k) {
      const int side = 4 + below(9), x = below(width - side), y = below(height - side);
      for (const int edge : {x, y, x + side, y + side}) boxes.push_back(static_cast<Scalar>(edge));
      sample.target.labels.push_back(1 + below(2));
      sample.target.difficult.push_back(below(5) == 0);
    }
    if (count > 0) sample.target.boxes = Tensor({count, 4}, boxes);
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names_; }

 private:
  std::vector<std::string> names_{"red", "blue"};
};

/// After the heap has handed back what is free: what it keeps for later, and in how many pieces, is
/// a matter of chance (half a megabyte, and no more from about 70,000 steps on).
double resident_megabytes() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

std::int64_t soak_steps(std::int64_t otherwise) {
  const char* text = std::getenv("BOXGRAD_SOAK_STEPS");
  return text == nullptr ? otherwise : std::max(100, std::atoi(text));
}

/// Only a long run says something of the heap.
bool is_long() { return std::getenv("BOXGRAD_SOAK_STEPS") != nullptr; }

/// What memory was at 10 % of the steps, and its course.
struct Course {
  std::int64_t steps;
  double early = 0;
  std::int64_t tensors_early = 0;
  std::string tenths = {};

  void after(std::int64_t done) {
    if (done == steps / 10) {
      early = resident_megabytes();
      tensors_early = tensor_bytes();
    }
    if (done % (steps / 10) == 0) tenths += concat(" ", resident_megabytes());
  }

  /// What tensors hold must be what it was, but for the batches that wait and for working memory
  /// that had not met its largest batch. A few thousand steps are too few to judge the heap by, and
  /// a sanitizer keeps freed memory on purpose.
  void check_kept(double late) const {
    CHECK(tensor_bytes() < tensors_early + (1 << 20));
    if (is_long()) CHECK(late < early * 1.01);
  }
};

}  // namespace

TEST_CASE("memory does not grow with the steps", "[survive][soak]") {
  const std::int64_t steps = soak_steps(2000);
  const Varying data;
  const auto model = make_toy();
  nn::AdamW optimizer(*model, {.rate = 0.001});
  const Stopwatch watch;
  Course course{.steps = steps};
  std::int64_t done = 0, images = 0, boxes = 0;
  // Batches of 1, 2, 3 and 4 images in turn, each kind made in the background.
  std::vector<std::unique_ptr<Loader>> loaders;
  for (int size = 1; size <= 4; ++size)
    loaders.push_back(std::make_unique<Loader>(
        data,
        LoaderOptions{
            .batch_size = size, .seed = 3, .threads = 1, .ahead = 2, .batch = {.multiple_px = 4}}));
  while (done < steps) {
    const Batch batch = loaders[static_cast<std::size_t>(done % 4)]->next();
    Random random(1, static_cast<std::uint64_t>(done));
    optimizer.zero_grad();
    const DetectorLoss loss = model->loss(batch, random);
    if (loss.total.requires_grad()) loss.total.backward();
    optimizer.clip_gradients(10);
    optimizer.step();
    ++done;
    images += batch.size();
    for (const Target& target : batch.targets) boxes += target.boxes.size(0);
    course.after(done);
  }
  const double late = resident_megabytes();
  if (is_long()) {
    std::cout << done << " steps, " << images << " images, " << boxes << " boxes in "
              << watch.seconds() << " s: resident memory " << course.early << " MB at 10 %, "
              << late << " MB at 100 % (" << 100 * (late / course.early - 1)
              << " %)\nat each tenth:" << course.tenths << " MB\n";
  }
  course.check_kept(late);
}

TEST_CASE("a trainer's memory does not grow: validation, checkpoints, log", "[survive][soak]") {
  const std::int64_t steps = soak_steps(1000);
  const fs::path out = memory_folder("soak");
  const Varying data;
  const auto model = make_toy();
  nn::AdamW optimizer(*model, {.rate = 0.001});
  const Stopwatch watch;
  TrainerOptions options{.iterations = steps / 5,
                         .batch_size = 2,
                         .seed = 3,
                         .average_decay = 0.99,
                         .log_every = steps / 20,  // a curve grows with its points, and may
                         .validations = 10,
                         .validation_images = 50,
                         .checkpoint_every = steps / 50,
                         .out = out};
  const auto run = [&] {
    train(*model, optimizer, data, {}, {.batch = {.multiple_px = 4}}, options, &data);
  };
  // Until a training has met its largest batches, and the heap has the pieces that looks and
  // checkpoints want beside them, it gets larger: that much is not to be blamed on the steps.
  run();
  Course course{.steps = steps};
  options.iterations = steps;
  options.on_step = [&](std::int64_t done, const DetectorLoss&) { course.after(done); };
  run();
  const double late = resident_megabytes();
  if (is_long())
    std::cout << steps << " steps of a trainer in " << watch.seconds()
              << " s: resident memory at each tenth:" << course.tenths << " MB, at the end " << late
              << " MB\n";
  course.check_kept(late);
  fs::remove_all(out);
}
