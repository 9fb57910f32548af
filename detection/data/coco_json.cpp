#include "detection/data/coco_json.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/files.h"
#include "core/printable.h"

namespace boxgrad::detection {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30, kMostGlancedAt = 16 << 20;

/// A record of any of the three lists: whatever was found of it.
struct Record {
  std::optional<std::string> id, image, category, file_name, name;
  std::vector<double> box;
  double width = 0, height = 0, area = 0;
  bool crowd = false, id_is_string = false;
};

/// Listens to a parser. Depth 1 is the file's object, 2 one of its lists, 3 a record, 4 a bbox.
class Listener : public nlohmann::json_sax<Json> {
 public:
  Listener(CocoFile& file, std::string name) : file_(file), name_(std::move(name)) {}

  bool has_images = false, has_annotations = false;

  bool key(std::string& key) override {
    if (depth_ == 1) list_ = key;
    if (depth_ == 3) field_ = key;
    return true;
  }
  bool start_object(std::size_t) override {
    if (++depth_ == 3) record_ = {};
    return true;
  }
  bool end_object() override {
    if (depth_-- == 3) finish();
    return true;
  }
  bool start_array(std::size_t) override {
    if (++depth_ == 2) {
      has_images |= list_ == "images";
      has_annotations |= list_ == "annotations";
    }
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool number_integer(std::int64_t value) override {
    return number(static_cast<double>(value), std::to_string(value));
  }
  bool number_unsigned(std::uint64_t value) override {
    return number(static_cast<double>(value), std::to_string(value));
  }
  bool number_float(double value, const std::string& text) override {
    const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
    return number(value, whole ? std::to_string(static_cast<std::int64_t>(value)) : text);
  }
  bool string(std::string& text) override {
    if (depth_ != 3) return true;
    if (field_ == "file_name") record_.file_name = text;
    if (field_ == "name") record_.name = text;
    set_id(text, true);
    return true;
  }
  bool boolean(bool value) override {
    if (depth_ == 3 && field_ == "iscrowd") record_.crowd = value;
    return true;
  }
  bool null() override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    check(false, name_, ": byte ", position, ": ", printable(error.what()));
    return false;
  }

 private:
  void set_id(const std::string& text, bool is_string) {
    if (field_ == "id") record_.id = text, record_.id_is_string = is_string;
    if (field_ == "image_id") record_.image = text;
    if (field_ == "category_id") record_.category = text;
  }
  bool number(double value, const std::string& text) {
    if (depth_ == 4 && field_ == "bbox" && record_.box.size() < 5) record_.box.push_back(value);
    if (depth_ != 3) return true;
    set_id(text, false);
    if (field_ == "width") record_.width = value;
    if (field_ == "height") record_.height = value;
    if (field_ == "area") record_.area = value;
    if (field_ == "iscrowd") record_.crowd = value != 0;
    return true;
  }
  void issue(DataProblem problem, const std::string& what) {
    file_.issues.push_back(
        {problem, concat(name_, ": ", list_, " ", printable(record_.id.value_or("without id"))),
         what});
  }
  void finish() {
    Record& r = record_;
    if (list_ == "images") {
      if (!r.id || !r.file_name)
        issue(DataProblem::bad_annotation, "no id or file_name");
      else
        file_.images.push_back({*r.id, *r.file_name, r.width, r.height, r.id_is_string});
    } else if (list_ == "annotations") {
      if (!r.image || !r.category || r.box.size() != 4)
        issue(DataProblem::bad_object, "no image_id, category_id or bbox of four numbers");
      else
        file_.annotations.push_back({r.id.value_or("?"), *r.image, *r.category, r.box[0], r.box[1],
                                     r.box[2], r.box[3], r.area, r.crowd});
    } else if (list_ == "categories") {
      if (!r.id || !r.name)
        issue(DataProblem::bad_object, "no id or name");
      else
        file_.categories.push_back({*r.id, *r.name, r.id_is_string});
    }
  }

  CocoFile& file_;
  std::string name_, list_, field_;
  int depth_ = 0;
  Record record_;
};

/// Looks for one of the two lists, no further.
class Glance : public nlohmann::json_sax<Json> {
 public:
  bool has_list = false, is_broken = false;

  bool key(std::string& key) override {
    if (depth_ == 1) list_ = key;
    return true;
  }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override {
    has_list = ++depth_ == 2 && (list_ == "images" || list_ == "annotations");
    return !has_list;
  }
  bool end_array() override { return --depth_ >= 0; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool boolean(bool) override { return true; }
  bool null() override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    is_broken = true;
    return false;
  }

 private:
  std::string list_;
  int depth_ = 0;
};

}  // namespace

bool may_be_coco(const std::filesystem::path& path) {
  std::error_code error;  // also of what is no regular file
  const std::uint64_t bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kMostGlancedAt) return true;
  std::ifstream text(path, std::ios::binary);
  Glance glance;
  Json::sax_parse(text, &glance);
  return glance.has_list || glance.is_broken;
}

CocoFile read_coco_json(const std::filesystem::path& path) {
  const std::uint64_t bytes = InputFile(path).size();  // a regular file
  check(bytes <= kMaxBytes, path, ": ", bytes, " bytes, at most ", kMaxBytes, " are read");
  std::ifstream text(path, std::ios::binary);
  CocoFile file;
  Listener listener(file, path.filename().string());
  Json::sax_parse(text, &listener);
  check(listener.has_images && listener.has_annotations, path,
        ": a COCO file has lists \"images\" and \"annotations\", got none of ",
        listener.has_images ? "\"annotations\"" : "\"images\"");
  return file;
}

}  // namespace boxgrad::detection
