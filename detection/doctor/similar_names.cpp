#include "detection/doctor/similar_names.h"

#include <algorithm>
#include <map>

#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

namespace {

constexpr std::size_t kMostCompared = 2000;

std::string letters_of(const std::string& name) {
  std::string letters = lower_case(name);
  std::erase_if(letters, [](char c) { return c == ' ' || c == '-' || c == '_'; });
  return letters.empty() ? name : letters;
}

std::string digits_of(const std::string& name) {
  std::string digits;
  for (const char c : name)
    if (c >= '0' && c <= '9') digits += c;
  return digits;
}

}  // namespace

int edit_distance(const std::string& a, const std::string& b) {
  // Three rows of the table: distances between the first i letters of a and the first j of b.
  std::vector<int> two_above, above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<int>(j);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
    two_above = above;
    std::swap(above, row);
  }
  return above[b.size()];
}

std::vector<SimilarNames> similar_names(const std::vector<std::string>& names) {
  std::vector<SimilarNames> pairs;
  std::vector<std::string> letters;
  for (const std::string& name : names) letters.push_back(letters_of(name));
  std::map<std::string, std::size_t> first;
  for (std::size_t k = 0; k < names.size(); ++k) {
    const auto [other, is_new] = first.emplace(letters[k], k);
    if (!is_new)
      pairs.push_back(
          {static_cast<std::int64_t>(other->second), static_cast<std::int64_t>(k), true});
  }
  if (names.size() > kMostCompared) return pairs;
  // One of each group of the same letters stands for the others.
  for (auto a = first.begin(); a != first.end(); ++a)
    for (auto b = std::next(a); b != first.end(); ++b) {
      const std::size_t shorter = std::min(a->first.size(), b->first.size());
      const std::size_t longer = std::max(a->first.size(), b->first.size());
      const int allowed = shorter >= 8 ? 2 : shorter >= 4 ? 1 : 0;
      if (longer - shorter > static_cast<std::size_t>(allowed) ||
          digits_of(a->first) != digits_of(b->first) || edit_distance(a->first, b->first) > allowed)
        continue;
      pairs.push_back({static_cast<std::int64_t>(std::min(a->second, b->second)),
                       static_cast<std::int64_t>(std::max(a->second, b->second)), false});
    }
  return pairs;
}

}  // namespace boxgrad::detection
