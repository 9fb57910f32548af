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

/// What a detector says of photos that it learned from.
struct LearnedFigures {
  std::int64_t photos = 0;
  std::optional<double> ap50 = {};  ///< empty: nothing is asked for on them
};

/// An evaluation with its errors taken apart.
struct Explained {
  Explanation errors;
  std::vector<ZeroFinding> zero;               ///< why AP is 0; empty when it is not
  std::optional<LearnedFigures> learned = {};  ///< where these photos are at hand

  /// "AP50 is nearly 0: not one answer for 72 photos; a lower score threshold, ..."
  std::string zero_line(const ZeroFinding& finding) const;
  /// What the two AP50 say together: below .1 on photos that it learned from, nothing was learned;
  /// .2 more on them than here, much of it was learned by heart. "" without `learned`.
  std::string learned_line() const;
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

/// For the terminal: why AP is 0, AP on photos that it learned from, the causes with what each costs, a line per class with its false
/// positives by cause and its misses, and what the classes are taken for.
std::vector<std::string> explained_lines(const Explained& explained,
                                         const std::vector<std::string>& class_names);

/// {"causes": {"localisation": {"count": .., "among_best": .., "mended_ap50": ..}, ...},
///  "false_positives": .., "misses": .., "unseen": .., "zero": [{"found": .., "remedy": ..}],
///  "learned": {"photos": .., "AP50": ..}}, the last where it is known
std::string explained_json(const Explained& explained);

/// The same as sections of a page, with the worst cases as pictures: of each cause, and of the
/// misses, up to six. Files go to `folder`/images/explain_*.png.
void add_explained_sections(Report& report, const Explained& explained, const Answers& answers,
                            const Dataset& dataset, const std::vector<std::string>& class_names,
                            const std::filesystem::path& folder);

}  // namespace boxgrad::detection
