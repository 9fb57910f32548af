// detection/data/dataset_hash.h.
#include <filesystem>
#include <functional>
#include <set>

#include "detection/data/dataset_hash.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

/// Grey pictures of 3 x 2 with a truth; each field changes one thing.
struct Grey : Dataset {
  std::int64_t count = 20;
  int width = 3;
  std::int64_t label = 1;
  Scalar right = 2;
  std::string name = "a";
  std::vector<std::string> names{"thing", "other"};
  std::set<std::int64_t> odd = {};  ///< numbers of pictures with another pixel
  mutable std::set<std::int64_t> asked = {};

  std::int64_t size() const override { return count; }
  Sample get(std::int64_t index) const override {
    asked.insert(index);
    Sample sample{.image = Image(width, 2, 9, 9, 9), .name = name};
    if (odd.contains(index)) sample.image.pixel(1, 1)[2] = 10;
    sample.target = {.boxes = Tensor({1, 4}, {0, 0, right, 2}), .labels = {label}};
    return sample;
  }
  const std::vector<std::string>& class_names() const override { return names; }
};

std::string pictures(const Dataset& dataset) {
  Sha256 hash;
  hash_pictures(hash, dataset);
  return hash.hex();
}

}  // namespace

TEST_CASE("a dataset's hash tells apart what a training sees", "[dataset_hash]") {
  const Grey plain;
  CHECK(hash_dataset(plain) == hash_dataset(Grey()));
  CHECK(hash_dataset(plain).size() == 64);
  CHECK(plain.asked == std::set<std::int64_t>{0, 2, 5, 8, 10, 13, 16, 19});
  Grey longer, wider, other, class_names, first, last, between;
  longer.count = 21;
  wider.width = 4;
  other.name = "b";
  class_names.names[1] = "others";
  first.odd = {0};
  last.odd = {19};
  std::set<std::string> seen{pictures(plain)};
  for (const Grey* changed : {&longer, &wider, &other, &class_names, &first, &last}) {
    CHECK(seen.insert(pictures(*changed)).second);
    CHECK(seen.insert(hash_dataset(*changed)).second);
  }
  between.odd = {1};  // nobody looks at it
  CHECK(hash_dataset(between) == hash_dataset(plain));

  // Truths: for a training alone.
  Grey relabelled, moved;
  relabelled.label = 2;
  moved.right = Scalar(2.5);
  for (const Grey* changed : {&relabelled, &moved}) {
    CHECK(pictures(*changed) == pictures(plain));
    CHECK(seen.insert(hash_dataset(*changed)).second);
  }
}

TEST_CASE("a dataset's hash: small ones, and neighbours that stay apart", "[dataset_hash]") {
  Grey none, one;
  none.count = 0;
  one.count = 1;
  CHECK(hash_dataset(none) != hash_dataset(one));
  CHECK(one.asked == std::set<std::int64_t>{0});
  Grey left, right;
  left.names = {"ab", "c"};
  right.names = {"a", "bc"};
  CHECK(pictures(left) != pictures(right));
}

namespace {

/// Photos that are not there: their annotations.
struct Annotated : PhotoDataset {
  Annotated() : PhotoDataset("Annotated", {.classes = {"thing", "other"}}) {
    for (const char* name : {"x/a.png", "x/b.png"}) {
      PhotoEntry entry{.image = name, .width = 30, .height = 20};
      entry.objects = {{.label = 1, .x1 = 1, .y1 = 2, .x2 = 1234.5, .y2 = 4}};
      entries_.push_back(entry);
    }
  }
  PhotoEntry& first() { return entries_.front(); }
  void turn_round() { std::swap(entries_.front(), entries_.back()); }
  void drop() { entries_.pop_back(); }
  void rename_class() { class_names_[1] = "others"; }
};

}  // namespace

TEST_CASE("the hash of annotations: of all that they say, and of no folder", "[dataset_hash]") {
  const Annotated plain;
  std::set<std::string> seen{hash_annotations(plain)};
  CHECK(seen.begin()->size() == 64);
  const std::vector<std::function<void(Annotated&)>> changes{
      [](Annotated& a) { a.first().image = "x/c.png"; },
      [](Annotated& a) { a.first().width = 31; },
      [](Annotated& a) { a.first().objects[0].label = 2; },
      [](Annotated& a) { a.first().objects[0].x2 += 1e-9; },
      [](Annotated& a) { a.first().objects[0].difficult = true; },
      [](Annotated& a) { a.first().objects[0].crowd = true; },
      [](Annotated& a) { a.first().objects.push_back(a.first().objects[0]); },
      [](Annotated& a) { a.first().objects.clear(); },
      [](Annotated& a) { a.turn_round(); },
      [](Annotated& a) { a.drop(); },
      [](Annotated& a) { a.rename_class(); }};
  for (const auto& change : changes) {
    Annotated changed;
    change(changed);
    CHECK(seen.insert(hash_annotations(changed)).second);
  }
  Annotated elsewhere;
  elsewhere.first().image = "y/a.png";
  CHECK(hash_annotations(elsewhere) == hash_annotations(plain));
}
