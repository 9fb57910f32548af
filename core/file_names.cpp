#include "core/file_names.h"

#include <algorithm>

namespace boxgrad {

std::string in_file_name(std::string name) {
  std::ranges::replace_if(
      name,
      [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x80 && !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_');
      },
      '_');
  return name;
}

}  // namespace boxgrad
