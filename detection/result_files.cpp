#include "detection/result_files.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "core/check.h"
#include "core/file_names.h"
#include "core/files.h"

namespace boxgrad::detection {
namespace {

void check_results(const char* op, const std::vector<Detections>& detections,
                   const std::vector<std::string>& photo_ids, std::size_t classes) {
  check(detections.size() == photo_ids.size(), op, ": detections of ", detections.size(),
        " photos, ids of ", photo_ids.size());
  for (std::size_t n = 0; n < detections.size(); ++n) {
    const Detections& found = detections[n];
    const auto count = static_cast<std::int64_t>(found.labels.size());
    check(found.boxes.shape() == Shape{count, 4} && found.scores.size() == found.labels.size(), op,
          ": photo \"", photo_ids[n], "\" has ", count, " labels, ", found.scores.size(),
          " scores and boxes ", found.boxes.shape());
    for (const std::int64_t label : found.labels)
      check(label >= 1 && label <= static_cast<std::int64_t>(classes), op, ": photo \"",
            photo_ids[n], "\" has label ", label, ", expected 1 to ", classes);
  }
}

/// The shortest text that reads back as the same number, without an exponent: 0.9 for a float's
/// 0.89999997615814209.
std::string exact(Scalar value) {
  char text[512];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  check(error == std::errc(), "result file: a number of more than 500 digits");
  return {text, end};
}

/// A whole number as it is, anything else, and what was one, as a JSON string.
std::string json_id(const std::string& id, const std::set<std::string>& strings) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool whole = error == std::errc() && end == id.data() + id.size();
  if (whole && std::to_string(number) == id && !strings.contains(id)) return id;
  return nlohmann::json(id).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::vector<std::string> voc_result_ids(const std::vector<std::string>& names) {
  // Names without blanks keep themselves, wherever the others stand.
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  std::set<std::string> taken;
  for (const std::string& name : names)
    if (std::ranges::none_of(name, is_blank)) taken.insert(name);
  std::vector<std::string> ids = names;
  for (std::string& id : ids) {
    if (std::ranges::none_of(id, is_blank)) continue;
    std::ranges::replace_if(id, is_blank, '_');
    id = free_name(id, taken);
  }
  return ids;
}

std::vector<std::filesystem::path> write_voc_results(const std::filesystem::path& folder,
                                                     const std::string& split,
                                                     const std::vector<Detections>& detections,
                                                     const std::vector<std::string>& photo_ids,
                                                     const std::vector<std::string>& class_names) {
  check_results("write_voc_results", detections, photo_ids, class_names.size());
  for (const std::string& id : photo_ids)
    check(!id.empty() && id.find_first_of(" \t\r\n") == std::string::npos,
          "write_voc_results: a photo's id must not be empty or hold blanks, got \"", id, "\"");
  std::vector<std::filesystem::path> files;
  std::vector<std::string> texts(class_names.size());
  std::set<std::string> taken;
  for (const std::string& name : class_names) {
    // Without regard to case, which not every disk tells apart.
    const std::string free = free_name(in_file_name(name), taken, lower_case);
    files.push_back(folder / concat("comp4_det_", in_file_name(split), "_", free, ".txt"));
  }
  for (std::size_t n = 0; n < detections.size(); ++n)
    for (std::size_t d = 0; d < detections[n].labels.size(); ++d) {
      const auto box = detections[n].boxes.data().subspan(4 * d, 4);
      texts[static_cast<std::size_t>(detections[n].labels[d] - 1)] +=
          concat(photo_ids[n], " ", exact(detections[n].scores[d]), " ", exact(box[0] + 1), " ",
                 exact(box[1] + 1), " ", exact(box[2]), " ", exact(box[3]), "\n");
    }
  std::filesystem::create_directories(folder);
  for (std::size_t k = 0; k < files.size(); ++k) write_file_atomically(files[k], texts[k]);
  return files;
}

std::int64_t write_coco_results(const std::filesystem::path& file,
                                const std::vector<Detections>& detections,
                                const std::vector<std::string>& photo_ids,
                                const std::vector<std::string>& category_ids,
                                const StringIds& string_ids) {
  check_results("write_coco_results", detections, photo_ids, category_ids.size());
  std::string text = "[";
  std::int64_t left_out = 0;
  for (std::size_t n = 0; n < detections.size(); ++n)
    for (std::size_t d = 0; d < detections[n].labels.size(); ++d) {
      const std::string& category =
          category_ids[static_cast<std::size_t>(detections[n].labels[d] - 1)];
      if (category.empty()) {
        ++left_out;
        continue;
      }
      const auto box = detections[n].boxes.data().subspan(4 * d, 4);
      text += concat(text.size() > 1 ? ",\n " : "\n ",
                     "{\"image_id\": ", json_id(photo_ids[n], string_ids.photos),
                     ", \"category_id\": ", json_id(category, string_ids.classes), ", \"bbox\": [",
                     exact(box[0]), ", ", exact(box[1]), ", ", exact(box[2] - box[0]), ", ",
                     exact(box[3] - box[1]), "], \"score\": ", exact(detections[n].scores[d]), "}");
    }
  if (!file.parent_path().empty()) std::filesystem::create_directories(file.parent_path());
  write_file_atomically(file, text + "\n]\n");
  return left_out;
}

}  // namespace boxgrad::detection
