#include "detection/doctor/fault.h"

#include <algorithm>

namespace boxgrad::detection {

namespace {

// In the order of FaultKind.
constexpr std::array<FaultText, static_cast<std::size_t>(FaultKind::count_)> kTexts{{
    {"unreadable_split", "split that cannot be read", "a split has annotations and pictures",
     "the split does not exist for training and evaluation", "see the reason given"},
    {"bad_annotation", "unreadable annotation",
     "an annotation is XML, or a record of JSON, as "
     "VOC or COCO define it",
     "its picture is left out", "write the annotation again from the tool it came from"},
    {"bad_image", "unreadable picture", "a picture is a whole JPEG, PNG or BMP",
     "it is left out, with its boxes",
     "copy it again from where it came; another format: convert it to PNG or JPEG"},
    {"wrong_extension", "picture in another format than its name says",
     "a file ends in what its content is", "the content is believed",
     "rename it, and what refers to it; other programs may refuse it", true},
    {"missing_image", "annotation without picture", "every annotation has its picture",
     "the annotation is left out", "bring the picture back, or move the annotation out of the set"},
    {"missing_annotation", "name in a list without annotation",
     "every name in a list has an annotation", "the name is passed over",
     "annotate the picture, or take the name off the list"},
    {"orphan_image", "picture without annotation",
     "every picture has an annotation, which is empty where nothing is to be seen",
     "the picture is left out, also as an example of nothing",
     "annotate it; if it shows nothing, give it an annotation without objects"},
    {"in_no_split", "picture in no list", "every picture belongs to a split",
     "it is neither trained on nor measured", "add its name to a list", true},
    {"bad_name", "name that is no plain file name", "lists hold names without folders",
     "the name is passed over", "leave only the name, without folder"},
    {"listed_twice", "name or id given twice", "a name or id is there once", "it is taken once",
     "remove the second; two pictures with one id: give one of them another"},
    {"second_annotation", "second annotation of a picture",
     "all boxes of a picture are in one annotation, or in one record's",
     "the first is taken, and the second left out with its boxes",
     "move its boxes to the first, and delete it"},
    {"size_differs", "size that is not the picture's",
     "the annotation's width and height are the picture's",
     "the picture is believed, upright as its EXIF tag says",
     "if the boxes fit the picture (look below), correct the size; if it was resized or turned "
     "after annotation, do the same to the boxes"},
    {"bad_object", "object without name or box", "an object has a name and four finite numbers",
     "the object is left out", "complete the object, or delete it"},
    {"no_area", "box without area", "xmax > xmin and ymax > ymin; width and height > 0",
     "the object is left out: its logarithm would be infinite", "draw the box again, or delete it"},
    {"reversed", "box with exchanged corners", "xmin < xmax and ymin < ymax",
     "the object is left out: which of its numbers are wrong cannot be known",
     "exchange the corners if the box then fits the object (look below)"},
    {"outside", "box wholly outside its picture", "a box overlaps its picture",
     "the object is left out", "see whether it belongs to another picture; draw it again"},
    {"partly_outside", "box that leaves its picture by more than a pixel",
     "a box lies inside its picture", "it is clipped to the picture",
     "clip it, if it is the object that leaves; if all boxes of a picture are off, it was resized "
     "after annotation"},
    {"slightly_outside", "box up to a pixel outside", "a box lies inside its picture",
     "it is clipped to the picture",
     "nothing need be done: mostly 0-based numbers in a 1-based file", true},
    {"tiny_box", "box too small to learn from",
     "the shorter side is at least 2 px as the network sees it", "it is trained on and measured",
     "train at a higher resolution, cut pictures into tiles, or mark it difficult", true},
    {"duplicate_box", "object annotated twice",
     "two boxes of one class on one picture have IoU < 0.9",
     "both are kept: the second can never be found, which costs recall", "delete one of the two"},
    {"two_classes", "object of two classes",
     "two boxes of different classes on one picture have IoU < 0.9", "both are kept",
     "delete the wrong one; if an object can be both, nothing", true},
    {"similar_case", "class names that differ in case or spaces only",
     "a class has one name, letter by letter", "they are different classes",
     "write the rarer one like the other"},
    {"similar_spelling", "class names that look alike", "names of different classes differ clearly",
     "they are different classes", "if it is a slip, write the rarer one like the other", true},
    {"unknown_class", "object of a class that is not declared",
     "an object's class is one of the file's categories", "the object is left out",
     "add the category, or correct the object's"},
    {"empty_class", "class without any box", "a declared class has boxes",
     "the network has an output for it that learns only to be silent",
     "delete the category, or annotate some", true},
    {"untrained_class", "class without box in the training split",
     "a class that is measured is trained, too", "its AP is 0",
     "move some of its pictures to the training split"},
    {"leak", "the same picture in two splits", "no picture is trained on and measured on",
     "both are kept: figures of the second split are too good",
     "take it off the training split, with all its copies"},
    {"copy", "the same picture twice", "a picture is in the set once",
     "both are kept, it counts twice; without lists of its own a set may be cut between them",
     "keep the one that is annotated better, and move the other out of the set"},
}};

FaultKind kind_of(const DataIssue& issue) {
  switch (issue.problem) {
    case DataProblem::bad_annotation:
      return FaultKind::bad_annotation;
    case DataProblem::missing_annotation:
      return issue.image.empty() ? FaultKind::missing_annotation : FaultKind::orphan_image;
    case DataProblem::missing_image:
      return FaultKind::missing_image;
    case DataProblem::bad_image:
      return FaultKind::bad_image;
    case DataProblem::bad_name:
      return FaultKind::bad_name;
    case DataProblem::duplicate:
      return FaultKind::listed_twice;
    case DataProblem::second_annotation:
      return FaultKind::second_annotation;
    case DataProblem::size_differs:
      return FaultKind::size_differs;
    case DataProblem::bad_object:
      return FaultKind::bad_object;
    case DataProblem::no_area:
      return FaultKind::no_area;
    case DataProblem::reversed:
      return FaultKind::reversed;
    case DataProblem::slightly_outside:
      return FaultKind::slightly_outside;
    case DataProblem::partly_outside:
      return FaultKind::partly_outside;
    case DataProblem::outside:
      return FaultKind::outside;
    case DataProblem::unknown_class:
      return FaultKind::unknown_class;
    case DataProblem::similar_names:
      return FaultKind::similar_case;
    case DataProblem::count_:
      break;
  }
  return FaultKind::count_;
}

}  // namespace

const FaultText& fault_text(FaultKind kind) { return kTexts.at(static_cast<std::size_t>(kind)); }

void FaultLog::add(Fault fault) {
  const auto kind = static_cast<std::size_t>(fault.kind);
  if (++counts_.at(kind) <= kept_per_kind_) faults_[kind].push_back(std::move(fault));
}

std::vector<FaultKind> FaultLog::kinds() const {
  std::vector<FaultKind> kinds;
  for (const bool note : {false, true})
    for (std::size_t k = 0; k < kKinds; ++k)
      if (counts_[k] > 0 && kTexts[k].note == note) kinds.push_back(static_cast<FaultKind>(k));
  return kinds;
}

std::int64_t FaultLog::faults() const {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < kKinds; ++k) sum += kTexts[k].note ? 0 : counts_[k];
  return sum;
}

std::int64_t FaultLog::notes() const {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < kKinds; ++k) sum += kTexts[k].note ? counts_[k] : 0;
  return sum;
}

Fault fault_of(const DataIssue& issue) {
  Fault fault{.kind = kind_of(issue),
              .file = issue.file,
              .object = "",
              .value = issue.what.empty() ? issue.where : issue.what,
              .image = issue.image};
  if (issue.box) fault.boxes.push_back(*issue.box);
  // "a.xml:57" is a line, "a.json: annotation 12" names the object; the file's name goes.
  const std::string name = issue.file.filename().string();
  if (!name.empty() && !issue.what.empty() && issue.where.starts_with(name)) {
    std::string place = issue.where.substr(name.size());
    place.erase(0, std::min(place.find_first_not_of(": "), place.size()));
    const bool line = !place.empty() && place.find_first_not_of("0123456789") == std::string::npos;
    fault.object = line ? "line " + place : place;
  }
  return fault;
}

}  // namespace boxgrad::detection
