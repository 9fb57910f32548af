#include <zlib.h>

#include <algorithm>

#include "core/check.h"
#include "detection/data/idx.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;
using Bytes = std::vector<std::uint8_t>;

namespace {

// Two rows of three: 0000 08 02 | 2 | 3 | 1..6.
Bytes small_idx() { return {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6}; }

Bytes gzip(const Bytes& bytes) {
  Bytes out(bytes.size() + 128);
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string error_of(const Bytes& bytes) {
  try {
    parse_idx(bytes, "some.idx");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("parse_idx reads plain and compressed bytes", "[data][idx]") {
  for (const Bytes& bytes : {small_idx(), gzip(small_idx())}) {
    const IdxArray array = parse_idx(bytes, "x");
    CHECK(array.shape == Shape({2, 3}));
    CHECK(array.values == Bytes{1, 2, 3, 4, 5, 6});
  }
  CHECK(parse_idx(Bytes{0, 0, 8, 1, 0, 0, 0, 0}, "x").values.empty());
}

TEST_CASE("parse_idx refuses what is no IDX file of bytes", "[data][idx][errors]") {
  Bytes bytes = small_idx();
  bytes[0] = 'P';
  CHECK(error_of(bytes) ==
        "read_idx: \"some.idx\" must begin with 0000 (an IDX file), got 50000802");
  bytes = small_idx();
  bytes[2] = 0x0d;  // 32-bit floats
  CHECK_THAT(error_of(bytes), Catch::Contains("must hold unsigned bytes (type 08)"));
  bytes = small_idx();
  bytes[3] = 200;
  CHECK_THAT(error_of(bytes), Catch::Contains("1 to 4 axes, got 200"));
}

TEST_CASE("parse_idx refuses every truncation and any addition", "[data][idx][errors]") {
  const Bytes plain = small_idx(), packed = gzip(plain);
  for (std::size_t n = 0; n < plain.size(); ++n)
    CHECK(error_of(Bytes(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(n))) !=
          "accepted");
  for (std::size_t n = 0; n < packed.size(); ++n)
    CHECK(error_of(Bytes(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(n))) !=
          "accepted");
  Bytes longer = plain;
  longer.push_back(0);
  CHECK_THAT(error_of(longer), Catch::Contains("more bytes than its header announces"));
  CHECK_THAT(error_of(gzip(longer)), Catch::Contains("more bytes than its header announces"));
  longer = packed;
  longer.push_back(0);
  CHECK_THAT(error_of(longer), Catch::Contains("after the end of its gzip stream"));
}

TEST_CASE("parse_idx notices a changed byte in gzip data", "[data][idx][errors]") {
  // Bytes 3..9 of a gzip header (flags, time, level, system) are not protected by the checksum.
  const Bytes packed = gzip(small_idx());
  for (std::size_t i = 10; i < packed.size(); ++i) {
    Bytes damaged = packed;
    damaged[i] ^= 0x10;
    INFO("byte " << i);
    CHECK(error_of(damaged) != "accepted");
  }
}

TEST_CASE("parse_idx refuses impossible sizes before it allocates", "[data][idx][errors]") {
  const Bytes huge{0, 0, 8, 1, 255, 255, 255, 255};
  CHECK(error_of(huge) ==
        "read_idx: \"some.idx\" announces 4294967295 values, more than its 8 bytes can hold");
  CHECK_THAT(error_of(gzip(huge)), Catch::Contains("announces 4294967295 values"));
  // 2^32-1 to the fourth power leaves 64 bits.
  Bytes wraps(20, 255);
  std::copy_n(Bytes{0, 0, 8, 4}.begin(), 4, wraps.begin());
  CHECK(error_of(wraps) != "accepted");
}

TEST_CASE("read_idx names a missing file", "[data][idx][errors]") {
  CHECK_THROWS_WITH(read_idx("/nonexistent/a.idx"), Catch::Contains("/nonexistent/a.idx"));
}
