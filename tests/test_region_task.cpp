// detection/training/region_task.h.
#include <unistd.h>

#include "core/check.h"
#include "core/random.h"
#include "detection/training/region_task.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

std::vector<Scalar> numbers(const nn::Module& module) {
  std::vector<Scalar> all;
  for (const auto& [name, tensor] : module.state_dict())
    all.insert(all.end(), tensor.data().begin(), tensor.data().end());
  return all;
}

}  // namespace

TEST_CASE("a region task is the same whenever it is made, and made once", "[region_task]") {
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_region_task_", getpid());
  const RegionTaskOptions options{.train_scenes = 4, .val_scenes = 3, .start_steps = 2};
  manual_seed(3);
  const Random before = default_random();
  std::vector<Scalar> weights;
  double start_seconds = 0, proposal_seconds = 0;
  {
    const RegionTask task(folder, options);
    start_seconds = task.start_seconds();
    proposal_seconds = task.proposal_seconds();
    CHECK(start_seconds > 0);
    CHECK(proposal_seconds > 0);
    CHECK_THAT(task.seconds_text(), ContainsSubstring("proposals of 7 scenes"));
    CHECK(task.train.size() == 4);
    CHECK(task.val.size() == 3);
    CHECK(task.num_classes() == 10);
    CHECK(task.train.get(1).proposals.size(0) > 20);
    CHECK(task.train.get(1).name == "train/1");
    weights = numbers(*task.backbone());
    const auto a = task.backbone(), b = task.backbone();
    a->parameters()[0].second.data()[0] += 1;  // copies, not the same network
    CHECK(numbers(*b) == weights);
    CHECK(a->channels() == std::vector<std::int64_t>{128});
  }
  CHECK(default_random() == before);
  manual_seed(4);
  const RegionTask again(folder, options);
  CHECK(again.start_seconds() == Approx(start_seconds).epsilon(1e-4));  // the files remember
  CHECK(again.proposal_seconds() == Approx(proposal_seconds).epsilon(1e-4));
  CHECK(numbers(*again.backbone()) == weights);
  const RegionTask longer(folder, {.train_scenes = 4, .val_scenes = 3, .start_steps = 3});
  CHECK(longer.start_seconds() > 0);  // another file
  CHECK(longer.start_seconds() != again.start_seconds());
  fs::remove_all(folder);
}

TEST_CASE("dataset_target_statistics are those of the first images", "[region_task]") {
  const fs::path folder = fs::temp_directory_path() / concat("boxgrad_region_task_", getpid());
  const RegionTask task(folder, {.train_scenes = 6, .val_scenes = 1, .start_steps = 1});
  const auto some = dataset_target_statistics(task.train, {}, 2);
  std::vector<Regions> two;
  for (const std::int64_t i : {0, 1}) {
    const Sample sample = task.train.get(i);
    two.push_back(label_regions(sample.proposals, sample.target, {}));
  }
  CHECK(some.mean.to_vector() == target_statistics(two, 10).mean.to_vector());
  CHECK(some.std.to_vector() == target_statistics(two, 10).std.to_vector());
  const auto all = dataset_target_statistics(task.train, {});
  CHECK(all.mean.to_vector() != some.mean.to_vector());
  CHECK(all.mean.to_vector() == dataset_target_statistics(task.train, {}, 6).mean.to_vector());
  CHECK(all.mean.to_vector() == dataset_target_statistics(task.train, {}, 100).mean.to_vector());
  fs::remove_all(folder);
}
