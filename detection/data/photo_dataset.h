#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "detection/data/data_report.h"
#include "detection/data/dataset.h"

namespace boxgrad::detection {

/// One annotated photo of a folder.
struct PhotoEntry {
  std::filesystem::path image = {}, annotation = {};
  /// What other programs call it: VOC's name in the lists, COCO's "id" as text.
  std::string id = {};
  int width = 0, height = 0;  ///< the upright picture's own, not the annotation's
  struct Object {
    std::int64_t label = 0;  ///< 1..num_classes
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
    bool difficult = false, truncated = false, crowd = false;
    double area = 0;         ///< of the outline, in square pixels; 0 where only the box is known
    std::int64_t place = 0;  ///< VOC: its line; COCO: its id, 0 where that is no number
  };
  std::vector<Object> objects = {};
};

/// Those ids of photos and classes that are JSON strings in the annotations, whatever they look
/// like: "7" is not 7 for whoever compares results with the file.
struct StringIds {
  std::set<std::string> photos, classes;
};

/// How "train" and "val" are cut where a folder has no lists of its own.
enum class PhotoCut {
  by_name,   ///< a hash of its name puts a photo on its side: others may come and go
  by_place,  ///< its place among the sorted photos, shuffled: runs of before there was by_name
};

struct PhotoOptions {
  /// "train", "val", "test", "trainval" or any other list that the folder has; "" takes everything.
  std::string split = "";
  /// Names of classes 1, 2, ...; objects of others are skipped and reported. When empty, all names
  /// in the folder.
  std::vector<std::string> classes = {};
  /// Every problem is an error, instead of being skipped or mended, and reported.
  bool strict = false;
  /// Of each kind of problem, how many the report keeps; all are counted.
  std::int64_t kept_issues = 100;
  /// Of the images, where a folder has no lists of its own: a share of val_share is "val", the
  /// others are "train", as seeded_split() cuts them.
  double val_share = 0.2;
  std::uint64_t split_seed = 0;
  PhotoCut cut = PhotoCut::by_name;
};

/// A folder of annotated photos. Who derives from it says in its constructor what the photos are
/// and what is on them; what is wrong with a file or an object is skipped or mended, counted and
/// reported.
class PhotoDataset : public Dataset {
 public:
  std::int64_t size() const override { return static_cast<std::int64_t>(entries_.size()); }
  /// Decodes the picture; its name is the file's. Throws std::invalid_argument, with the file, when
  /// it cannot be decoded (measure() does not see everything) or has changed.
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::string key(std::int64_t index) const override;

  const std::vector<PhotoEntry>& entries() const { return entries_; }
  /// What the annotations call the classes, as text: COCO's "id" of a category, "" of a class that
  /// the file lacks; VOC has the names alone.
  virtual std::vector<std::string> class_ids() const { return class_names_; }
  /// Of entries()' ids and class_ids(); none in VOC, which has no JSON.
  const StringIds& string_ids() const { return string_ids_; }
  /// What the objects on these photos are called, those of classes that were not asked for included.
  const std::set<std::string>& annotated_names() const { return annotated_names_; }
  const DataReport& report() const { return report_; }
  /// "205 images, 2804 boxes of 3 classes: Platelets 209, RBC 2381, WBC 214", then the report's
  /// lines.
  std::vector<std::string> summary() const;

 protected:
  /// `format` stands in messages. Throws std::invalid_argument for options out of range.
  PhotoDataset(const char* format, const PhotoOptions& options);
  /// The label of a class name, if it is one of class_names(). Throws when two are the same.
  /// Remembers the name for annotated_names().
  std::optional<std::int64_t> label_of(const std::string& name);
  /// Reads the header of entry.image, and the whole of a picture that the header makes doubtful,
  /// one that lacks its end or may be larger than Image::read takes; decoding all of them would
  /// take minutes. Sets the entry's size, and reports when the annotation says another, whose
  /// name is `where`. False, with a report, when that much says that get() could not read it;
  /// damage that only decoding shows (a bad zlib stream, JPEG codes that no table has) is get()'s.
  bool measure(PhotoEntry& entry, const std::string& where, double width, double height);
  /// Reports names of classes that differ in case alone.
  void report_similar_names(const std::set<std::string>& names);
  /// Clips a box to the picture, or nothing when none of it is inside; reports either.
  std::optional<PhotoEntry::Object> clipped(PhotoEntry::Object box, const PhotoEntry& entry,
                                            const std::string& where, const std::string& what);
  /// Throws std::invalid_argument, with the report, when no photo is left.
  void check_any(const std::filesystem::path& folder, const std::string& split) const;

  const char* format_;
  std::vector<std::string> class_names_;
  std::vector<PhotoEntry> entries_;
  std::set<std::string> annotated_names_;
  StringIds string_ids_;
  DataReport report_;
};

/// A seeded cut of images: the places in `names` of those that belong to `split`, "train" or "val".
/// Images are ranked by a hash of seed and name, and the first round(val_share * count) are "val",
/// at least one and not all where there are two and val_share is neither 0 nor 1. A new image thus
/// moves one other at the most, that at the border. With PhotoCut::by_place names do not count, and
/// a new image moves most of the others.
std::vector<std::int64_t> seeded_split(const std::vector<std::string>& names,
                                       const PhotoOptions& options);

/// `text` with A..Z as a..z: names of folders and classes are compared without regard to case.
std::string lower_case(std::string text);

}  // namespace boxgrad::detection
