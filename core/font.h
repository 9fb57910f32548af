#pragma once

#include <string_view>
#include <vector>

namespace boxgrad {

/// The small bitmap font behind draw_text(): printable ASCII, fixed width, no file to load.
constexpr int kGlyphWidth = 5;   ///< columns of ink; a text advances by one more
constexpr int kGlyphHeight = 9;  ///< rows: seven above the baseline, two below
constexpr int kGlyphAscent = 7;

/// The glyphs of a text, one per character. A UTF-8 character outside ASCII, or a control
/// character, becomes one empty box, so a label in any script keeps its length.
std::vector<int> glyphs_of(std::string_view text);

/// Whether the glyph has ink in column x (0 to 4), row y (0 to 8).
bool glyph_ink(int glyph, int x, int y);

}  // namespace boxgrad
