#include "detection/doctor/opened_folder.h"

#include <algorithm>
#include <map>

#include "core/check.h"
#include "detection/data/open_photos.h"
#include "detection/data/voc_folder.h"

namespace boxgrad::detection {

namespace {

namespace fs = std::filesystem;

/// The parts to open: a set of annotations for "trainval" holds those for "train" and "val" again.
std::vector<std::string> without_repeats(std::vector<std::string> splits) {
  const auto has = [&](const char* split) {
    return std::ranges::find(splits, split) != splits.end();
  };
  if (has("train") && has("val")) std::erase(splits, "trainval");
  return splits;
}

/// All that a reader reported, also what it did not keep.
void take_report(const DataReport& report, FaultLog& faults, bool of_list, const auto& take) {
  std::array<std::int64_t, static_cast<std::size_t>(DataProblem::count_)> kept{};
  for (const DataIssue& issue : report.issues()) {
    ++kept[static_cast<std::size_t>(issue.problem)];
    take(fault_of(issue));
  }
  for (std::size_t p = 0; p < kept.size(); ++p) {
    const auto problem = static_cast<DataProblem>(p);
    // Pictures without annotation and names that are alike are looked for again.
    if (of_list ||
        (problem != DataProblem::missing_annotation && problem != DataProblem::similar_names))
      faults.count_more(fault_of({problem, "", ""}).kind, report.count(problem) - kept[p]);
  }
}

void open_part(OpenedFolder& opened, const fs::path& folder, const std::string& split,
               std::int64_t kept_faults, FaultLog& faults) {
  auto photos = open_photos(folder, {.split = split, .kept_issues = kept_faults});
  std::map<fs::path, const PhotoEntry*> of_image;
  for (const PhotoEntry& entry : photos->entries()) {
    opened.photos.push_back({.entry = &entry, .part = opened.parts.size()});
    of_image.emplace(entry.image, &entry);
  }
  take_report(photos->report(), faults, false, [&](Fault fault) {
    if (fault.kind == FaultKind::similar_case || fault.kind == FaultKind::orphan_image) return;
    if (fault.kind == FaultKind::bad_image) opened.unusable.insert(fault.image);
    if (fault.kind == FaultKind::size_differs)
      for (const PhotoEntry::Object& o : of_image.at(fault.image)->objects)
        fault.boxes.push_back({o.x1, o.y1, o.x2, o.y2});
    faults.add(std::move(fault));
  });
  opened.parts.push_back({std::move(photos), {}});
}

void take_list(OpenedFolder& opened, const VocFolder& files, const std::string& split,
               std::int64_t kept_faults, FaultLog& faults) {
  DataReport report(false, kept_faults);
  const std::vector<std::string> stems = voc_split(files, {.split = split}, report);
  take_report(report, faults, true, [&](Fault fault) { faults.add(std::move(fault)); });
  const std::set<std::string> own(stems.begin(), stems.end());
  for (OpenedFolder::Photo& photo : opened.photos)
    if (own.count(photo.entry->annotation.stem().string()))
      photo.splits.insert(opened.splits.size());
  opened.splits.push_back(split);
}

}  // namespace

OpenedFolder open_all_splits(const fs::path& folder, std::int64_t kept_faults, FaultLog& faults) {
  OpenedFolder opened;
  const std::vector<std::string> splits = photo_splits(folder);
  const bool voc = is_like_voc(folder);
  opened.format = voc ? "PASCAL VOC" : "COCO";
  // A VOC folder with lists is one set of annotations, of which each list names some.
  bool lists = false;
  VocFolder files;
  if (voc && !splits.empty()) {
    const auto error = input_error([&] { files = find_voc_folder(folder, splits.front()); });
    lists = !error && !files.split_is_folder;  // an error is said again when the split is opened
  }
  const bool whole = lists || splits.empty();
  std::string first_error;
  const auto is_read = [&](const std::string& split, const auto& read) {
    const auto error = input_error(read);
    if (!error) return true;
    if (first_error.empty()) first_error = *error;
    faults.add(
        {.kind = FaultKind::unreadable_split, .file = folder, .object = split, .value = *error});
    return false;
  };
  for (const std::string& split : whole ? std::vector<std::string>{""} : without_repeats(splits)) {
    const std::size_t before = opened.photos.size();
    const auto open = [&] { open_part(opened, folder, split, kept_faults, faults); };
    if (!is_read(split, open) || lists) continue;
    for (std::size_t p = before; p < opened.photos.size(); ++p)
      opened.photos[p].splits.insert(opened.splits.size());
    opened.splits.push_back(split);
  }
  check(!opened.parts.empty(), first_error);
  if (lists)
    for (const std::string& split : splits)
      is_read(split, [&] { take_list(opened, files, split, kept_faults, faults); });

  for (OpenedFolder::Part& part : opened.parts)
    for (const std::string& name : part.photos->class_names()) {
      const auto known = std::ranges::find(opened.classes, name);
      part.labels.push_back(known - opened.classes.begin() + 1);
      if (known == opened.classes.end()) opened.classes.push_back(name);
    }
  return opened;
}

}  // namespace boxgrad::detection
