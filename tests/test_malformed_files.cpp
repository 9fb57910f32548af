// Files of numbers and pictures with one wrong thing each: every one is refused in words, before
// memory is allocated for what its header promises. Annotations are in test_malformed.cpp.
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/image.h"
#include "core/serialize.h"
#include "core/tfjs_weights.h"
#include "detection/data/idx.h"
#include "tests/catch.h"
#include "tests/golden/images.h"
#include "tests/tfjs_folder.h"

using namespace boxgrad;

namespace {

using Bytes = std::vector<std::uint8_t>;

struct Case {
  const char* name;
  Bytes bytes;
  std::string said;
};

void check_refused(const Case& c, const std::function<void(const Bytes&)>& read) {
  INFO(c.name);
  try {
    read(c.bytes);
    FAIL("accepted");
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    CHECK_THAT(text, Catch::Contains(c.said));
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.find("stranger") != std::string::npos);  // the file's name
  }
}

std::string text_of(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }
Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// --- numbers --------------------------------------------------------------------------------

std::vector<Case> idx_cases() {
  Bytes wraps(20, 255);
  std::copy_n(Bytes{0, 0, 8, 4}.begin(), 4, wraps.begin());
  return {{"empty", {}, "ends inside its magic number"},
          {"half a magic number", {0, 0}, "ends inside its magic number"},
          {"text", bytes_of("label,pixel1"), "must begin with 0000"},
          {"floats", {0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0}, "type 08"},
          {"no axis", {0, 0, 8, 0}, "1 to 4 axes, got 0"},
          {"255 axes", {0, 0, 8, 255, 0, 0, 0, 1}, "1 to 4 axes, got 255"},
          {"half an extent", {0, 0, 8, 1, 0, 0}, "ends inside its header"},
          {"2^32 - 1 values", {0, 0, 8, 1, 255, 255, 255, 255}, "announces 4294967295 values"},
          {"extents that wrap", wraps, "4294967295 x 4294967295 is too large"},
          {"one value less", {0, 0, 8, 1, 0, 0, 0, 3, 1, 2}, "ends inside its values"},
          {"one value more", {0, 0, 8, 1, 0, 0, 0, 1, 1, 2}, "more bytes than its header"},
          {"gzip's name only", {0x1f, 0x8b}, "ends inside its magic number"},
          {"gzip of nonsense", {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 255, 255}, "damaged gzip"}};
}

Bytes safetensors(const std::string& header, std::size_t data, std::uint64_t announced = 0) {
  const std::uint64_t length = announced ? announced : header.size();
  Bytes bytes;
  for (int shift = 0; shift < 64; shift += 8)
    bytes.push_back(static_cast<std::uint8_t>(length >> shift));
  for (const char c : header) bytes.push_back(static_cast<std::uint8_t>(c));
  bytes.resize(bytes.size() + data);
  return bytes;
}

std::string entry(const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "\"F32\"") {
  return "{\"a\":{\"dtype\":" + dtype + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}}";
}

std::vector<Case> safetensors_cases() {
  return {
      {"empty", {}, "not a safetensors file: 0 bytes"},
      {"a header of 2^63 bytes", safetensors("{}", 0, std::uint64_t{1} << 63), "is announced"},
      {"a list", safetensors("[]", 0), "must start with {"},
      {"cut JSON", safetensors("{\"a\":", 0), "not JSON"},
      {"nested", safetensors("{\"a\":" + std::string(100'000, '['), 0), "nested too deeply"},
      {"a name twice", safetensors("{\"a\":1,\"a\":2}", 0), "twice"},
      {"not an object", safetensors("{\"a\":1}", 0), "needs dtype, shape and data_offsets"},
      {"integers", safetensors(entry("[1]", "[0,8]", "\"I64\""), 8), "got \"I64\""},
      {"a type that is none", safetensors(entry("[1]", "[0,4]", "7"), 4), "must be a string"},
      {"an extent below 0", safetensors(entry("[-1]", "[0,4]"), 4), "whole number >= 0, got -1"},
      {"half an extent", safetensors(entry("[1.5]", "[0,4]"), 4), "whole number >= 0, got 1.5"},
      {"an extent of 2^63", safetensors(entry("[9223372036854775808]", "[0,4]"), 4), "too large"},
      {"extents that wrap", safetensors(entry("[4294967296,4294967296]", "[0,4]"), 4),
       "4294967296 x 4294967296 is too large"},
      {"offsets reversed", safetensors(entry("[1]", "[4,0]"), 4), "wrong order"},
      {"one offset", safetensors(entry("[1]", "[0]"), 4), "two numbers"},
      {"too few bytes", safetensors(entry("[2]", "[0,4]"), 4), "takes 8 bytes"},
      {"behind the end", safetensors(entry("[2]", "[0,8]"), 4), "the file has 4 for them"},
      {"a hole", safetensors(entry("[1]", "[4,8]"), 8), "behind a hole"},
      {"bytes left over", safetensors(entry("[1]", "[0,4]"), 9), "the file has 9 for them"},
      {"metadata of numbers", safetensors("{\"__metadata__\":{\"a\":1}}", 0), "must be a string"},
  };
}

/// A manifest beside a file "shard" of 8 bytes.
std::vector<Case> tfjs_cases() {
  const auto group = [](const std::string& weight, const std::string& path = "\"shard\"") {
    return bytes_of("[{\"weights\":[" + weight + "],\"paths\":[" + path + "]}]");
  };
  const auto weight = [](const std::string& shape, const std::string& more = "",
                         const std::string& dtype = "\"float32\"") {
    return "{\"name\":\"w\",\"shape\":" + shape + ",\"dtype\":" + dtype + more + "}";
  };
  const auto quantized = [](const std::string& inside) {
    return ",\"quantization\":{" + inside + "}";
  };
  return {
      {"empty", {}, "not JSON"},
      {"an object", bytes_of("{}"), "a list of groups"},
      {"nested", bytes_of(std::string(100'000, '[')), "nested too deeply"},
      {"no paths", bytes_of("[{\"weights\":[]}]"), "needs \"paths\""},
      {"a path that is a number", group("", "1"), "must be a string"},
      {"an absolute path", group("", "\"/etc/passwd\""), "leads out of"},
      {"a parent", group("", "\"../shard\""), "leads out of"},
      {"a parent on the way", group("", "\"x/../../shard\""), "leads out of"},
      {"a drive", group("", "\"C:shard\""), "not a plain relative path"},
      {"a NUL", group("", "\"shard\\u0000\""), "not a plain relative path"},
      {"no name", group("{}"), "needs \"name\""},
      {"a name twice", group(weight("[1]") + "," + weight("[1]")), "twice"},
      {"another type", group(weight("[2]", "", "\"bool\"")), "got \"bool\""},
      {"extents that wrap", group(weight("[4294967296,4294967296]")), "tensor \"w\""},
      {"too many axes", group(weight("[1,1,1,1,1,1,1,1,2]")), "at most 8 extents"},
      {"more than the file", group(weight("[3]")), "the tensors take 12 bytes, the files have 8"},
      {"less than the file", group(weight("[1]")), "the tensors take 4 bytes, the files have 8"},
      {"quantised to 16 bits", group(weight("[4]", quantized("\"dtype\":\"uint16\""))), "uint16"},
      {"a scale that is none",
       group(weight("[8]", quantized("\"dtype\":\"uint8\",\"scale\":null,\"min\":0"))), "scale"},
      {"a scale of 1e308",
       group(weight("[8]", quantized("\"dtype\":\"uint8\",\"scale\":1e308,\"min\":1e308"))),
       "not finite"},
  };
}

// --- pictures -------------------------------------------------------------------------------

void append(Bytes& to, const Bytes& more) {
  for (const std::uint8_t byte : more) to.push_back(byte);
}

Bytes chunk(const std::string& name, const Bytes& content) {
  const auto big_endian = [](std::uint32_t v) {
    return Bytes{static_cast<std::uint8_t>(v >> 24), static_cast<std::uint8_t>(v >> 16),
                 static_cast<std::uint8_t>(v >> 8), static_cast<std::uint8_t>(v)};
  };
  Bytes named = bytes_of(name);
  append(named, content);
  Bytes bytes = big_endian(static_cast<std::uint32_t>(content.size()));
  append(bytes, named);
  const Bytes sum = big_endian(
      static_cast<std::uint32_t>(crc32(0, named.data(), static_cast<uInt>(named.size()))));
  append(bytes, sum);
  return bytes;
}

/// A PNG of these chunks, all of them with sound checksums.
Bytes png(const std::vector<Bytes>& chunks) {
  Bytes bytes = bytes_of("\x89PNG\r\n\x1a\n");
  for (const Bytes& c : chunks) append(bytes, c);
  return bytes;
}

Bytes header(std::uint32_t width, std::uint32_t height, std::uint8_t bits, std::uint8_t type,
             std::uint8_t interlace = 0) {
  Bytes content;
  for (const std::uint32_t side : {width, height})
    for (int shift = 24; shift >= 0; shift -= 8)
      content.push_back(static_cast<std::uint8_t>(side >> shift));
  content.insert(content.end(), {bits, type, 0, 0, interlace});
  return chunk("IHDR", content);
}

std::vector<Case> png_cases() {
  const Bytes end = chunk("IEND", {}), data = chunk("IDAT", {0x78, 0x9c, 0x63, 0, 0, 0, 2, 0, 1});
  const auto with = [&](const Bytes& head) { return png({head, data, end}); };
  return {
      {"the name alone", png({}), "ends early"},
      {"no IHDR", png({data, end}), "IHDR must be the first"},
      {"IHDR twice", png({header(1, 1, 8, 0), header(1, 1, 8, 0), data, end}), "only it"},
      {"a short IHDR", with(chunk("IHDR", {0, 0})), "IHDR must have 13 bytes"},
      {"0 wide", with(header(0, 1, 8, 0)), "size 0 x 1"},
      {"2^31 high", with(header(1, 1u << 31, 8, 0)), "more than any decoder takes"},
      {"32768 x 32768", with(header(32768, 32768, 8, 2)), "cannot hold a picture"},
      {"20000 x 20000 of one bit", with(header(20000, 20000, 1, 0)), "cannot hold a picture"},
      {"3 bits", with(header(1, 1, 3, 0)), "no such picture format"},
      {"16 bits of a palette", with(header(1, 1, 16, 3)), "no such picture format"},
      {"colour type 5", with(header(1, 1, 8, 5)), "no such picture format"},
      {"interlace 2", with(header(1, 1, 8, 0, 2)), "no such picture format"},
      {"no data", png({header(1, 1, 8, 0), end}), "no picture data"},
      {"no end", png({header(1, 1, 8, 0), data}), "ends early"},
      {"no palette", with(header(1, 1, 8, 3)), "palette is missing"},
      {"a palette of 257", png({header(1, 1, 8, 3), chunk("PLTE", Bytes(771)), data, end}),
       "1 to 256 colours"},
      {"an unknown part", png({header(1, 1, 8, 0), chunk("ABCD", {}), data, end}), "ABCD"},
      {"Apple's", png({chunk("CgBI", {0, 0, 0, 0}), header(1, 1, 8, 0), data, end}), "IHDR must"},
      {"nonsense for data", png({header(9, 9, 8, 2), chunk("IDAT", Bytes(64, 255)), end}),
       "damaged file"},
      {"too few rows", with(header(64, 64, 8, 2)), "damaged"},
  };
}

std::vector<Case> jpeg_cases() {
  const std::string whole = text_of(golden::kJpeg);
  const std::size_t frame = whole.find("\xff\xc0"), scan = whole.find("\xff\xda"),
                    table = whole.find("\xff\xc4");
  const auto changed = [&](std::size_t at, int value) {
    Bytes bytes = bytes_of(whole);
    bytes[at] = static_cast<std::uint8_t>(value);
    return bytes;
  };
  const auto inserted = [&](std::size_t at, const std::string& what) {
    return bytes_of(whole.substr(0, at) + what + whole.substr(at));
  };
  Bytes large = changed(frame + 5, 255);
  large[frame + 7] = 255;
  return {
      {"a marker alone", {0xff, 0xd8}, "ends early"},
      {"an end at once", {0xff, 0xd8, 0xff, 0xd9}, "no picture data"},
      {"a text", bytes_of("<html>404</html>"), "a text file"},
      {"empty", {}, "the file is empty"},
      {"zeros", Bytes(100), "zeros only"},
      {"0 high", changed(frame + 6, 0), "the picture has size 48 x 0"},
      {"65,000 pixels in a kilobyte", large, "cannot hold a picture"},
      {"12 bits", changed(frame + 4, 12), "8 bits a channel, got 12"},
      {"5 components", changed(frame + 9, 5), "the frame header's length does not match"},
      {"sampled 0 times", changed(frame + 11, 0), "sampled 0 x 0"},
      {"a quantiser that is not there", changed(frame + 12, 3), "not defined"},
      {"a Huffman table that is not there", changed(scan + 6, 0x33), "not defined"},
      {"a component that is not there", changed(scan + 5, 9), "does not exist"},
      {"arithmetic", changed(frame + 1, 0xc9), "arithmetic-coded"},
      {"two frames", inserted(scan, whole.substr(frame, 19)), "two frame headers"},
      {"a scan before the frame", inserted(frame, whole.substr(scan, 14)), "before the frame"},
      {"a table of 4080 codes",
       inserted(table, std::string("\xff\xc4\x10\x03", 4) + '\0' + std::string(16, '\xff') +
                           std::string(4080, '\1')),
       "at most 256 codes"},
      {"a table cut in its counts", inserted(table, std::string("\xff\xc4\0\5\0\xff\xff", 7)),
       "needs a header of 17 bytes, got 3"},
      {"a segment of 1 byte", inserted(table, std::string("\xff\xe2\0\1", 4)), "at least 2 bytes"},
      {"a segment beyond the end", inserted(table, "\xff\xe2\xff\xff"), "ends early"},
      {"half of the picture", bytes_of(whole.substr(0, (scan + whole.size()) / 2)), "ends early"},
  };
}

std::vector<Case> bmp_cases() {
  const auto changed = [](std::size_t at, std::initializer_list<int> values) {
    Bytes bytes = bytes_of(text_of(golden::kBmp24));
    for (const int value : values) bytes[at++] = static_cast<std::uint8_t>(value);
    return bytes;
  };
  return {{"cut in the header", bytes_of(text_of(golden::kBmp24).substr(0, 40)), "ends early"},
          {"pixels beyond the end", changed(10, {255, 255, 255, 127}), "ends early"},
          {"pixels inside the header", changed(10, {20, 0, 0, 0}), "expected the pixels"},
          {"a header of 12 bytes", changed(14, {12, 0, 0, 0}), "got 12"},
          {"wider than the file", changed(18, {255, 255, 0, 0}), "ends early"},
          {"negative width", changed(18, {255, 255, 255, 255}), "size -1"},
          {"the least height", changed(22, {0, 0, 0, 128}), "2147483648 rows of 12 bytes"},
          {"0 high", changed(22, {0, 0, 0, 0}), "x 0"},
          {"run lengths", changed(30, {1, 0, 0, 0}), "uncompressed"},
          {"4 bits", changed(28, {4, 0}), "got 4 bits"}};
}

}  // namespace

TEST_CASE("malformed idx files", "[malformed][idx]") {
  for (const Case& c : idx_cases())
    check_refused(c, [](const Bytes& bytes) { detection::parse_idx(bytes, "stranger"); });
}

TEST_CASE("malformed safetensors files", "[malformed][serialize]") {
  for (const Case& c : safetensors_cases())
    check_refused(c, [](const Bytes& bytes) { decode_safetensors(bytes, "stranger"); });
}

TEST_CASE("malformed manifests of TensorFlow.js", "[malformed][tfjs]") {
  const ScratchFolder folder("malformed_stranger");
  folder.write("in/shard", std::string(8, '\0'));
  folder.write("shard", "outside");
  for (const Case& c : tfjs_cases())
    check_refused(c, [&](const Bytes& bytes) {
      load_tfjs_weights(folder.write("in/manifest.json", text_of(bytes)));
    });
}

TEST_CASE("malformed pictures", "[malformed][image]") {
  for (const auto& cases : {png_cases(), jpeg_cases(), bmp_cases()})
    for (const Case& c : cases)
      check_refused(c, [](const Bytes& bytes) { Image::decode(bytes, "stranger"); });
}

TEST_CASE("the tables of malformed files are long enough", "[malformed]") {
  CHECK(idx_cases().size() + safetensors_cases().size() + tfjs_cases().size() + png_cases().size() +
            jpeg_cases().size() + bmp_cases().size() >=
        100);
}
