#include "detection/doctor/similar_names.h"
#include "tests/catch.h"

using namespace boxgrad::detection;

TEST_CASE("edit_distance counts slips", "[doctor][names]") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("platelet", "platelets") == 1);
  CHECK(edit_distance("plaetlet", "platelet") == 1);  // two neighbours exchanged
  CHECK(edit_distance("ca", "abc") == 3);             // no letter is touched twice, so not 2
  CHECK(edit_distance("abc", "ca") == 3);
}

TEST_CASE("similar_names finds case, spaces and slips", "[doctor][names]") {
  const auto pairs_of = [](const std::vector<std::string>& names) {
    std::vector<std::array<std::int64_t, 3>> pairs;
    for (const SimilarNames& p : similar_names(names))
      pairs.push_back({p.first, p.second, p.same_letters});
    return pairs;
  };
  using Pairs = std::vector<std::array<std::int64_t, 3>>;
  CHECK(pairs_of({"RBC", "WBC", "Platelets"}).empty());  // short names differ by a letter
  CHECK(pairs_of({"dog", "cat", "Dog"}) == Pairs{{0, 2, 1}});
  CHECK(pairs_of({"traffic light", "Traffic_Light", "trafficlight"}) ==
        Pairs{{0, 1, 1}, {0, 2, 1}});
  CHECK(pairs_of({"platelet", "horse", "platelets"}) == Pairs{{0, 2, 0}});
  CHECK(pairs_of({"persno", "person"}) == Pairs{{0, 1, 0}});
  CHECK(pairs_of({"type 1", "type 2", "type 12"}).empty());  // counted, not misspelt
  CHECK(pairs_of({"motorcycle", "motorbicycle"}) == Pairs{{0, 1, 0}});
  CHECK(pairs_of({"chair", "chamber"}).empty());
  CHECK(pairs_of({"Cells", "cells", "cell"}) == Pairs{{0, 1, 1}, {0, 2, 0}});
  CHECK(pairs_of({"-", "_", ""}).empty());
}
