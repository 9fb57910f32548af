#include "detection/data/voc_xml.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <pugixml.hpp>

#include "core/check.h"
#include "core/files.h"
#include "core/printable.h"

namespace boxgrad::detection {
namespace {

constexpr std::uint64_t kMaxXmlBytes = 4 << 20;  // thousands of objects; bounds the tree's memory
constexpr std::size_t kMaxNameBytes = 200;

int line_of(std::string_view text, std::ptrdiff_t offset) {
  const auto end = std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(text.size()));
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + end, '\n'));
}

// Old tools write Latin-1 without saying so. The parser takes such bytes as they are, but a name
// that is not UTF-8 could go into no JSON file, and would be found out when the training is over.
std::string to_utf8(std::string text) {
  if (is_utf8(text)) return text;
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      result += c;
    } else {
      result += static_cast<char>(0xC0 | byte >> 6);
      result += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return result;
}

// Words joined by single blanks.
std::string tidy(const char* text) {
  std::string result;
  for (; *text; ++text) {
    if (std::string_view(" \t\r\n").find(*text) == std::string_view::npos)
      result += *text;
    else if (!result.empty() && result.back() != ' ')
      result += ' ';
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

// A finite number that is the whole content of <name>.
std::optional<double> number(const pugi::xml_node& parent, const char* name) {
  const std::string text = tidy(parent.child(name).child_value());
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

bool flag(const pugi::xml_node& parent, const char* name) {
  const std::string text = tidy(parent.child(name).child_value());
  return text == "1" || text == "true" || text == "True";
}

}  // namespace

VocAnnotation parse_voc_annotation(std::string_view xml, const std::string& name) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size());
  check(static_cast<bool>(parsed), name, ":", line_of(xml, parsed.offset),
        ": not XML: ", parsed.description());
  const pugi::xml_node root = document.child("annotation");
  check(static_cast<bool>(root), name, ":1: the document must be an <annotation>");

  VocAnnotation result;
  result.filename = tidy(root.child("filename").child_value());
  const pugi::xml_node size = root.child("size");
  result.width = number(size, "width").value_or(0);
  result.height = number(size, "height").value_or(0);

  // Lines are counted on from object to object: a file of n objects is read once, not n times.
  std::ptrdiff_t counted = 0;
  int line = 1;
  for (const pugi::xml_node& node : root.children("object")) {
    const auto offset = std::clamp<std::ptrdiff_t>(node.offset_debug(), counted,
                                                   static_cast<std::ptrdiff_t>(xml.size()));
    line += static_cast<int>(std::count(xml.begin() + counted, xml.begin() + offset, '\n'));
    counted = offset;
    const auto reject = [&](const std::string& what) {
      result.issues.push_back({DataProblem::bad_object, concat(name, ":", line), what});
    };

    VocObject object;
    object.line = line;
    object.name = to_utf8(tidy(node.child("name").child_value()));
    object.difficult = flag(node, "difficult");
    object.truncated = flag(node, "truncated");
    if (object.name.empty() || object.name.size() > kMaxNameBytes) {
      reject(object.name.empty() ? "<object> has no <name>"
                                 : concat("<name> has ", object.name.size(), " bytes, at most ",
                                          kMaxNameBytes, " are accepted"));
      continue;
    }
    const pugi::xml_node box = node.child("bndbox");
    if (!box) {
      reject(concat(printable(object.name), " has no <bndbox>"));
      continue;
    }
    bool complete = true;
    for (const auto& [key, value] : {std::pair{"xmin", &object.xmin},
                                     {"ymin", &object.ymin},
                                     {"xmax", &object.xmax},
                                     {"ymax", &object.ymax}}) {
      const std::optional<double> found = number(box, key);
      if (!found) {
        reject(concat(printable(object.name), " has no number in <", key, ">, got \"",
                      printable(tidy(box.child(key).child_value())), "\""));
        complete = false;
        break;
      }
      *value = *found;
    }
    if (complete) result.objects.push_back(std::move(object));
  }
  return result;
}

VocAnnotation read_voc_annotation(const std::filesystem::path& path) {
  return parse_voc_annotation(read_text_file(path, kMaxXmlBytes), path.filename().string());
}

}  // namespace boxgrad::detection
