#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.h"
#include "core/exif.h"
#include "core/image_check.h"

namespace boxgrad {

namespace {

using Bytes = std::span<const std::uint8_t>;

// Markers of ITU-T T.81, table B.1 (the byte after 0xff).
constexpr int kSof0 = 0xc0, kSof2 = 0xc2, kDht = 0xc4, kJpg = 0xc8, kDac = 0xcc, kSof15 = 0xcf,
              kRst0 = 0xd0, kRst7 = 0xd7, kEoi = 0xd9, kSos = 0xda, kDqt = 0xdb, kDnl = 0xdc,
              kDri = 0xdd, kApp0 = 0xe0, kApp1 = 0xe1, kApp14 = 0xee, kApp15 = 0xef, kCom = 0xfe;

// Ten or so are usual in a progressive file. Each costs a pass over the whole picture, however
// few bytes it has, so a small file with thousands of scans would keep the decoder busy for hours.
constexpr int kMaxScans = 128;

struct Component {
  int id = 0, horizontal = 0, vertical = 0, quantizer = 0;
  bool has_data = false;
};

/// Walks the segments of a JPEG in the order, and with the positions, of the decoder.
class JpegWalk {
 public:
  JpegWalk(Bytes bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  ImageHeader run() {
    header_.format = ImageHeader::Format::jpeg;
    at_ = 2;  // after the start marker
    for (int marker = next_marker(); marker != kEoi; marker = next_marker()) {
      segment(marker);
      if (marker == kSos && !skip_scan()) break;
    }
    require(frame_seen_ && scans_ > 0, "it has no picture data");
    for (const Component& c : components())
      require(c.has_data, "the data of colour component ", c.id, " is missing");
    return header_;
  }

 private:
  template <class... Parts>
  void require(bool condition, const Parts&... parts) const {
    check(condition, where_, "damaged JPEG: ", parts...);
  }

  std::span<Component> components() { return {components_.data(), num_components_}; }
  int byte(std::size_t i) const { return segment_[i]; }
  int word(std::size_t i) const { return segment_[i] << 8 | segment_[i + 1]; }

  // The next marker, with at_ behind it. Stray bytes are allowed only before the frame header, as
  // the decoder does; 0xff may be repeated.
  int next_marker() {
    while (at_ < bytes_.size() && bytes_[at_] != 0xff && !frame_seen_) ++at_;
    require(at_ >= bytes_.size() || bytes_[at_] == 0xff, "expected a marker at byte ", at_,
            ", got ", at_ < bytes_.size() ? +bytes_[at_] : 0);
    while (at_ < bytes_.size() && bytes_[at_] == 0xff) ++at_;
    check(at_ < bytes_.size(), where_, "the JPEG file ends early: ", bytes_.size(),
          " bytes, and no end of the picture");
    return bytes_[at_++];
  }

  void segment(int marker) {
    check(bytes_.size() - at_ >= 2, where_, "the JPEG file ends early: expected a segment at byte ",
          at_, ", got the end of the file");
    const std::size_t length = static_cast<std::size_t>(bytes_[at_] << 8 | bytes_[at_ + 1]);
    require(length >= 2, "the segment at byte ", at_, " must have at least 2 bytes, got ", length);
    check(length <= bytes_.size() - at_, where_, "the JPEG file ends early: the segment at byte ",
          at_, " needs ", length, " bytes, got ", bytes_.size() - at_);
    segment_ = bytes_.subspan(at_ + 2, length - 2);
    at_ += length;

    if (marker == kDht) return huffman_tables();
    if (marker == kDqt) return quantizers();
    if (marker == kSos) return scan_header();
    if (marker >= kSof0 && marker <= kSof15 && marker != kDac && marker != kJpg)
      return frame_header(marker);
    if (marker == kDri) return require(segment_.size() == 2, "a restart interval has 2 bytes");
    if (marker == kDnl)
      return require(frame_seen_ && segment_.size() == 2 && word(0) == header_.height,
                     "it changes its height on the way");
    if (marker == kApp1) return exif();
    if (marker == kApp14) return adobe();
    require(marker != kDac, "arithmetic coding is not supported");
    require((marker >= kApp0 && marker <= kApp15) || marker == kCom, "unknown marker ", marker,
            " before byte ", at_);
  }

  // T.81 B.2.4.2. The decoder's tables have 256 places and it adds sixteen counts unchecked; it
  // also reads the counts from behind the segment when that is too short.
  void huffman_tables() {
    for (std::size_t i = 0; i < segment_.size();) {
      require(segment_.size() - i >= 17, "a Huffman table needs a header of 17 bytes, got ",
              segment_.size() - i);
      const int kind = byte(i) >> 4, slot = byte(i) & 15;
      require(kind <= 1 && slot <= 3, "no such Huffman table: class ", kind, ", number ", slot);
      int count = 0;
      for (std::size_t k = 1; k <= 16; ++k) count += byte(i + k);
      require(count <= 256, "a Huffman table holds at most 256 codes, got ", count);
      i += 17;
      require(static_cast<std::size_t>(count) <= segment_.size() - i, "a Huffman table has ", count,
              " codes, but only ", segment_.size() - i, " bytes follow");
      i += static_cast<std::size_t>(count);
      huffman_[static_cast<std::size_t>(kind)][static_cast<std::size_t>(slot)] = true;
    }
  }

  void quantizers() {  // T.81 B.2.4.1
    for (std::size_t i = 0; i < segment_.size();) {
      const int bits = byte(i) >> 4, slot = byte(i) & 15;
      const std::size_t size = bits == 0 ? 65 : 129;
      require(bits <= 1 && slot <= 3, "no such quantisation table: ", bits, ", number ", slot);
      require(segment_.size() - i >= size, "a quantisation table needs ", size, " bytes, got ",
              segment_.size() - i);
      i += size;
      quantizer_[static_cast<std::size_t>(slot)] = true;
    }
  }

  void frame_header(int marker) {  // T.81 B.2.2
    check(marker <= kSof2, where_, "expected a baseline or progressive JPEG, got a ",
          marker == 0xc3 || marker == 0xc7 ? "lossless" : "arithmetic-coded or hierarchical",
          " one (frame type ", marker - kSof0, ")");
    require(!frame_seen_, "it has two frame headers");
    require(segment_.size() >= 6 && segment_.size() == 6u + 3u * static_cast<unsigned>(byte(5)),
            "the frame header's length does not match");
    check(byte(0) == 8, where_, "expected a JPEG with 8 bits a channel, got ", byte(0));
    header_.height = word(1);
    header_.width = word(3);
    require(header_.width > 0 && header_.height > 0, "the picture has size ", header_.width, " x ",
            header_.height);
    num_components_ = static_cast<std::size_t>(byte(5));
    require(num_components_ == 1 || num_components_ == 3 || num_components_ == 4,
            "expected 1, 3 or 4 colour components, got ", num_components_);
    int h_max = 1, v_max = 1;
    for (std::size_t i = 0; i < num_components_; ++i) {
      Component& c = components_[i];
      c = {byte(6 + 3 * i), byte(7 + 3 * i) >> 4, byte(7 + 3 * i) & 15, byte(8 + 3 * i)};
      require(c.horizontal >= 1 && c.horizontal <= 4 && c.vertical >= 1 && c.vertical <= 4 &&
                  c.quantizer <= 3,
              "colour component ", c.id, " is sampled ", c.horizontal, " x ", c.vertical,
              " with table ", c.quantizer);
      for (std::size_t k = 0; k < i; ++k)
        require(components_[k].id != c.id, "two colour components have the number ", c.id);
      h_max = std::max(h_max, c.horizontal);
      v_max = std::max(v_max, c.vertical);
    }
    progressive_ = marker == kSof2;
    frame_seen_ = true;

    const std::int64_t across = (header_.width + 8 * h_max - 1) / (8 * h_max);
    const std::int64_t down = (header_.height + 8 * v_max - 1) / (8 * v_max);
    std::int64_t blocks = 0;
    for (const Component& c : components()) blocks += across * c.horizontal * down * c.vertical;
    // Every block of 8 x 8 costs at least one bit, so a small file cannot hold a large picture.
    require(blocks / 8 <= static_cast<std::int64_t>(bytes_.size()), bytes_.size(),
            " bytes cannot hold a picture of ", header_.width, " x ", header_.height, " pixels");
    header_.decoder_bytes = static_cast<std::size_t>(64 * blocks * (progressive_ ? 3 : 1) +
                                                     4 * header_.width * header_.height) +
                            (std::size_t{1} << 20);
  }

  void scan_header() {  // T.81 B.2.3
    require(frame_seen_, "a scan comes before the frame header");
    require(++scans_ <= kMaxScans, "it has more than ", kMaxScans, " scans");
    require(num_components_ != 4 || adobe_transform_ == 0 || adobe_transform_ == 2,
            "it has four colour components and no Adobe marker that says which; save it as RGB");
    const std::size_t n = segment_.empty() ? 0 : segment_[0];
    require(n >= 1 && n <= num_components_ && segment_.size() == 4 + 2 * n,
            "the scan header's length does not match");
    const int first = byte(1 + 2 * n), last = byte(2 + 2 * n);
    const int high = byte(3 + 2 * n) >> 4, low = byte(3 + 2 * n) & 15;
    if (progressive_)
      require(first <= last && last <= 63 && high <= 13 && low <= 13 && (first > 0 || last == 0) &&
                  (first == 0 || n == 1),
              "no such scan: coefficients ", first, " to ", last, " of ", n, " components");
    else
      require(first == 0 && high == 0 && low == 0, "no such scan in a baseline file");
    const bool needs_dc = !progressive_ || (first == 0 && high == 0);
    const bool needs_ac = !progressive_ || first > 0;
    for (std::size_t i = 0; i < n; ++i) {
      const int id = byte(1 + 2 * i), dc = byte(2 + 2 * i) >> 4, ac = byte(2 + 2 * i) & 15;
      Component* component = nullptr;
      for (Component& c : components())
        if (c.id == id) component = &c;
      require(component != nullptr, "a scan names the colour component ", id,
              ", which does not exist");
      // The decoder would use memory that was never written.
      require(dc <= 3 && ac <= 3 && (!needs_dc || huffman_[0][static_cast<std::size_t>(dc)]) &&
                  (!needs_ac || huffman_[1][static_cast<std::size_t>(ac)]),
              "a scan uses a Huffman table that was not defined");
      require(quantizer_[static_cast<std::size_t>(component->quantizer)],
              "a scan uses a quantisation table that was not defined");
      if (needs_dc) component->has_data = true;
      require(component->has_data, "a scan refines colour component ", id, " before it began");
    }
  }

  // Passes over entropy-coded data to the marker behind it, where 0xff00 stands for a data byte
  // 0xff and restart markers belong to the data. False at the end of the file: the end marker is
  // missing. Whether the picture is complete, only decoding can tell (core/image.cpp); in a
  // progressive file even that cannot tell whether a refinement is missing.
  bool skip_scan() {
    while (true) {
      const void* found = at_ < bytes_.size()
                              ? std::memchr(bytes_.data() + at_, 0xff, bytes_.size() - at_)
                              : nullptr;
      std::size_t start = bytes_.size();
      if (found)
        start = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - bytes_.data());
      std::size_t i = start;
      while (i < bytes_.size() && bytes_[i] == 0xff) ++i;
      if (i == bytes_.size()) {
        check(!progressive_, where_, "the JPEG file ends early: ", bytes_.size(),
              " bytes, and no end of the picture");
        header_.cut_at = start;
        return false;
      }
      const int marker = bytes_[i];
      if (marker != 0 && (marker < kRst0 || marker > kRst7)) {
        at_ = start;
        return true;
      }
      at_ = i + 1;
    }
  }

  void exif() {
    static constexpr std::array<std::uint8_t, 6> kSignature = {'E', 'x', 'i', 'f', 0, 0};
    if (segment_.size() >= kSignature.size() &&
        std::memcmp(segment_.data(), kSignature.data(), kSignature.size()) == 0)
      header_.orientation = exif_orientation(segment_.subspan(kSignature.size()));
  }

  void adobe() {  // "Adobe", version (2), flags (2 + 2), then the colour transform
    if (segment_.size() >= 12 && std::memcmp(segment_.data(), "Adobe", 6) == 0)
      adobe_transform_ = byte(11);
  }

  Bytes bytes_, segment_;
  const std::string& where_;
  ImageHeader header_;
  std::size_t at_ = 0, num_components_ = 0;
  std::array<Component, 4> components_;
  std::array<std::array<bool, 4>, 2> huffman_{};  // [dc or ac][number]: defined so far
  std::array<bool, 4> quantizer_{};
  bool frame_seen_ = false, progressive_ = false;
  int scans_ = 0, adobe_transform_ = -1;
};

}  // namespace

ImageHeader check_jpeg(Bytes bytes, const std::string& where) {
  return JpegWalk(bytes, where).run();
}

}  // namespace boxgrad
