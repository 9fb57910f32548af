// core/printable.h.
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
  CHECK(printable_whole(std::string(500, 'x') + "\x7f") == std::string(500, 'x') + "?");
}

TEST_CASE("messages keep one rule for what a terminal obeys", "[printable][errors]") {
  const std::string order = "x\x7f\xC2\x9B\x1b[2J", shown = "x???[2J";
  CHECK_THROWS_WITH(Image::decode({}, order), Catch::Contains(shown));
  CHECK_THAT(detection::boxgrad_command({order}).err, Catch::Contains(shown));
  CHECK_THAT(detection::boxgrad_command({"info", "--" + order}).err, Catch::Contains(shown));
}
