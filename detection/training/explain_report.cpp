#include "detection/training/explain_report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include "core/check.h"
#include "core/draw.h"
#include "core/image.h"
#include "core/json_fields.h"
#include "core/printable.h"
#include "core/resize.h"
#include "core/svg.h"
#include "detection/draw.h"

namespace boxgrad::detection {

namespace {

constexpr std::size_t kWorst = 6;                        // pictures of each kind
constexpr int kSide = 240;                               // of a picture, px
constexpr double kNothingLearned = 0.1, kByHeart = 0.2;  // AP50, and its lead over other photos

/// False positives by class and cause, and misses: counts for a table.
struct ClassErrors {
  std::array<std::int64_t, 5> causes = {};
  std::int64_t missed = 0, unseen = 0;
};

std::vector<ClassErrors> errors_by_class(const Explanation& errors, std::size_t classes) {
  std::vector<ClassErrors> result(classes);
  for (const FalsePositive& wrong : errors.false_positives)
    ++result[static_cast<std::size_t>(wrong.label - 1)]
          .causes[static_cast<std::size_t>(wrong.cause)];
  for (const Miss& miss : errors.misses) {
    ClassErrors& own = result[static_cast<std::size_t>(miss.label - 1)];
    ++own.missed;
    own.unseen += miss.nearest < 0;
  }
  return result;
}

const std::vector<std::string> kClassColumns{"class",     "localisation", "confusion", "both",
                                             "duplicate", "background",   "missed",    "unseen"};

std::vector<std::vector<std::string>> class_rows(const Explanation& errors,
                                                 const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> rows;
  for (const ClassErrors& own : errors_by_class(errors, names.size())) {
    rows.push_back({printable(names[rows.size()])});
    for (const std::int64_t count : own.causes) rows.back().push_back(std::to_string(count));
    rows.back().push_back(std::to_string(own.missed));
    rows.back().push_back(std::to_string(own.unseen));
  }
  return rows;
}

/// "shirt taken for coat: 12", the most frequent first.
std::vector<std::string> taken_for(const Explanation& errors, const Answers& answers,
                                   const std::vector<std::string>& names) {
  std::map<std::pair<std::int64_t, std::int64_t>, int> pairs;
  for (const FalsePositive& wrong : errors.false_positives)
    if (wrong.cause == ErrorCause::confusion)
      ++pairs[{answers.targets[static_cast<std::size_t>(wrong.image)]
                   .labels[static_cast<std::size_t>(wrong.truth)],
               wrong.label}];
  std::vector<std::pair<int, std::pair<std::int64_t, std::int64_t>>> order;
  for (const auto& [labels, count] : pairs) order.push_back({-count, labels});
  std::ranges::sort(order);
  std::vector<std::string> lines;
  for (const auto& [count, labels] : order) {
    if (lines.size() == 5) break;
    lines.push_back(
        concat(printable(names[static_cast<std::size_t>(labels.first - 1)]), " taken for ",
               printable(names[static_cast<std::size_t>(labels.second - 1)]), ": ", -count));
  }
  return lines;
}

/// The surroundings of a box, four times as large, on a square picture.
struct Closeup {
  Image picture;
  double left = 0, top = 0, scale = 1;

  Closeup(const Image& photo, const Scalar* box, const Scalar* other) {
    double x1 = double(box[0]), y1 = double(box[1]), x2 = double(box[2]), y2 = double(box[3]);
    if (other != nullptr) {
      x1 = std::min(x1, double(other[0])), y1 = std::min(y1, double(other[1]));
      x2 = std::max(x2, double(other[2])), y2 = std::max(y2, double(other[3]));
    }
    const double largest = std::max(photo.width(), photo.height());
    const double side = std::clamp(2 * std::max(x2 - x1, y2 - y1), 32., largest);
    const auto place = [side](double centre, int size) {
      const int length = std::min(size, static_cast<int>(side));
      return std::pair(std::clamp(static_cast<int>(centre - side / 2), 0, size - length), length);
    };
    const auto [x, width] = place((x1 + x2) / 2, photo.width());
    const auto [y, height] = place((y1 + y2) / 2, photo.height());
    left = x, top = y;
    scale = static_cast<double>(kSide) / std::max(width, height);
    picture = resize(crop(photo, x, y, width, height), std::max(1, int(height * scale)),
                     std::max(1, int(width * scale)));
  }

  void draw(const Scalar* box, Color color, int dash, const std::string& text) {
    const double x1 = (double(box[0]) - left) * scale, y1 = (double(box[1]) - top) * scale;
    draw_rectangle(picture, x1, y1, (double(box[2]) - left) * scale, (double(box[3]) - top) * scale,
                   color, {.thickness = 2, .dash = dash});
    // The truth's name at the lower edge, the answer's at the upper.
    draw_label(picture, 0, dash > 0 ? picture.height() : 0, printable(text), color);
  }
};

const Scalar* box_of(const Tensor& boxes, std::int64_t i) { return boxes.data().data() + 4 * i; }

Image picture_of(const FalsePositive& wrong, const Answers& answers, const Dataset& dataset,
                 const std::vector<std::string>& names) {
  const auto n = static_cast<std::size_t>(wrong.image);
  const Scalar* box = box_of(answers.detections[n].boxes, wrong.detection);
  const Target& target = answers.targets[n];
  const Scalar* truth = wrong.truth < 0 ? nullptr : box_of(target.boxes, wrong.truth);
  Closeup closeup(dataset.get(wrong.image).image, box, truth);
  if (truth != nullptr)
    closeup.draw(
        truth, kTruthColor, 6,
        names[static_cast<std::size_t>(target.labels[static_cast<std::size_t>(wrong.truth)] - 1)]);
  closeup.draw(box, kNegativeColor, 0,
               concat(names[static_cast<std::size_t>(wrong.label - 1)], " ",
                      format_number(static_cast<double>(wrong.score), 2)));
  return closeup.picture;
}

Image picture_of(const Miss& miss, const Answers& answers, const Dataset& dataset,
                 const std::vector<std::string>& names) {
  const Target& target = answers.targets[static_cast<std::size_t>(miss.image)];
  const Scalar* truth = box_of(target.boxes, miss.truth);
  Closeup closeup(dataset.get(miss.image).image, truth, nullptr);
  closeup.draw(truth, kTruthColor, 6, names[static_cast<std::size_t>(miss.label - 1)]);
  return closeup.picture;
}

void add_sheet(Report& report, const std::vector<Image>& pictures,
               const std::filesystem::path& folder, const std::string& name,
               const std::string& caption) {
  if (pictures.empty()) return;
  std::filesystem::create_directories(folder / "images");
  const std::string path = "images/explain_" + name + ".png";
  image_grid(pictures, {}, {.columns = 3}).write_png(folder / path);
  report.picture({path, caption});
}

}  // namespace

Explained explain(const Answers& answers, const Dataset& dataset,
                  const std::vector<std::string>& class_names, const ExplainContext& more) {
  Explained result{.errors = explain_errors(answers.detections, answers.targets,
                                            static_cast<std::int64_t>(class_names.size())),
                   .zero = {}};
  ZeroContext context{.class_names = class_names,
                      .data_class_names = more.data_class_names,
                      .score_threshold = more.score_threshold};
  if (result.errors.evaluation.mean_ap.value_or(0) >= context.nearly_zero) return result;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const Image image = dataset.get(i).image;
    context.sizes.push_back(
        {static_cast<double>(image.width()), static_cast<double>(image.height())});
  }
  result.zero = why_ap_is_zero(answers.detections, answers.targets, context);
  if (!result.zero.empty() && result.zero[0].reason == ZeroReason::no_answers && more.all_answers) {
    const Answers all = more.all_answers();
    context.sizes.resize(all.targets.size());
    // Truths may all be on later images.
    const auto found = why_ap_is_zero(all.detections, all.targets, context);
    if (!found.empty() && found[0].reason == ZeroReason::below_threshold) result.zero = found;
  }
  return result;
}

/// An AP that is about nothing is not 0.
std::string Explained::zero_line(const ZeroFinding& finding) const {
  return concat(errors.evaluation.mean_ap ? "AP50 is nearly 0: " : "AP50 is n/a: ", finding.found,
                "; ", finding.remedy);
}

std::string Explained::learned_line() const {
  if (!learned) return {};
  const std::optional<double>& here = errors.evaluation.mean_ap;
  const auto text = [](const std::optional<double>& ap50) {
    return ap50 ? format_number(*ap50, 3) : std::string("n/a");
  };
  const std::string figures =
      concat("on the first ", learned->photos, " photos it learned from AP50 is ",
             text(learned->ap50), ", here ", text(here), ": ");
  if (!learned->ap50) return figures + "nothing is annotated on those";
  if (*learned->ap50 < kNothingLearned)
    return figures +
           "it has not learned even those; longer training, and what boxgrad doctor says of them";
  if (!zero.empty() || !here)
    return figures + "it has learned; look for the fault in what differs between the two";
  if (*learned->ap50 - *here >= kByHeart)
    return figures +
           "much of that it knows by heart; more photos, or --augmentation ssd, or fewer steps";
  return figures + "what it learned carries over";
}

std::vector<std::string> explained_lines(const Explained& explained,
                                         const std::vector<std::string>& class_names) {
  std::vector<std::string> lines;
  for (const ZeroFinding& finding : explained.zero) lines.push_back(explained.zero_line(finding));
  if (explained.learned) lines.push_back(explained.learned_line());
  for (std::string& line : explanation_lines(explained.errors)) lines.push_back(std::move(line));
  lines.push_back("");
  const auto rows = class_rows(explained.errors, class_names);
  std::size_t widest = 5;
  for (const auto& row : rows) widest = std::max(widest, row[0].size());
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line = cells[0] + std::string(widest - cells[0].size(), ' ');
    for (std::size_t c = 1; c < cells.size(); ++c)
      line += std::string(std::max<std::size_t>(14, cells[c].size() + 1) - cells[c].size(), ' ') +
              cells[c];
    lines.push_back(std::move(line));
  };
  add(kClassColumns);
  for (const auto& row : rows) add(row);
  return lines;
}

std::string explained_json(const Explained& explained) {
  const Explanation& errors = explained.errors;
  return write_json([&](JsonFields& io) {
    io.object("causes", [&](JsonFields& causes) {
      for (const ErrorCause cause : kErrorCauses)
        causes.object(to_string(cause), [&](JsonFields& own) {
          CauseFigures figures = errors.of(cause);
          own.integer("count", figures.count, 0, figures.count);
          own.integer("among_best", figures.among_best, 0, figures.among_best);
          if (figures.mended_ap) own.number("mended_ap50", *figures.mended_ap, 0, 1);
        });
    });
    auto false_positives = static_cast<std::int64_t>(errors.false_positives.size());
    auto misses = static_cast<std::int64_t>(errors.misses.size());
    std::int64_t unseen = errors.unseen;
    io.integer("false_positives", false_positives, 0, false_positives);
    io.integer("misses", misses, 0, misses);
    io.integer("unseen", unseen, 0, unseen);
    io.objects(
        "zero", explained.zero.size(), [](std::size_t) {},
        [&](JsonFields& own, std::size_t i) {
          std::string found = explained.zero[i].found, remedy = explained.zero[i].remedy;
          own.text("found", found);
          own.text("remedy", remedy);
        });
    if (explained.learned)
      io.object("learned", [&](JsonFields& own) {
        LearnedFigures learned = *explained.learned;
        own.integer("photos", learned.photos, 0, learned.photos);
        if (learned.ap50) own.number("AP50", *learned.ap50, 0, 1);
      });
  });
}

void add_explained_sections(Report& report, const Explained& explained, const Answers& answers,
                            const Dataset& dataset, const std::vector<std::string>& class_names,
                            const std::filesystem::path& folder) {
  const Explanation& errors = explained.errors;
  report.section("What is wrong");
  for (const ZeroFinding& finding : explained.zero) report.note(explained.zero_line(finding) + ".");
  if (explained.learned) report.paragraph(explained.learned_line() + ".");
  std::string table;
  for (const std::string& line : explanation_lines(errors)) table += line + "\n";
  report.preformatted(table);
  report.paragraph(
      "AP50 if one kind of error alone were mended. A detector that keeps every answer has "
      "thousands "
      "of false positives that cost nothing: the middle column counts them among the best answers "
      "of "
      "each class, as many as it has truths.");
  report.table(kClassColumns, class_rows(errors, class_names),
               "False positives by class and cause, whatever their score; truths that nothing hit, "
               "and those of them near which there is nothing at all.");
  if (const auto pairs = taken_for(errors, answers, class_names); !pairs.empty())
    report.list(pairs);

  report.section("Worst cases");
  for (const ErrorCause cause : kErrorCauses) {
    std::vector<Image> pictures;
    for (const FalsePositive& wrong : errors.false_positives)  // best score first
      if (wrong.cause == cause && pictures.size() < kWorst)
        pictures.push_back(picture_of(wrong, answers, dataset, class_names));
    add_sheet(report, pictures, folder, to_string(cause),
              concat(to_string(cause), ": ", description(cause),
                     ". Red: the answers with the best scores; dashed: the truth."));
  }
  std::vector<const Miss*> missed;
  for (const Miss& miss : errors.misses)
    if (miss.nearest < 0) missed.push_back(&miss);
  std::vector<Image> pictures;
  for (std::size_t k = 0; k < std::min(kWorst, missed.size()); ++k)  // spread over the photos
    pictures.push_back(picture_of(*missed[k * missed.size() / std::min(kWorst, missed.size())],
                                  answers, dataset, class_names));
  add_sheet(report, pictures, folder, "unseen", "Objects near which there is no answer.");
}

}  // namespace boxgrad::detection
