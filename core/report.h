#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace boxgrad {

/// A picture of an image grid: a file beside the page, by a path relative to it.
struct Picture {
  std::string path;     ///< "images/worst_01.png"
  std::string caption;  ///< "" for none
};

/// One HTML page about one run: it opens from a folder without network, reads well on a phone
/// and in dark mode, and is the same bytes for the same calls.
///
///   Report report("First detector", "FashionScenes, seed 1");
///   report.numbers({{"AP50", "0.761"}, {"training", "88 s"}})
///       .section("Training")
///       .paragraph("The loss falls as ...")
///       .svg(line_chart(losses, {.x_label = "iteration"}), "Loss by part.")
///       .pictures({{"images/scene_0.png", "scene 0"}});
///   report.write("out/demo/index.html");
///
/// All text is escaped: a class may be called <script>. In paragraphs, items and captions `code`
/// between back-quotes is set as code; nothing else is interpreted.
class Report {
 public:
  explicit Report(std::string title, std::string subtitle = "");

  /// A heading; from the third on the page gets a table of contents.
  Report& section(std::string_view heading);
  Report& paragraph(std::string_view text);
  Report& list(const std::vector<std::string>& items);
  /// A remark that stands out: what a reader should not miss.
  Report& note(std::string_view text);
  /// Text as it is, in a fixed-width font: a log, a table made for the terminal, a command.
  Report& preformatted(std::string_view text);
  /// A row of large numbers with what they mean: {"AP50", "0.761"}.
  Report& numbers(const std::vector<std::pair<std::string, std::string>>& name_and_value);
  /// Columns whose cells are all numbers are aligned to the right. Throws std::invalid_argument
  /// when a row has not as many cells as the header.
  Report& table(const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows, std::string_view caption = "");
  /// A chart or graph of ours; `svg` is put in as it is and must come from this program.
  Report& svg(std::string_view svg, std::string_view caption = "");
  /// One picture in full width. Throws std::invalid_argument when the path is absolute, empty or
  /// leaves the folder.
  Report& picture(const Picture& picture);
  /// Many pictures in a grid that fits itself to the screen; a click opens one alone.
  /// `min_width` in px: how narrow a picture may become.
  Report& pictures(const std::vector<Picture>& pictures, int min_width = 180);
  /// A PNG or JPEG inside the page itself, e.g. Image::encode_png().
  Report& embedded(std::span<const std::uint8_t> image, std::string_view caption = "");
  /// What most readers skip: opens on a click. Everything until the matching close_details().
  Report& open_details(std::string_view summary);
  Report& close_details();

  std::string html() const;
  /// Writes html() through a temporary file; throws std::runtime_error naming the path.
  void write(const std::filesystem::path& path) const;

 private:
  void figure(const std::string& content, std::string_view caption);

  std::string title_, subtitle_, body_;
  std::vector<std::string> headings_;
  int open_details_ = 0;
};

/// RFC 4648's base 64.
std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace boxgrad
