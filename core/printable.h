#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace boxgrad {

/// A text from a stranger's file, or a file's name, for a message of one line: control characters,
/// which a terminal would obey, become '?', those of Latin-1 (U+0080 to U+009F, which some obey)
/// included. What is longer than `most` bytes is cut, where a character of UTF-8 begins.
std::string printable(const std::string& text, std::size_t most = 80);

/// The same of any length: for paths, and for messages with several names in them.
std::string printable_whole(const std::string& text);

/// Whether the bytes are UTF-8 (RFC 3629): no byte out of place, nothing longer than need be, no
/// half of a UTF-16 pair. JSON holds no other texts.
bool is_utf8(std::string_view text);

}  // namespace boxgrad
