#include "detection/doctor/checkup.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/check.h"
#include "core/printable.h"
#include "core/progress.h"
#include "detection/data/voc_folder.h"
#include "detection/doctor/box_twins.h"
#include "detection/doctor/opened_folder.h"
#include "detection/doctor/photo_prints.h"
#include "detection/doctor/preset_anchors.h"
#include "detection/doctor/similar_names.h"

namespace boxgrad::detection {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFigures = 100000, kMostClustered = 10000;
constexpr double kTwinIou = 0.9, kTinyPx = 2;

using Photo = OpenedFolder::Photo;

bool is_measured_on(const std::string& trained, const std::string& measured) {
  return (trained == "train" && (measured == "val" || measured == "test")) ||
         ((trained == "trainval" || trained == "val") && measured == "test");
}

/// Seen by a network, too: 1e-30 of a pixel is none.
bool has_area(const PhotoEntry::Object& o) {
  return !o.crowd && o.x2 - o.x1 > 1e-3 && o.y2 - o.y1 > 1e-3;
}

/// Corners in parentheses, corner and size in brackets, as the readers write them.
std::string numbers(const std::array<double, 4>& n, bool corners) {
  return concat(corners ? "(" : "[", n[0], ", ", n[1], ", ", n[2], ", ", n[3], corners ? ")" : "]");
}

class Examiner {
 public:
  Examiner(const fs::path& folder, const CheckupOptions& options) : options_(options) {
    result_.folder = fs::weakly_canonical(folder);
    result_.faults = FaultLog(options.kept_faults);
    result_.longer_px = options.longer_px;
    opened_ = open_all_splits(result_.folder, options.kept_faults, result_.faults);
    result_.format = opened_.format;
    result_.classes = opened_.classes;
    for (const std::string& split : opened_.splits)
      result_.splits.push_back({.name = split,
                                .images = 0,
                                .boxes = 0,
                                .class_boxes = std::vector<std::int64_t>(result_.classes.size())});
  }

  Checkup run() {
    count();
    look_at_names();
    look_at_boxes();
    look_at_pictures();
    look_for_orphans();
    look_at_anchors();
    return std::move(result_);
  }

 private:
  // --- what there is ----------------------------------------------------------------------------

  void count() {
    result_.class_boxes.resize(result_.classes.size());
    for (const Photo& photo : opened_.photos) {
      const auto& objects = photo.entry->objects;
      const auto boxes = static_cast<std::int64_t>(objects.size());
      ++result_.images;
      result_.boxes += boxes;
      result_.empty_images += boxes == 0;
      for (const auto& object : objects) ++result_.class_boxes[opened_.class_of(photo, object)];
      for (const std::size_t s : photo.splits) {
        ++result_.splits[s].images;
        result_.splits[s].boxes += boxes;
        for (const auto& object : objects)
          ++result_.splits[s].class_boxes[opened_.class_of(photo, object)];
      }
      if (photo.splits.empty())
        result_.faults.add({.kind = FaultKind::in_no_split,
                            .file = photo.entry->image,
                            .value = photo.entry->image.filename().string()});
    }
    take_figures();
  }

  void take_figures() {
    const auto boxes = static_cast<std::size_t>(result_.boxes);
    const std::size_t box_step = boxes / kMostFigures + 1,
                      photo_step = opened_.photos.size() / kMostFigures + 1;
    const PhotoFit fit{.first = static_cast<double>(options_.longer_px)};
    std::size_t box = 0;
    for (std::size_t p = 0; p < opened_.photos.size(); ++p) {
      const PhotoEntry& entry = *opened_.photos[p].entry;
      if (p % photo_step == 0) {
        result_.photo_width.push_back(entry.width);
        result_.photo_height.push_back(entry.height);
        result_.photo_boxes.push_back(static_cast<double>(entry.objects.size()));
      }
      const double scale = fit.size(entry.width, entry.height)[0] / entry.width;
      for (const auto& o : entry.objects) {
        if (box++ % box_step != 0 || !has_area(o)) continue;
        const double w = (o.x2 - o.x1) * scale, h = (o.y2 - o.y1) * scale;
        result_.box_side.push_back(std::sqrt(w * h));
        result_.box_aspect.push_back(w / h);
        result_.box_sizes.push_back({static_cast<Scalar>(w), static_cast<Scalar>(h)});
      }
    }
  }

  // --- what is wrong ----------------------------------------------------------------------------

  void look_at_names() {
    const auto told = [&](std::int64_t c) {
      const auto i = static_cast<std::size_t>(c);
      const std::int64_t boxes = result_.class_boxes[i];
      return concat("\"", printable(result_.classes[i]), "\" (", boxes,
                    boxes == 1 ? " box)" : " boxes)");
    };
    for (const SimilarNames& pair : similar_names(result_.classes))
      result_.faults.add(
          {.kind = pair.same_letters ? FaultKind::similar_case : FaultKind::similar_spelling,
           .value = concat(told(pair.first), " and ", told(pair.second))});
    const auto train = std::ranges::find(result_.splits, "train", &Checkup::Split::name);
    for (std::size_t c = 0; c < result_.classes.size(); ++c) {
      if (result_.class_boxes[c] == 0)
        result_.faults.add(
            {.kind = FaultKind::empty_class, .value = printable(result_.classes[c])});
      else if (train != result_.splits.end() && train->class_boxes[c] == 0)
        result_.faults.add(
            {.kind = FaultKind::untrained_class, .value = told(static_cast<std::int64_t>(c))});
    }
  }

  Fault box_fault(FaultKind kind, const Photo& photo, std::size_t object,
                  const std::string& more) const {
    const PhotoEntry::Object& o = photo.entry->objects[object];
    const bool voc = result_.format == "PASCAL VOC";
    // In the file's own numbers.
    const std::array<double, 4> own = voc ? std::array{o.x1 + 1, o.y1 + 1, o.x2, o.y2}
                                          : std::array{o.x1, o.y1, o.x2 - o.x1, o.y2 - o.y1};
    return {.kind = kind,
            .file = photo.entry->annotation,
            .object = o.place == 0 ? concat("box ", object + 1, " of ",
                                            photo.entry->image.filename().string())
                                   : concat(voc ? "line " : "annotation ", o.place),
            .value = concat(printable(result_.classes[opened_.class_of(photo, o)]), " ",
                            numbers(own, voc), more),
            .image = photo.entry->image,
            .boxes = {{o.x1, o.y1, o.x2, o.y2}}};
  }

  void look_at_boxes() {
    const PhotoFit fit{.first = static_cast<double>(options_.longer_px)};
    for (const Photo& photo : opened_.photos) {
      const PhotoEntry& entry = *photo.entry;
      for (const BoxTwins& twins : box_twins(entry, kTwinIou)) {
        const auto &a = entry.objects[twins.first], &b = entry.objects[twins.second];
        const Fault other = box_fault(FaultKind::two_classes, photo, twins.first, "");
        Fault fault =
            box_fault(a.label == b.label ? FaultKind::duplicate_box : FaultKind::two_classes, photo,
                      twins.second,
                      concat(", IoU ", std::round(twins.iou * 100) / 100, " with ", other.object,
                             ": ", other.value));
        fault.boxes.insert(fault.boxes.begin(), other.boxes.front());
        result_.faults.add(std::move(fault));
      }
      const double scale = fit.size(entry.width, entry.height)[0] / entry.width;
      for (std::size_t k = 0; k < entry.objects.size(); ++k) {
        const auto& o = entry.objects[k];
        const double side = scale * std::min(o.x2 - o.x1, o.y2 - o.y1);
        if (side < kTinyPx && !o.crowd)
          result_.faults.add(
              box_fault(FaultKind::tiny_box, photo, k,
                        concat(", as the network sees it ", std::round(side * 10) / 10, " px")));
      }
    }
  }

  void look_at_pictures() {
    std::vector<fs::path> pictures;
    for (const Photo& photo : opened_.photos) pictures.push_back(photo.entry->image);
    const std::vector<PhotoPrint> prints = photo_prints(pictures, options_.decode);
    for (std::size_t p = 0; p < prints.size(); ++p) {
      const PhotoPrint& print = prints[p];
      if (!print.error.empty())
        result_.faults.add(
            {.kind = FaultKind::bad_image, .file = pictures[p], .value = print.error});
      else if (print.misnamed)
        result_.faults.add({.kind = FaultKind::wrong_extension,
                            .file = pictures[p],
                            .value = concat("it is a ", print.format)});
    }
    for (const auto& group : same_prints(prints))
      for (std::size_t k = 1; k < group.size(); ++k)
        add_copy(opened_.photos[static_cast<std::size_t>(group[0])],
                 opened_.photos[static_cast<std::size_t>(group[k])]);
    // One photo in two lists is a leak, too.
    for (const Photo& photo : opened_.photos)
      if (!leaks(photo, photo).empty())
        result_.faults.add({.kind = FaultKind::leak,
                            .file = photo.entry->image,
                            .value = concat("it is in ", leaks(photo, photo)),
                            .image = photo.entry->image});
  }

  /// "train and test" when one of the two is trained on and the other measured on, else "".
  std::string leaks(const Photo& a, const Photo& b) const {
    for (const std::size_t s : a.splits)
      for (const std::size_t t : b.splits) {
        const std::string &one = result_.splits[s].name, &other = result_.splits[t].name;
        if (is_measured_on(one, other)) return concat(one, " and ", other);
        if (is_measured_on(other, one)) return concat(other, " and ", one);
      }
    return "";
  }

  void add_copy(const Photo& a, const Photo& b) {
    if (a.entry->image == b.entry->image && leaks(a, b).empty()) return;
    const std::string between = leaks(a, b);
    result_.faults.add({.kind = between.empty() ? FaultKind::copy : FaultKind::leak,
                        .file = b.entry->image,
                        .value = concat("it is ", relative(a.entry->image).string(),
                                        between.empty() ? "" : concat(", in ", between)),
                        .image = b.entry->image,
                        .other_image = a.entry->image});
  }

  fs::path relative(const fs::path& path) const {
    const fs::path& root = result_.folder;
    return path.lexically_relative(fs::is_directory(root) ? root : root.parent_path());
  }

  void look_for_orphans() {
    std::set<fs::path> folders, named = opened_.unusable;
    for (const Photo& photo : opened_.photos) {
      named.insert(photo.entry->image);
      folders.insert(photo.entry->image.parent_path());
    }
    for (const fs::path& folder : folders) {
      std::vector<fs::path> files;
      std::error_code error;
      for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
        files.push_back(it->path());
      std::ranges::sort(files);
      for (const fs::path& file : files)
        if (is_picture_name(file) && !named.count(file))
          result_.faults.add({.kind = FaultKind::orphan_image,
                              .file = file,
                              .value = file.filename().string(),
                              .image = file});
    }
  }

  // --- what would suit --------------------------------------------------------------------------

  void look_at_anchors() {
    if (result_.box_sizes.empty()) return;
    const std::size_t step = result_.box_sizes.size() / kMostClustered + 1;
    std::vector<BoxSize> sizes;
    for (std::size_t i = 0; i < result_.box_sizes.size(); i += step)
      sizes.push_back(result_.box_sizes[i]);
    for (int k = 1; k <= options_.anchors; ++k)
      result_.clusters.push_back(cluster_sizes(sizes, k, options_.seed));

    const double px = options_.longer_px;
    std::vector<AnchorPreset> presets = fitted_anchors(trained_on(), result_.classes);
    for (AnchorPreset& preset : published_anchors()) presets.push_back(std::move(preset));
    presets.push_back({"suggested", {.first = px}, on_maps(result_.clusters.back().sizes)});
    Progress progress("laying anchors", static_cast<std::int64_t>(presets.size()));
    for (const AnchorPreset& preset : presets) {
      AnchorRecallCounter counter(preset, result_.classes.size());
      for (const Photo& photo : opened_.photos) counter.add(*photo.entry, opened_.labels(photo));
      result_.anchors.push_back(counter.result());
      progress.update(static_cast<std::int64_t>(result_.anchors.size()));
    }
    result_.suggested = result_.anchors.back();
    result_.anchors.pop_back();
  }

  /// The photos with a box of the training split, or of all where it has none.
  std::vector<BoxesOnly::Photo> trained_on() const {
    const auto train = std::ranges::find(result_.splits, "train", &Checkup::Split::name);
    const auto number = static_cast<std::size_t>(train - result_.splits.begin());
    std::vector<BoxesOnly::Photo> all, of_train;
    for (const Photo& photo : opened_.photos) {
      if (std::ranges::none_of(photo.entry->objects, has_area)) continue;
      all.push_back({photo.entry, &opened_.labels(photo)});
      if (photo.splits.count(number)) of_train.push_back(all.back());
    }
    return of_train.empty() ? all : of_train;
  }

  CheckupOptions options_;
  Checkup result_;
  OpenedFolder opened_;
};

}  // namespace

Checkup examine(const std::filesystem::path& folder, const CheckupOptions& options) {
  check(options.longer_px >= 32, "examine: longer_px must be >= 32, got ", options.longer_px);
  check(options.anchors >= 1 && options.anchors <= 64, "examine: anchors must be in 1..64, got ",
        options.anchors);
  return Examiner(folder, options).run();
}

}  // namespace boxgrad::detection
