#pragma once

#include <initializer_list>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>

namespace boxgrad {

/// One part of a message: anything that an ostream prints. It refers to the value and is read
/// before the statement ends.
///
/// Types are erased here, so that a check costs one compare where it stands: its few hundred
/// different lists of arguments do not each become a function that builds a string.
class MessagePart {
 public:
  template <class T>
  MessagePart(const T& value)  // NOLINT: converts on purpose
      : value_(&value),
        print_([](std::ostream& out, const void* v) { out << *static_cast<const T*>(v); }) {}
  MessagePart(const char* const& text) : value_(text), print_(&print_text) {}
  template <std::size_t N>
  MessagePart(const char (&text)[N]) : value_(text), print_(&print_text) {}

  friend std::ostream& operator<<(std::ostream& out, const MessagePart& part) {
    part.print_(out, part.value_);
    return out;
  }

 private:
  static void print_text(std::ostream& out, const void* text);

  const void* value_;
  void (*print_)(std::ostream&, const void*);
};

std::string join(std::initializer_list<MessagePart> parts);
[[noreturn]] void throw_invalid_argument(std::initializer_list<MessagePart> parts);

/// Joins its arguments into one string with operator<<: concat("got ", 3, " boxes").
template <class... Parts>
std::string concat(const Parts&... parts) {
  return join({MessagePart(parts)...});
}

/// Throws std::invalid_argument with the joined parts unless `condition` holds.
/// Pass the parts, not a built string: they are formatted only on failure.
///
///   check(stride > 0, "conv2d: stride must be > 0, got ", stride);
///
/// Messages read `op: what must hold, with the expected value, got <actual>`.
template <class... Parts>
inline void check(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]]
    throw_invalid_argument({MessagePart(parts)...});
}

/// Runs `read`, and returns what it threw that a file or a user may be to blame for
/// (std::invalid_argument, std::runtime_error) as its message, or nothing. Lack of memory and
/// mistakes of ours are no file's fault, and pass:
///
///   if (const auto error = input_error([&] { image = Image::read(file); })) skip(file, *error);
template <class Read>
std::optional<std::string> input_error(const Read& read) {
  try {
    read();
  } catch (const std::invalid_argument& error) {
    return error.what();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

}  // namespace boxgrad
