#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace boxgrad::detection {

/// The least number of letters to insert, delete, replace or exchange with their neighbour that
/// turns `a` into `b` (no letter touched twice). Damerau, "A technique for computer detection and
/// correction of spelling errors", CACM 1964; bytes, so a letter outside ASCII counts for two.
int edit_distance(const std::string& a, const std::string& b);

struct SimilarNames {
  std::int64_t first = 0, second = 0;  ///< numbers in the list
  bool same_letters = false;           ///< they differ in case, spaces, '-' and '_' alone
};

/// Pairs of names that may be one class written in two ways: the same letters, or one edit apart
/// (two from eight letters on). Names of less than four letters (cat, car) and names whose digits
/// differ (type 1, type 2) are not suspected of spelling. Of more than 2,000 names only those of
/// the same letters are found.
std::vector<SimilarNames> similar_names(const std::vector<std::string>& names);

}  // namespace boxgrad::detection
