#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "detection/data/data_report.h"

namespace boxgrad::detection {

/// What can be wrong with a folder of annotated photos, or worth a look.
enum class FaultKind {
  unreadable_split,
  bad_annotation,
  bad_image,
  wrong_extension,
  missing_image,
  missing_annotation,
  orphan_image,
  in_no_split,
  bad_name,
  listed_twice,
  second_annotation,
  size_differs,
  bad_object,
  no_area,
  reversed,
  outside,
  partly_outside,
  slightly_outside,
  tiny_box,
  duplicate_box,
  two_classes,
  similar_case,
  similar_spelling,
  unknown_class,
  empty_class,
  untrained_class,
  leak,
  copy,
  count_  // how many there are
};

/// What there is to say about every fault of a kind.
struct FaultText {
  const char* name = "";   ///< "no_area", for programs
  const char* title = "";  ///< "box without area"
  const char* rule = "";   ///< what must hold
  const char* done = "";   ///< what boxgrad does as long as it does not
  const char* fix = "";    ///< what to do about it: nothing that could lose a good annotation
  bool note = false;       ///< may be meant as it is: worth a look, no fault
};
const FaultText& fault_text(FaultKind kind);

/// One fault with its place.
struct Fault {
  FaultKind kind = FaultKind::count_;
  std::filesystem::path file = {};  ///< annotation, list or picture; empty when it is no file's
  std::string object = {};          ///< in that file: "line 57", "annotation 12"; "" for all of it
  std::string value = {};           ///< what was found, in the file's own numbers
  std::filesystem::path image = {}, other_image = {};  ///< pictures that show it
  std::vector<std::array<double, 4>> boxes = {};       ///< to draw on `image`; not clipped
};

/// Faults, all counted, of each kind the first `kept_per_kind` remembered: memory stays bounded
/// however broken a folder is.
class FaultLog {
 public:
  explicit FaultLog(std::int64_t kept_per_kind = 10000) : kept_per_kind_(kept_per_kind) {}

  void add(Fault fault);
  /// Faults that nothing more is known of.
  void count_more(FaultKind kind, std::int64_t count) {
    counts_.at(static_cast<std::size_t>(kind)) += count;
  }
  std::int64_t count(FaultKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  const std::vector<Fault>& of(FaultKind kind) const {
    return faults_[static_cast<std::size_t>(kind)];
  }
  /// The kinds that were met, faults before notes.
  std::vector<FaultKind> kinds() const;
  std::int64_t faults() const;  ///< all that are no notes
  std::int64_t notes() const;

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(FaultKind::count_);
  std::int64_t kept_per_kind_;
  std::array<std::int64_t, kKinds> counts_{};
  std::array<std::vector<Fault>, kKinds> faults_{};
};

/// An issue of a reader as a fault: its place apart from its value.
Fault fault_of(const DataIssue& issue);

}  // namespace boxgrad::detection
