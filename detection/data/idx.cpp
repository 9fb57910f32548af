#include "detection/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <iomanip>
#include <limits>
#include <sstream>

#include "core/check.h"
#include "core/files.h"

namespace boxgrad::detection {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 31;
// Deflate spends at least one bit per symbol pair and a symbol repeats at most 258 bytes, which
// bounds its ratio by 1032 (zlib's documentation, "zlib Technical Details").
constexpr std::uint64_t kMaxDeflateRatio = 1032;

// The bytes of a file from front to back, decompressed on the way if they are gzip's.
class ByteSource {
 public:
  ByteSource(std::span<const std::uint8_t> bytes, const std::string& name)
      : bytes_(bytes),
        name_(name),
        gzip_(bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
    if (!gzip_) return;
    check(bytes.size() <= std::numeric_limits<uInt>::max(), "read_idx: \"", name, "\" has ",
          bytes.size(), " bytes, at most 4 GiB are accepted");
    stream_.next_in = const_cast<Bytef*>(bytes.data());  // zlib's field predates const; only read
    stream_.avail_in = static_cast<uInt>(bytes.size());
    check(inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK, "read_idx: cannot start zlib for \"",
          name, "\"");
  }
  ~ByteSource() {
    if (gzip_) inflateEnd(&stream_);
  }
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  // An upper bound on what all the bytes can become.
  std::uint64_t most_bytes() const { return bytes_.size() * (gzip_ ? kMaxDeflateRatio : 1); }

  // Fills `out`; `what` names it if the file ends before.
  void read(std::span<std::uint8_t> out, const char* what) {
    const std::size_t got = gzip_ ? inflate_into(out) : copy_into(out);
    check(got == out.size(), "read_idx: \"", name_, "\" ends inside its ", what, ": expected ",
          out.size(), " bytes, got ", got);
  }

  // Everything was read, and gzip's checksum holds.
  void expect_end() {
    std::uint8_t extra = 0;
    const std::size_t more = gzip_ ? inflate_into({&extra, 1}) : copy_into({&extra, 1});
    check(more == 0, "read_idx: \"", name_, "\" holds more bytes than its header announces");
    if (!gzip_) return;
    check(ended_, "read_idx: \"", name_, "\" lacks the end of its gzip stream (truncated?)");
    check(stream_.avail_in == 0, "read_idx: \"", name_, "\" has ", stream_.avail_in,
          " bytes after the end of its gzip stream");
  }

 private:
  std::size_t copy_into(std::span<std::uint8_t> out) {
    const std::size_t n = std::min(out.size(), bytes_.size() - position_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(position_), n, out.begin());
    position_ += n;
    return n;
  }

  std::size_t inflate_into(std::span<std::uint8_t> out) {
    std::size_t filled = 0;
    while (filled < out.size() && !ended_) {
      const std::size_t piece = std::min<std::size_t>(out.size() - filled, 1 << 30);
      stream_.next_out = out.data() + filled;
      stream_.avail_out = static_cast<uInt>(piece);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      filled += piece - stream_.avail_out;
      ended_ = status == Z_STREAM_END;   // zlib has compared CRC-32 and length by then
      if (status == Z_BUF_ERROR) break;  // the compressed bytes ran out
      check(status == Z_OK || status == Z_STREAM_END, "read_idx: \"", name_,
            "\" is damaged gzip data: ", stream_.msg ? stream_.msg : zError(status));
    }
    return filled;
  }

  std::span<const std::uint8_t> bytes_;
  const std::string& name_;
  bool gzip_;
  bool ended_ = false;
  std::size_t position_ = 0;
  z_stream stream_{};
};

std::string hex(std::span<const std::uint8_t> bytes) {
  std::ostringstream text;
  for (const std::uint8_t byte : bytes)
    text << std::hex << std::setw(2) << std::setfill('0') << int{byte};
  return text.str();
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name) {
  ByteSource source(bytes, name);
  std::array<std::uint8_t, 4> magic{};
  source.read(magic, "magic number");
  check(magic[0] == 0 && magic[1] == 0, "read_idx: \"", name,
        "\" must begin with 0000 (an IDX file), got ", hex(magic));
  check(magic[2] == 0x08, "read_idx: \"", name,
        "\" must hold unsigned bytes (type 08), got magic number ", hex(magic));
  const int axes = magic[3];
  check(axes >= 1 && axes <= 4, "read_idx: \"", name, "\" must have 1 to 4 axes, got ", axes);

  std::vector<std::int64_t> extents;
  std::int64_t total = 1;
  for (int a = 0; a < axes; ++a) {
    std::array<std::uint8_t, 4> e{};
    source.read(e, "header");
    extents.push_back((std::int64_t{e[0]} << 24) | (e[1] << 16) | (e[2] << 8) | e[3]);
    total = checked_mul(total, extents.back(), name.c_str());
  }
  check(static_cast<std::uint64_t>(total) <= source.most_bytes(), "read_idx: \"", name,
        "\" announces ", total, " values, more than its ", bytes.size(), " bytes can hold");

  IdxArray array{Shape(std::move(extents)),
                 std::vector<std::uint8_t>(static_cast<std::size_t>(total))};
  source.read(array.values, "values");
  source.expect_end();
  return array;
}

IdxArray read_idx(const std::filesystem::path& path) {
  return parse_idx(read_file(path, kMaxFileBytes), path.string());
}

}  // namespace boxgrad::detection
