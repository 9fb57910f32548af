#include "core/check.h"

#include <sstream>

namespace boxgrad {

void MessagePart::print_text(std::ostream& out, const void* text) {
  out << static_cast<const char*>(text);
}

std::string join(std::initializer_list<MessagePart> parts) {
  std::ostringstream text;
  for (const MessagePart& part : parts) text << part;
  return text.str();
}

void throw_invalid_argument(std::initializer_list<MessagePart> parts) {
  throw std::invalid_argument(join(parts));
}

}  // namespace boxgrad
