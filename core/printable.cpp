#include "core/printable.h"

namespace boxgrad {

std::string printable_whole(const std::string& text) {
  std::string result = text;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto byte = static_cast<unsigned char>(result[i]);
    if (byte < 32 || byte == 127) result[i] = '?';
    // U+0080 to U+009F in UTF-8.
    if (byte == 0xC2 && i + 1 < result.size() && static_cast<unsigned char>(result[i + 1]) < 0xA0)
      result.replace(i, 2, "?");
  }
  return result;
}

std::string printable(const std::string& text, std::size_t most) {
  return printable_whole(text.substr(0, most)) + (text.size() > most ? "..." : "");
}

}  // namespace boxgrad
