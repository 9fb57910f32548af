#include <unistd.h>

#include <filesystem>
#include <pugixml.hpp>

#include "core/charts.h"
#include "core/files.h"
#include "core/report.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

const std::string kEvil = "<script>alert(1)</script>\"'&";

Report everything() {
  const std::vector<std::uint8_t> png = {0x89, 'P', 'N', 'G', '\r', '\n'};
  Report report(kEvil, kEvil);
  report.numbers({{kEvil, kEvil}})
      .section(kEvil)
      .paragraph(kEvil)
      .list({kEvil, "a `code` b ` c"})
      .note(kEvil)
      .section("two")
      .preformatted(kEvil)
      .table({kEvil, "n"}, {{kEvil, "1"}, {"b", "2.5"}}, kEvil)
      .section("three")
      .svg(line_chart({}), kEvil)
      .picture({"images/a.png", kEvil})
      .pictures({{"images/b \"<#?:.png", kEvil}, {"c.png", ""}})
      .embedded(png, kEvil)
      .open_details(kEvil)
      .paragraph("hidden");
  return report;
}

}  // namespace

TEST_CASE("a report escapes every text", "[report]") {
  const std::string html = everything().html();
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("<code>code</code> b ` c") != std::string::npos);
  CHECK(html.find("src=\"images/b%20%22%3C%23%3F%3A.png\"") != std::string::npos);
  CHECK(html.find("src=\"data:image/png;base64,iVBORw0K\"") != std::string::npos);
}

TEST_CASE("a report is well-formed, self-contained and deterministic", "[report]") {
  std::string html = everything().html();
  CHECK(html == everything().html());
  CHECK(html.find("<nav>") != std::string::npos);
  // Nothing is fetched: the only address is the name of SVG's namespace.
  for (auto at = html.find("://"); at != std::string::npos; at = html.find("://", at + 1))
    CHECK(html.substr(at, 13) == "://www.w3.org");
  // HTML's void elements are the only ones that XML would want closed.
  for (const std::string open : {"<meta ", "<img "})
    for (auto at = html.find(open); at != std::string::npos; at = html.find(open, at + 1))
      html.insert(html.find('>', at), 1, '/');
  pugi::xml_document document;
  const auto result = document.load_string(html.c_str(), pugi::parse_default | pugi::parse_doctype);
  INFO(result.description());
  CHECK(result);
}

TEST_CASE("columns of numbers are aligned to the right", "[report]") {
  Report report("t");
  report.table({"name", "AP"}, {{"cat", "0.5"}, {"dog", "-"}});
  CHECK(report.html().find("<td>cat</td><td class=\"right\">0.5</td>") != std::string::npos);
}

TEST_CASE("a report refuses what would not open elsewhere", "[report][errors]") {
  Report report("t");
  for (const char* path : {"", "/etc/passwd", "../a.png", "images/../../a.png"})
    CHECK_THROWS_AS(report.picture({path, ""}), std::invalid_argument);
  CHECK_THROWS_WITH(report.table({"a", "b"}, {{"1"}}), ContainsSubstring("2 cells"));
  CHECK_THROWS_WITH(report.embedded({}), ContainsSubstring("PNG or JPEG"));
  CHECK_THROWS_AS(report.close_details(), std::invalid_argument);
  CHECK_THROWS_WITH(report.write("/nowhere/index.html"), ContainsSubstring("/nowhere/index.html"));
}

TEST_CASE("a report is written whole", "[report]") {
  const auto path =
      std::filesystem::temp_directory_path() / ("boxgrad_report_" + std::to_string(::getpid()));
  everything().write(path);
  CHECK(read_text_file(path, 1 << 20) == everything().html());
  std::filesystem::remove(path);
}

TEST_CASE("base64 equals the examples of RFC 4648", "[report]") {
  CHECK(base64(as_bytes("")) == "");
  CHECK(base64(as_bytes("f")) == "Zg==");
  CHECK(base64(as_bytes("fo")) == "Zm8=");
  CHECK(base64(as_bytes("foo")) == "Zm9v");
  CHECK(base64(as_bytes("foobar")) == "Zm9vYmFy");
}
