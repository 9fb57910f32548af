#include "detection/doctor/checkup_page.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/charts.h"
#include "core/check.h"
#include "core/printable.h"
#include "core/report.h"
#include "detection/doctor/checkup_text.h"
#include "detection/doctor/fault_picture.h"

namespace boxgrad::detection {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPlacesShown = 50, kPicturesShown = 6, kClassesShown = 200;
constexpr std::size_t kPointsShown = 2000;
constexpr int kBins = 30;

void add_pictures(Report& page, const Checkup& checkup, FaultKind kind, const fs::path& out) {
  std::vector<Picture> pictures;
  for (const Fault& fault : checkup.faults.of(kind)) {
    if (pictures.size() == kPicturesShown) break;
    if (fault.image.empty()) continue;
    const std::string path =
        concat("images/", fault_text(kind).name, "_", pictures.size() + 1, ".png");
    try {
      const Image image = fault_picture(fault);
      fs::create_directories(out / "images");
      image.write_png(out / path);
    } catch (const std::invalid_argument&) {
      continue;  // what cannot be read is a fault of its own
    }
    pictures.push_back({path, concat(shown_path(checkup, fault.image),
                                     fault.object.empty() ? "" : ", ", fault.object)});
  }
  if (!pictures.empty()) page.pictures(pictures);
}

void add_faults(Report& page, const Checkup& checkup, const fs::path& out) {
  for (const FaultKind kind : checkup.faults.kinds()) {
    const FaultText& text = fault_text(kind);
    const std::int64_t count = checkup.faults.count(kind);
    page.section(concat(count, " x ", text.title, text.note ? " (worth a look)" : ""));
    page.list({concat("What must hold: ", text.rule, "."), concat("For now: ", text.done, "."),
               concat("The safe fix: ", text.fix, ".")});
    std::vector<std::vector<std::string>> rows;
    for (const Fault& fault : checkup.faults.of(kind)) {
      if (rows.size() == kPlacesShown) break;
      Fault value = fault;
      value.object = "";
      const std::string file = fault.file.empty() ? "" : shown_path(checkup, fault.file);
      std::string told = place_of(checkup, value);
      if (told == file)
        told = "";
      else if (!file.empty() && told.starts_with(file + ": "))
        told.erase(0, file.size() + 2);
      rows.push_back({file, fault.object, told});
    }
    const auto shown = static_cast<std::int64_t>(rows.size());
    page.table({"file", "object", "value"}, rows,
               count > shown ? concat("The first ", shown, " of ", count, ".") : std::string());
    add_pictures(page, checkup, kind, out);
  }
}

void add_classes(Report& page, const Checkup& checkup) {
  page.section("Classes and splits");
  const auto rows = class_rows(checkup, kClassesShown);
  page.table(rows.front(), {rows.begin() + 1, rows.end()});
  std::vector<std::string> names;
  std::vector<double> boxes;
  for (std::size_t c = 0; c < std::min<std::size_t>(checkup.classes.size(), 40); ++c) {
    names.push_back(printable(checkup.classes[c]));
    boxes.push_back(static_cast<double>(checkup.class_boxes[c]));
  }
  if (!names.empty()) page.svg(bar_chart(names, {{"boxes", boxes}}), "Boxes of each class.");
}

void add_sizes(Report& page, const Checkup& checkup) {
  page.section("Sizes and proportions");
  std::vector<double> log_aspect;
  for (const double aspect : checkup.box_aspect) log_aspect.push_back(std::log2(aspect));
  page.svg(
      histogram(checkup.box_side, kBins,
                {.x_label = concat("sqrt(width height) of a box in px, the photo's longer side ",
                                   checkup.longer_px),
                 .y_label = "boxes"}),
      "How large objects are for a network. What is smaller than about 8 px is hard to learn.");
  page.svg(histogram(log_aspect, kBins,
                     {.x_label = "log2(width / height) of a box", .y_label = "boxes"}),
           "0 is a square, 1 twice as wide as high, -1 twice as high as wide.");
  page.svg(histogram(checkup.photo_boxes, kBins,
                     {.x_label = "boxes of a picture", .y_label = "pictures"}));
  std::set<std::pair<double, double>> sizes;  // most photos of a camera have one and the same
  for (std::size_t i = 0; i < checkup.photo_width.size() && sizes.size() < kPointsShown; ++i)
    sizes.emplace(checkup.photo_width[i], checkup.photo_height[i]);
  Series photos;
  for (const auto& [width, height] : sizes) {
    photos.x.push_back(width);
    photos.y.push_back(height);
  }
  page.svg(
      scatter_chart({photos},
                    {.x_label = "width of a picture, px", .y_label = "height, px", .height = 300}),
      "The pictures' own sizes.");
}

void add_anchors(Report& page, const Checkup& checkup) {
  page.section("Anchors");
  page.paragraph(
      "How many boxes have an anchor with an IoU of at least 0.5, all maps of the detector laid "
      "over the photo. The others get their best anchor alone, and from far away. Anchors of "
      "`boxgrad train` are fitted to the photos; those of papers are as published.");
  const auto rows = anchor_rows(checkup);
  page.table(rows.front(), {rows.begin() + 1, rows.end()});
  std::vector<std::string> names;
  std::vector<double> matched;
  std::vector<AnchorRecall> all = checkup.anchors;
  all.push_back(checkup.suggested);
  for (const AnchorRecall& recall : all) {
    names.push_back(recall.preset.name);
    matched.push_back(recall.boxes == 0 ? 0
                                        : std::round(1000. * static_cast<double>(recall.matched) /
                                                     static_cast<double>(recall.boxes)) /
                                              10);
  }
  page.svg(bar_chart(names, {{"% matched", matched}}, {.x_min = 0, .x_max = 100}));

  page.section("Suggested sizes");
  Series curve{.name = "mean IoU of a box with the best size", .markers = true};
  for (const AnchorClusters& clusters : checkup.clusters) {
    curve.x.push_back(static_cast<double>(&clusters - checkup.clusters.data() + 1));
    curve.y.push_back(clusters.mean_iou);
  }
  page.svg(line_chart({curve}, {.x_label = "sizes of anchors", .y_max = 1, .height = 260}),
           "What one more size gains: k-means with the distance 1 - IoU, as in YOLO9000.");
  Series boxes{.name = "boxes"}, sizes{.name = "suggested"};
  const std::size_t step = checkup.box_sizes.size() / kPointsShown + 1;
  for (std::size_t i = 0; i < checkup.box_sizes.size(); i += step) {
    boxes.x.push_back(checkup.box_sizes[i].width);
    boxes.y.push_back(checkup.box_sizes[i].height);
  }
  std::vector<std::vector<std::string>> cells;
  for (const BoxSize& size : checkup.clusters.back().sizes) {
    sizes.x.push_back(size.width);
    sizes.y.push_back(size.height);
    cells.push_back({fixed(size.width, 1), fixed(size.height, 1)});
  }
  page.svg(scatter_chart({boxes, sizes}, {.x_label = "width, px", .y_label = "height, px"}),
           concat("Boxes where the longer side is ", checkup.longer_px, " px."));
  page.table({"width, px", "height, px"}, cells);
}

}  // namespace

void write_checkup_page(const Checkup& checkup, const fs::path& out) {
  Report page("What is in these photos, and what is wrong",
              concat(checkup.format, ", ", printable(checkup.folder.filename().string())));
  page.numbers({{"images", std::to_string(checkup.images)},
                {"boxes", std::to_string(checkup.boxes)},
                {"classes", std::to_string(checkup.classes.size())},
                {"faults", std::to_string(checkup.faults.faults())},
                {"worth a look", std::to_string(checkup.faults.notes())}});
  add_faults(page, checkup, out);
  add_classes(page, checkup);
  if (!checkup.box_side.empty()) add_sizes(page, checkup);
  if (!checkup.clusters.empty()) add_anchors(page, checkup);
  std::error_code ignored;  // writing says why it cannot
  fs::create_directories(out, ignored);
  page.write(out / "index.html");
}

}  // namespace boxgrad::detection
