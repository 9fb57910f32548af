#include <cstdint>
#include <string>
#include <vector>

#include "core/json_fields.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

struct Settings {
  bool flips = false;
  int size = 320;
  std::uint64_t seed = 7;
  double rate = 0.1;
  std::string name = "a \"quoted\" name";
  std::vector<std::string> words{"one", "two"};
  std::vector<double> mean{0.5, 0.25};
  struct Part {
    int width = 0;
  };
  std::vector<Part> parts{{1}, {2}};
  std::vector<std::pair<std::string, std::int64_t>> ranks{{"fc6", 3}};
};

void fields(JsonFields& io, Settings& s) {
  io.boolean("flips", s.flips);
  io.integer("size", s.size, 32, 4096);
  io.integer("seed", s.seed, 0, std::int64_t{1} << 62);
  io.number("rate", s.rate, 0, 1);
  io.text("name", s.name);
  io.texts("words", s.words);
  io.object("colours", [&](JsonFields& inner) { inner.numbers("mean", s.mean, -1, 1, 2); });
  io.objects(
      "parts", s.parts.size(), [&](std::size_t n) { s.parts.assign(n, {}); },
      [&](JsonFields& inner, std::size_t i) { inner.integer("width", s.parts[i].width, 0, 9); });
  io.named_integers("ranks", s.ranks, 1, 10);
}

std::string written(Settings s) {
  return write_json([&](JsonFields& io) { fields(io, s); });
}

Settings read(const std::string& text) {
  Settings s;
  read_json(text, "c.json", [&](JsonFields& io) { fields(io, s); });
  return s;
}

/// The text with one part of it replaced.
std::string with(const std::string& from, const std::string& to) {
  std::string text = written({});
  const std::size_t place = text.find(from);
  REQUIRE(place != std::string::npos);
  return text.replace(place, from.size(), to);
}

}  // namespace

TEST_CASE("fields come back as they were written, to the last bit", "[json_fields]") {
  Settings s{.flips = true, .size = 64, .seed = 1, .rate = 1. / 3, .name = "x"};
  s.mean = {0.1, -1};
  s.parts = {{5}};
  const Settings back = read(written(s));
  CHECK(back.flips);
  CHECK(back.size == 64);
  CHECK(back.seed == 1);
  CHECK(back.rate == 1. / 3);
  CHECK(back.name == "x");
  CHECK(back.mean == s.mean);
  CHECK(back.parts.size() == 1);
  CHECK(back.parts[0].width == 5);
  CHECK(back.ranks == s.ranks);
  CHECK(written(back) == written(s));
}

TEST_CASE("a wrong field is named with its file, what was expected and what is there",
          "[json_fields][errors]") {
  CHECK_THROWS_WITH(read(with("\"size\": 320", "\"size\": \"big\"")),
                    "c.json: \"size\" must be a whole number from 32 to 4096, got \"big\"");
  CHECK_THROWS_WITH(read(with("\"size\": 320", "\"size\": 31")), Catch::Contains("got 31"));
  CHECK_THROWS_WITH(read(with("\"size\": 320", "\"size\": 99999999999999999999")),
                    Catch::Contains("\"size\" must be a whole number"));
  CHECK_THROWS_WITH(read(with("\"seed\": 7", "\"seed\": 18446744073709551615")),
                    Catch::Contains("got 18446744073709551615"));
  CHECK_THROWS_WITH(read(with("\"rate\": 0.1", "\"rate\": 1e9")),
                    "c.json: \"rate\" must be a number from 0 to 1, got 1000000000.0");
  CHECK_THROWS_WITH(read(with("\"rate\": 0.1", "\"rat\": 0.1")), "c.json: \"rate\" is missing");
  CHECK_THROWS_WITH(read(with("\"flips\": false", "\"flips\": 0")),
                    "c.json: \"flips\" must be true or false, got 0");
  CHECK_THROWS_WITH(read(with("\"one\"", "1")), Catch::Contains("a list of texts, got 1"));
  CHECK_THROWS_WITH(read(with("0.25", "0.25, 0.5")),
                    Catch::Contains("\"colours.mean\" must be a list of 2 numbers"));
  CHECK_THROWS_WITH(read(with("\"width\": 2", "\"width\": 10")),
                    Catch::Contains("\"parts[1].width\" must be"));
  CHECK_THROWS_WITH(read(with("\"fc6\": 3", "\"fc6\": 0")), Catch::Contains("\"ranks.fc6\""));
  CHECK_THROWS_WITH(read(with("\"flips\"", "\"flip\": 1, \"flips\"")),
                    Catch::StartsWith("c.json: there is no setting \"flip\"; there are colours, "));
  CHECK_THROWS_WITH(read("[]"), Catch::Contains("c.json: the whole must be an object"));
  CHECK_THROWS_WITH(read("{\"size\": 1, \"size\": 2}"), Catch::Contains("twice"));
  CHECK_THROWS_WITH(read("{"), Catch::Contains("c.json: the file is not JSON"));
}

TEST_CASE("a text that JSON cannot hold is refused", "[json_fields][errors]") {
  Settings s{.name = "\xff\xfe"};
  CHECK_THROWS_WITH(written(s),
                    "write_json: a text of \"name\" is not UTF-8, and JSON has no others: "
                    "\"\xff\xfe\"");
  s = {.words = {"one", "tw\xf6"}};
  CHECK_THROWS_WITH(written(s),
                    Catch::Contains("\"words\" is not UTF-8") && Catch::Contains(": \"tw\xf6\""));
  s = {.ranks = {{"fc\x80", 3}}};
  CHECK_THROWS_WITH(written(s), Catch::Contains("\"ranks\" is not UTF-8"));
  // The place, as where one is read.
  CHECK_THROWS_WITH(write_json([](JsonFields& io) {
                      io.object("photos", [](JsonFields& inner) {
                        std::string folder = "caf\xe9 2";
                        inner.text("folder", folder);
                      });
                    }),
                    Catch::Contains("\"photos.folder\" is not UTF-8"));
}

TEST_CASE("a partial file leaves the rest as it is, and has no unknown keys", "[json_fields]") {
  Settings s;
  const auto partly = [&](const std::string& text) {
    read_partial_json(text, "c.json", [&](JsonFields& io) { fields(io, s); });
  };
  partly("{\"size\": 64, \"colours\": {}}");
  CHECK(s.size == 64);
  CHECK(s.rate == 0.1);
  CHECK(s.parts.size() == 2);
  CHECK_THROWS_WITH(partly("{\"sise\": 64}"), Catch::Contains("there is no setting \"sise\""));
}
