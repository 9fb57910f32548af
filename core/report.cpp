#include "core/report.h"

#include <algorithm>
#include <cctype>

#include "core/check.h"
#include "core/files.h"
#include "core/svg.h"

namespace boxgrad {

namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ground:#f4f6f8;--paper:#fff;--ink:#1b2430;--soft:#5a6675;
--line:#dfe4ea;--accent:#2f77c9;--tint:#eef4fb;--warn:#d9652b}
@media(prefers-color-scheme:dark){:root{--ground:#0f1318;--paper:#171c23;--ink:#e6eaef;
--soft:#a6b0bc;--line:#2a323c;--accent:#5b9fe8;--tint:#1b2531;--warn:#f08a57}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:52rem;margin:0 auto;padding:2.2rem 1.1rem 3rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-top:.9rem;border-top:1px solid var(--line)}
p,ul{margin:.7rem 0;max-width:44rem}
.subtitle{color:var(--soft);margin:0 0 1.2rem}
a{color:var(--accent)}
nav{margin:1.2rem 0;font-size:.92rem}nav a{display:inline-block;margin:0 1rem .2rem 0}
code{font:.9em ui-monospace,"DejaVu Sans Mono",Menlo,monospace;background:var(--tint);
padding:.1em .3em;border-radius:4px}
pre{font:13px/1.45 ui-monospace,"DejaVu Sans Mono",Menlo,monospace;background:var(--paper);
border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;overflow-x:auto}
.note{border-left:4px solid var(--warn);background:var(--paper);padding:.6rem 1rem;
border-radius:0 8px 8px 0}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:.7rem;
margin:1.2rem 0}
.numbers div{background:var(--paper);border:1px solid var(--line);border-radius:10px;
padding:.7rem .9rem}
.numbers b{display:block;font-size:1.55rem;line-height:1.25;font-weight:650;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.numbers span{color:var(--soft);font-size:.85rem}
figure{margin:1.1rem 0;background:var(--paper);border:1px solid var(--line);border-radius:10px;
padding:.6rem;overflow-x:auto}
figure svg{display:block;max-width:100%;height:auto;margin:0 auto}
figure img{display:block;max-width:100%;height:auto;margin:0 auto;border-radius:6px}
figcaption{color:var(--soft);font-size:.88rem;padding:.5rem .4rem .1rem}
table{border-collapse:collapse;font-size:.92rem;margin:0 auto;min-width:50%}
th,td{padding:.34rem .8rem;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top}
th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody tr:last-child td{border-bottom:0}
.right{text-align:right;font-variant-numeric:tabular-nums}
.pictures{display:grid;gap:.7rem}
.pictures figure{margin:0;padding:.4rem}
.pictures img{width:100%;image-rendering:auto}
.pictures figcaption{overflow-wrap:anywhere;font-size:.82rem;padding:.3rem .2rem 0}
details{margin:1rem 0}summary{cursor:pointer;color:var(--accent)}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media(max-width:34rem){figure svg{max-width:none;width:30rem}}
@media print{body{background:#fff}figure,pre{break-inside:avoid}}
)";

/// Escaped text in which `code` between back-quotes is set as code.
std::string inline_text(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t open = text.find('`');
    const std::size_t close = open == std::string_view::npos ? open : text.find('`', open + 1);
    if (close == std::string_view::npos) return out + escape_xml(text);
    out += escape_xml(text.substr(0, open)) + "<code>" +
           escape_xml(text.substr(open + 1, close - open - 1)) + "</code>";
    text.remove_prefix(close + 1);
  }
}

/// A path relative to the page as a URL: everything but plain letters is percent-encoded, so that
/// it can neither leave the attribute nor name another scheme.
std::string picture_url(const std::string& path) {
  const std::filesystem::path p(path);
  check(!path.empty() && p.is_relative(),
        "Report: a picture's path must be relative to the page, "
        "got \"",
        path, "\"");
  for (const auto& part : p)
    check(part != "..", "Report: a picture's path must stay in the page's folder, got \"", path,
          "\"");
  std::string url;
  for (const char c : path) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (byte < 0x80 &&
        (std::isalnum(byte) || std::string_view("-._~/").find(c) != std::string::npos))
      url += c;
    else
      url += {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
  }
  return url;
}

/// Whether a cell reads as a number, perhaps with a unit sign: "-0.5", "1.2e-3", "85 %", "-".
bool is_numeric(std::string_view cell) {
  const bool digit = std::ranges::any_of(cell, [](char c) { return c >= '0' && c <= '9'; });
  const bool plain =
      cell.find_first_not_of("0123456789.,+-eE% x\xC2\xB1") == std::string_view::npos;
  return (plain && digit) || cell.empty() || cell == "-" || cell == "nan" || cell == "inf";
}

}  // namespace

Report::Report(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

Report& Report::section(std::string_view heading) {
  headings_.emplace_back(heading);
  body_ +=
      "<h2 id=\"s" + std::to_string(headings_.size()) + "\">" + escape_xml(heading) + "</h2>\n";
  return *this;
}

Report& Report::paragraph(std::string_view text) {
  body_ += "<p>" + inline_text(text) + "</p>\n";
  return *this;
}

Report& Report::list(const std::vector<std::string>& items) {
  body_ += "<ul>\n";
  for (const std::string& item : items) body_ += "<li>" + inline_text(item) + "</li>\n";
  body_ += "</ul>\n";
  return *this;
}

Report& Report::note(std::string_view text) {
  body_ += "<p class=\"note\">" + inline_text(text) + "</p>\n";
  return *this;
}

Report& Report::preformatted(std::string_view text) {
  body_ += "<pre>" + escape_xml(text) + "</pre>\n";
  return *this;
}

Report& Report::numbers(const std::vector<std::pair<std::string, std::string>>& name_and_value) {
  body_ += "<div class=\"numbers\">\n";
  for (const auto& [name, value] : name_and_value)
    body_ += "<div><b>" + escape_xml(value) + "</b><span>" + escape_xml(name) + "</span></div>\n";
  body_ += "</div>\n";
  return *this;
}

Report& Report::table(const std::vector<std::string>& header,
                      const std::vector<std::vector<std::string>>& rows, std::string_view caption) {
  std::vector<const char*> styles(header.size(), " class=\"right\"");
  for (const std::vector<std::string>& row : rows) {
    check(row.size() == header.size(), "Report::table: each row must have ", header.size(),
          " cells as the header, got ", row.size());
    for (std::size_t c = 0; c < row.size(); ++c)
      if (!is_numeric(row[c])) styles[c] = "";
  }
  std::string out = "<table>\n<thead><tr>";
  for (std::size_t c = 0; c < header.size(); ++c)
    out += concat("<th", styles[c], ">", escape_xml(header[c]), "</th>");
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c)
      out += concat("<td", styles[c], ">", inline_text(row[c]), "</td>");
    out += "</tr>\n";
  }
  figure(out + "</tbody></table>\n", caption);
  return *this;
}

Report& Report::svg(std::string_view svg, std::string_view caption) {
  figure(std::string(svg), caption);
  return *this;
}

Report& Report::picture(const Picture& picture) {
  figure("<img src=\"" + picture_url(picture.path) + "\" alt=\"" + escape_xml(picture.caption) +
             "\">\n",
         picture.caption);
  return *this;
}

Report& Report::pictures(const std::vector<Picture>& pictures, int min_width) {
  check(min_width > 0, "Report::pictures: min_width must be > 0, got ", min_width);
  body_ += "<div class=\"pictures\" style=\"grid-template-columns:repeat(auto-fill,minmax(min(" +
           std::to_string(min_width) + "px,100%),1fr))\">\n";
  for (const Picture& picture : pictures) {
    const std::string url = picture_url(picture.path);
    figure("<a href=\"" + url + "\"><img loading=\"lazy\" src=\"" + url + "\" alt=\"" +
               escape_xml(picture.caption) + "\"></a>\n",
           picture.caption);
  }
  body_ += "</div>\n";
  return *this;
}

Report& Report::embedded(std::span<const std::uint8_t> image, std::string_view caption) {
  const bool png = image.size() > 4 && image[0] == 0x89 && image[1] == 'P' && image[2] == 'N';
  const bool jpeg = image.size() > 4 && image[0] == 0xFF && image[1] == 0xD8;
  check(png || jpeg, "Report::embedded: image must be a PNG or JPEG, got ", image.size(),
        " other bytes");
  figure(concat("<img alt=\"", escape_xml(caption), "\" src=\"data:image/", png ? "png" : "jpeg",
                ";base64,", base64(image), "\">\n"),
         caption);
  return *this;
}

Report& Report::open_details(std::string_view summary) {
  ++open_details_;
  body_ += "<details><summary>" + inline_text(summary) + "</summary>\n";
  return *this;
}

Report& Report::close_details() {
  check(open_details_ > 0, "Report::close_details: nothing is open");
  --open_details_;
  body_ += "</details>\n";
  return *this;
}

void Report::figure(const std::string& content, std::string_view caption) {
  body_ += "<figure>\n" + content;
  if (!caption.empty()) body_ += "<figcaption>" + inline_text(caption) + "</figcaption>";
  body_ += "</figure>\n";
}

std::string Report::html() const {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<title>" +
      escape_xml(title_) + "</title>\n<style>" + kStyle +
      "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>" + escape_xml(title_) + "</h1>\n";
  if (!subtitle_.empty()) page += "<p class=\"subtitle\">" + inline_text(subtitle_) + "</p>\n";
  page += "</header>\n";
  if (headings_.size() >= 3) {
    page += "<nav>\n";
    for (std::size_t i = 0; i < headings_.size(); ++i)
      page += "<a href=\"#s" + std::to_string(i + 1) + "\">" + escape_xml(headings_[i]) + "</a>\n";
    page += "</nav>\n";
  }
  page += body_;
  for (int i = 0; i < open_details_; ++i) page += "</details>\n";
  return page +
         "<footer>Made by boxgrad. This page needs no network.</footer>\n</main>\n</body>\n"
         "</html>\n";
}

void Report::write(const std::filesystem::path& path) const { write_file_atomically(path, html()); }

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = std::uint32_t{bytes[i]} << 16;
    if (n > 1) group |= std::uint32_t{bytes[i + 1]} << 8;
    if (n > 2) group |= bytes[i + 2];
    for (std::size_t d = 0; d < 4; ++d) text += d <= n ? digits[group >> (18 - 6 * d) & 63] : '=';
  }
  return text;
}

}  // namespace boxgrad
