#pragma once

#include <cstdint>
#include <span>

namespace boxgrad {

/// How the rows and columns of a stored picture map to an upright one, as EXIF numbers it
/// (Exif 2.32, tag 0x0112). A camera held sideways stores its sensor's rows as they are and writes
/// one of these numbers beside them. The value says which sides of the *scene* are the stored
/// picture's first row and first column:
///
///   1 top, left      nothing to do            5 left, top      mirror at the main diagonal
///   2 top, right     mirror left-right        6 right, top     turn 90 degrees clockwise
///   3 bottom, right  turn 180 degrees         7 right, bottom  mirror at the other diagonal
///   4 bottom, left   mirror top-bottom        8 left, bottom   turn 90 degrees counterclockwise
///
/// Reads the orientation from a TIFF block: what follows "Exif\0\0" in a JPEG's APP1 segment, or
/// the content of a PNG's eXIf chunk. Cameras and editors write plenty of broken EXIF around good
/// pixels, so anything malformed (wrong magic, offsets outside the block, another type, a value
/// outside 1 to 8) counts as 1 and never throws. Only the first directory is read: thumbnails,
/// GPS and maker notes are never followed, so there is no chain that could loop.
int exif_orientation(std::span<const std::uint8_t> tiff);

}  // namespace boxgrad
