#include "detection/data/data_report.h"

#include <algorithm>
#include <numeric>

#include "core/check.h"

namespace boxgrad::detection {
namespace {

constexpr int kExamples = 3;

const char* description(DataProblem problem) {
  switch (problem) {
    case DataProblem::bad_annotation:
      return "unreadable annotation(s), image skipped";
    case DataProblem::missing_annotation:
      return "image(s) without annotation, skipped";
    case DataProblem::missing_image:
      return "annotation(s) without image, skipped";
    case DataProblem::bad_image:
      return "unreadable image(s), skipped";
    case DataProblem::bad_name:
      return "name(s) that are no plain file name, skipped";
    case DataProblem::duplicate:
      return "name(s) listed twice, taken once";
    case DataProblem::second_annotation:
      return "second annotation(s) of a picture, skipped";
    case DataProblem::size_differs:
      return "<size>(s) unlike the picture's, picture believed";
    case DataProblem::bad_object:
      return "object(s) without name or box, skipped";
    case DataProblem::no_area:
      return "box(es) without area, skipped";
    case DataProblem::reversed:
      return "box(es) without area, as corners are exchanged, skipped";
    case DataProblem::slightly_outside:
      return "box(es) up to one pixel outside, clipped";
    case DataProblem::partly_outside:
      return "box(es) partly outside, clipped";
    case DataProblem::outside:
      return "box(es) wholly outside, skipped";
    case DataProblem::unknown_class:
      return "object(s) of other classes, skipped";
    case DataProblem::similar_names:
      return "class name(s) that differ in case only, kept apart";
    case DataProblem::count_:
      break;
  }
  return "";
}

std::string line(const DataIssue& issue) {
  return issue.what.empty() ? issue.where : issue.where + ": " + issue.what;
}

}  // namespace

void DataReport::add(DataIssue issue) {
  check(!strict_, line(issue), " [", description(issue.problem), " when not strict]");
  if (++counts_[static_cast<std::size_t>(issue.problem)] <= kept_per_kind_)
    issues_.push_back(std::move(issue));
}

std::int64_t DataReport::count(DataProblem problem) const {
  return counts_[static_cast<std::size_t>(problem)];
}

std::int64_t DataReport::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::vector<std::string> DataReport::summary() const {
  std::vector<std::string> lines;
  for (std::size_t p = 0; p < counts_.size(); ++p) {
    if (counts_[p] == 0) continue;
    const auto problem = static_cast<DataProblem>(p);
    std::string text = concat(counts_[p], " ", description(problem), ": ");
    int shown = 0;
    for (const DataIssue& issue : issues_) {
      if (issue.problem != problem || shown == kExamples) continue;
      text += concat(shown == 0 ? "" : "; ", line(issue));
      ++shown;
    }
    if (counts_[p] > shown) text += concat("; and ", counts_[p] - shown, " more");
    lines.push_back(std::move(text));
  }
  return lines;
}

}  // namespace boxgrad::detection
