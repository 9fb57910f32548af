#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boxgrad::detection {

/// What can be wrong with one file or one object of an annotated folder.
enum class DataProblem {
  bad_annotation,      ///< not XML, no <annotation>, too large: the image is skipped
  missing_annotation,  ///< an image, or a name in a list, without one: skipped
  missing_image,       ///< an annotation without image: skipped
  bad_image,           ///< no picture that we read, damaged in its structure, or cut: skipped
  bad_name,            ///< in a list: not a plain file name; skipped
  duplicate,           ///< named twice in a list; taken once
  second_annotation,   ///< of a picture that another file or record annotates: skipped
  size_differs,        ///< <size> is not the picture's; the picture is believed
  bad_object,          ///< no name, no box or no numbers: skipped
  no_area,             ///< no width or no height in the file's own numbers: skipped
  reversed,            ///< xmax < xmin, ymax < ymin or a negative width or height: skipped
  slightly_outside,    ///< by at most a pixel: clipped
  partly_outside,      ///< by more: clipped
  outside,             ///< nothing is left inside: skipped
  unknown_class,       ///< not among the classes that were given: skipped
  similar_names,       ///< class names that differ in case only: kept apart
  count_               // how many there are
};

struct DataIssue {
  DataProblem problem;
  std::string where;  ///< "BloodImage_00338.xml:57"
  std::string what;   ///< with the values that were found
  // As far as they are known, for who shows the place:
  std::filesystem::path file = {};   ///< annotation, list or picture at fault
  std::filesystem::path image = {};  ///< the picture that it is about
  /// [x1, y1, x2, y2] in continuous pixels of that picture, as the file has it: not clipped.
  std::optional<std::array<double, 4>> box = {};
};

/// What a reader skipped, changed or doubted, for people to look at: nothing is dropped in silence.
class DataReport {
 public:
  /// Where `strict`, the first issue throws std::invalid_argument instead.
  /// kept_per_kind: how many issues of each kind issues() remembers.
  explicit DataReport(bool strict = false, std::int64_t kept_per_kind = 100)
      : strict_(strict), kept_per_kind_(kept_per_kind) {}

  void add(DataIssue issue);
  std::int64_t count(DataProblem problem) const;
  std::int64_t total() const;
  /// The issues in the order met; of each kind the first kept_per_kind.
  const std::vector<DataIssue>& issues() const { return issues_; }

  /// One line for each kind of problem that was met: how often, what became of it, three examples.
  std::vector<std::string> summary() const;

 private:
  bool strict_;
  std::int64_t kept_per_kind_;
  std::array<std::int64_t, static_cast<std::size_t>(DataProblem::count_)> counts_{};
  std::vector<DataIssue> issues_;
};

}  // namespace boxgrad::detection
