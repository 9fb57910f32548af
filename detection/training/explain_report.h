#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/report.h"
#include "detection/data/dataset.h"
#include "detection/explain.h"
#include "detection/explain_zero.h"
#include "detection/training/evaluate.h"

/// What `boxgrad eval --explain` says and shows.
namespace boxgrad::detection {

/// An evaluation with its errors taken apart.
struct Explained {
  Explanation errors;
  std::vector<ZeroFinding> zero;  ///< why AP is 0; empty when it is not

  /// "AP50 is nearly 0: not one answer for 72 photos; a lower score threshold, ..."
  std::string zero_line(const ZeroFinding& finding) const;
};

/// What helps to find out why AP is 0.
struct ExplainContext {
  /// What the folder itself calls its classes; empty if that is not known.
  std::vector<std::string> data_class_names = {};
  /// From which score on answers count, and how to get those with lower scores, for some of the
  /// first images. Asked for only when there is not one answer; may be empty.
  double score_threshold = 0;
  std::function<Answers()> all_answers = {};
};

/// Of `answers` by a network of `class_names` on `dataset`, whose images are read for their sizes
/// only when AP is nearly 0.
Explained explain(const Answers& answers, const Dataset& dataset,
                  const std::vector<std::string>& class_names, const ExplainContext& more = {});

/// For the terminal: why AP is 0, the causes with what each costs, a line per class with its false
/// positives by cause and its misses, and what the classes are taken for.
std::vector<std::string> explained_lines(const Explained& explained,
                                         const std::vector<std::string>& class_names);

/// {"causes": {"localisation": {"count": .., "among_best": .., "mended_ap50": ..}, ...},
///  "false_positives": .., "misses": .., "unseen": .., "zero": [{"found": .., "remedy": ..}]}
std::string explained_json(const Explained& explained);

/// The same as sections of a page, with the worst cases as pictures: of each cause, and of the
/// misses, up to six. Files go to `folder`/images/explain_*.png.
void add_explained_sections(Report& report, const Explained& explained, const Answers& answers,
                            const Dataset& dataset, const std::vector<std::string>& class_names,
                            const std::filesystem::path& folder);

}  // namespace boxgrad::detection
