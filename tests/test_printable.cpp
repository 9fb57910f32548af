// core/printable.h.
#include <string>
#include <utility>
#include <vector>

#include "core/image.h"
#include "core/printable.h"
#include "tests/catch.h"
#include "tests/cli.h"

using namespace boxgrad;

TEST_CASE("texts from strangers become printable", "[printable]") {
  CHECK(printable("cell") == "cell");
  CHECK(printable("a\nb\x1b[31m") == "a?b?[31m");
  CHECK(printable(std::string(500, 'x')).size() < 100);
  CHECK(printable("caf\xC3\xA9") == "caf\xC3\xA9");
  CHECK(printable("a\xC2\x9B"
                  "2Jb\xC2\xA0") == "a?2Jb\xC2\xA0");
  CHECK(printable("abcdef", 3) == "abc...");
  // Cut where a character begins.
  const std::string text = "a\xC3\xA9\xE7\x8C\xAB\xF0\x9F\x90\x88z";
  for (const auto& [most, bytes] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 0}, {1, 1}, {2, 1}, {3, 3}, {4, 3}, {5, 3}, {6, 6}, {7, 6}, {9, 6}, {10, 10}}) {
    INFO(most);
    CHECK(printable(text, most) == text.substr(0, bytes) + "...");
    CHECK(is_utf8(printable(text, most)));
  }
  CHECK(printable(text, 11) == text);
  CHECK(printable(std::string(9, '\x80'), 5) == std::string(2, '\x80') + "...");  // no UTF-8
  CHECK(printable_whole(std::string(500, 'x') + "\x7f") == std::string(500, 'x') + "?");
}

TEST_CASE("is_utf8 knows UTF-8", "[printable]") {
  for (const char* text : {"", "cell", "caf\xC3\xA9", "\xE7\x8C\xAB", "\xF0\x9F\x90\x88"})
    CHECK(is_utf8(text));
  // Out of place, cut short, longer than need be, half of a pair, beyond the last character.
  for (const char* text : {"caf\xE9", "\x80", "\xC3", "\xE7\x8C", "\xC0\xAF", "\xE0\x80\xAF",
                           "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF"})
    CHECK_FALSE(is_utf8(text));
}

TEST_CASE("messages keep one rule for what a terminal obeys", "[printable][errors]") {
  const std::string order = "x\x7f\xC2\x9B\x1b[2J", shown = "x???[2J";
  CHECK_THROWS_WITH(Image::decode({}, order), Catch::Contains(shown));
  CHECK_THAT(detection::boxgrad_command({order}).err, Catch::Contains(shown));
  CHECK_THAT(detection::boxgrad_command({"info", "--" + order}).err, Catch::Contains(shown));
}
