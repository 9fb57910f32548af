#include "detection/doctor/checkup_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/check.h"
#include "core/printable.h"

namespace boxgrad::detection {

namespace {

constexpr std::size_t kMostClasses = 40;

std::string percent(std::int64_t part, std::int64_t all) {
  return all == 0 ? "-" : fixed(100. * static_cast<double>(part) / static_cast<double>(all), 1);
}

std::string size_text(const BoxSize& size) {
  return concat(std::lround(size.width), " x ", std::lround(size.height));
}

std::string fault_lines(const Checkup& checkup, FaultKind kind, int places) {
  const FaultText& text = fault_text(kind);
  std::string lines = concat("\n", checkup.faults.count(kind), " x ", text.title, "\n");
  int shown = 0;
  for (const Fault& fault : checkup.faults.of(kind)) {
    if (shown == places) break;
    lines += concat("    ", place_of(checkup, fault), "\n");
    ++shown;
  }
  if (checkup.faults.count(kind) > shown)
    lines += concat("    and ", checkup.faults.count(kind) - shown, " more\n");
  return lines +
         concat("  rule: ", text.rule, "\n  now:  ", text.done, "\n  fix:  ", text.fix, "\n");
}

std::string quantiles(const std::vector<double>& values, int digits) {
  return concat(fixed(quantile_of(values, .05), digits), " / ",
                fixed(quantile_of(values, .5), digits), " / ",
                fixed(quantile_of(values, .95), digits));
}

std::string figures(const Checkup& checkup) {
  if (checkup.box_side.empty()) return "";
  std::string text =
      concat("\nSizes (5 % / 50 % / 95 %)\n  pictures, width x height  ",
             quantiles(checkup.photo_width, 0), "  x  ", quantiles(checkup.photo_height, 0),
             "\n  boxes of a picture        ", quantiles(checkup.photo_boxes, 0),
             "\n  sqrt(width height) of a box where the longer side is ", checkup.longer_px,
             " px  ", quantiles(checkup.box_side, 1), "\n  width / height of a box   ",
             quantiles(checkup.box_aspect, 2), "\n");
  if (checkup.clusters.empty()) return text;
  text += "\nAnchors: boxes that have one with IoU >= 0.5, and the mean IoU of the best one\n" +
          text_table(anchor_rows(checkup));
  const AnchorClusters& last = checkup.clusters.back();
  text += concat("\nSuggested sizes (k-means on IoU, longer side ", checkup.longer_px, " px):");
  for (const BoxSize& size : last.sizes) text += concat("  ", size_text(size));
  return text + concat("\n  mean IoU of sizes alone ", fixed(last.mean_iou, 3),
                       ", at least 0.5 for ", fixed(100 * last.matched, 1), " % of the boxes\n");
}

}  // namespace

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

double quantile_of(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

std::string shown_path(const Checkup& checkup, const std::filesystem::path& path) {
  const auto& folder = checkup.folder;
  std::error_code ignored;
  const auto base = std::filesystem::is_directory(folder, ignored) ? folder : folder.parent_path();
  const auto relative = path.lexically_relative(base);
  const bool inside = !relative.empty() && *relative.begin() != "..";
  return printable_whole((inside ? relative : path).string());
}

std::string place_of(const Checkup& checkup, const Fault& fault) {
  std::string text = fault.file.empty() ? "" : shown_path(checkup, fault.file);
  if (!fault.object.empty()) text += concat(text.empty() ? "" : ", ", fault.object);
  // A reader's message may begin with the file's name, which is there already.
  const std::string name = fault.file.filename().string();
  std::string value = fault.value;
  for (const std::string& start : {concat("\"", name, "\": "), name + ": ", name + ":"})
    if (!name.empty() && value.starts_with(start)) {
      value.erase(0, start.size());
      break;
    }
  if (value == name || value.empty()) return text;
  return printable_whole(text.empty() ? value : concat(text, ": ", value));
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const auto& row : rows) {
    text += "  ";
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string space(widths[c] - row[c].size(), ' ');
      text += c == 0 ? row[c] + space : "  " + space + row[c];
    }
    text += "\n";
  }
  return text;
}

std::vector<std::vector<std::string>> class_rows(const Checkup& checkup, std::size_t most_classes) {
  const bool named = !checkup.splits.empty() && !checkup.splits.front().name.empty();
  std::vector<std::vector<std::string>> rows{{"", "all"},
                                             {"images", std::to_string(checkup.images)},
                                             {"boxes", std::to_string(checkup.boxes)}};
  for (const Checkup::Split& split : checkup.splits) {
    if (!named) continue;
    rows[0].push_back(printable(split.name));
    rows[1].push_back(std::to_string(split.images));
    rows[2].push_back(std::to_string(split.boxes));
  }
  for (std::size_t c = 0; c < checkup.classes.size() && c < most_classes; ++c) {
    rows.push_back({printable(checkup.classes[c]), std::to_string(checkup.class_boxes[c])});
    for (const Checkup::Split& split : checkup.splits)
      if (named) rows.back().push_back(std::to_string(split.class_boxes[c]));
  }
  return rows;
}

std::vector<std::vector<std::string>> anchor_rows(const Checkup& checkup) {
  std::vector<std::vector<std::string>> rows{{"anchors of", "of a cell", "matched %", "mean IoU"}};
  const std::size_t classes = std::min<std::size_t>(checkup.classes.size(), 6);
  for (std::size_t c = 0; c < classes; ++c) rows[0].push_back(printable(checkup.classes[c]) + " %");
  std::vector<AnchorRecall> all = checkup.anchors;
  if (!checkup.clusters.empty()) all.push_back(checkup.suggested);
  for (const AnchorRecall& recall : all) {
    std::string sizes;
    for (const AnchorLevel& level : recall.preset.levels)
      sizes += concat(sizes.empty() ? "" : "+", level.sizes.size());
    rows.push_back({recall.preset.name, sizes, percent(recall.matched, recall.boxes),
                    fixed(recall.mean_iou, 3)});
    for (std::size_t c = 0; c < classes; ++c)
      rows.back().push_back(percent(recall.class_matched[c], recall.class_boxes[c]));
  }
  return rows;
}

std::string checkup_text(const Checkup& checkup, int places_of_a_kind) {
  std::string text = concat(checkup.format, " in ", checkup.folder.string(), ": ", checkup.images,
                            " images, ", checkup.boxes, " boxes of ", checkup.classes.size(),
                            " classes; ", checkup.empty_images, " images without boxes\n\n");
  text += text_table(class_rows(checkup, kMostClasses));
  if (checkup.classes.size() > kMostClasses)
    text += concat("  and ", checkup.classes.size() - kMostClasses, " more classes\n");
  bool notes = false;
  text += concat(
      "\n",
      checkup.faults.faults() == 0
          ? "No faults"
          : concat(checkup.faults.faults(), checkup.faults.faults() == 1 ? " fault" : " faults"),
      ".\n");
  for (const FaultKind kind : checkup.faults.kinds()) {
    if (fault_text(kind).note && !notes) {
      notes = true;
      text += concat("\nWorth a look (may be meant so):\n");
    }
    text += fault_lines(checkup, kind, places_of_a_kind);
  }
  return text + figures(checkup);
}

}  // namespace boxgrad::detection
