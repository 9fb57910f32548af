#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/check.h"
#include "core/files.h"
#include "core/serialize.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

using Bytes = std::vector<std::uint8_t>;

/// A file with a header of our choice and a body of zeros or given bytes.
Bytes file_of(const std::string& header, const Bytes& body) {
  Bytes bytes(8 + header.size() + body.size());
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::ranges::copy(header, bytes.begin() + 8);
  std::ranges::copy(body, bytes.begin() + 8 + static_cast<std::ptrdiff_t>(header.size()));
  return bytes;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return concat('"', name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape,
                ",\"data_offsets\":", offsets, "}");
}

}  // namespace

TEST_CASE("safetensors: what is written is read", "[serialize]") {
  TensorFile file;
  file.tensors = {{"conv.weight", Tensor({2, 2}, {1, -2, Scalar(0.5), 4})},
                  {"empty", Tensor({0, 3})},
                  {"bias", Tensor({3}, {7, 8, 9})}};
  file.metadata = {{"classes", "[\"<b>\", \"ä\"]"}, {"format", "test"}};
  const TensorFile back = decode_safetensors(encode_safetensors(file), "memory");
  REQUIRE(back.tensors.size() == 3);
  CHECK(back.metadata == file.metadata);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(back.tensors[i].first == file.tensors[i].first);
    CHECK(back.tensors[i].second.shape() == file.tensors[i].second.shape());
    CHECK(back.tensors[i].second.to_vector() == file.tensors[i].second.to_vector());
  }
  const auto path =
      std::filesystem::temp_directory_path() / concat("boxgrad_test_", ::getpid(), ".safetensors");
  save_safetensors(path, file);
  CHECK(load_safetensors(path).tensors[2].second.to_vector() == std::vector<Scalar>{7, 8, 9});
  std::filesystem::remove(path);
  CHECK_THROWS_AS(load_safetensors(path), std::runtime_error);
  file.tensors.push_back({"bias", Tensor({1})});
  CHECK_THROWS_WITH(encode_safetensors(file), "safetensors: the name \"bias\" is used twice");
}

TEST_CASE("safetensors: metadata as numbers", "[serialize]") {
  const TensorFile file{
      .tensors = {},
      .metadata = {{"s", "12.5"}, {"text", "12.5 s"}, {"none", ""}, {"large", "1e999"}}};
  CHECK(file.number("s") == 12.5);
  CHECK(file.number("text", -1) == -1);
  CHECK(file.number("none", -1) == -1);
  CHECK(file.number("large", -1) == -1);
  CHECK(file.number("missing") == 0);
}

TEST_CASE("safetensors: every float type becomes Scalar", "[serialize]") {
  // 1.5, -2, smallest denormal, infinity, NaN in half and in bfloat16; then 0.1 in double.
  const Bytes half = {0x00, 0x3e, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c, 0x01, 0x7e};
  const TensorFile f16 =
      decode_safetensors(file_of(concat("{", entry("x", "F16", "[5]", "[0,10]"), "}"), half), "f");
  const auto h = f16.tensors[0].second.to_vector();
  CHECK(h[0] == Scalar(1.5));
  CHECK(h[1] == -2);
  CHECK(h[2] == Scalar(std::ldexp(1.0, -24)));
  CHECK(std::isinf(h[3]));
  CHECK(std::isnan(h[4]));
  const TensorFile bf16 = decode_safetensors(
      file_of(concat("{", entry("x", "BF16", "[2]", "[0,4]"), "}"), {0xc0, 0x3f, 0x80, 0xff}), "f");
  CHECK(bf16.tensors[0].second.data()[0] == Scalar(1.5));
  CHECK(std::isinf(bf16.tensors[0].second.data()[1]));
  // Denormals survive, sign included, in either build: 2^-133 in bfloat16, -2^-149 in float.
  const TensorFile small =
      decode_safetensors(file_of(concat("{", entry("x", "BF16", "[1]", "[0,2]"), ",",
                                        entry("y", "F32", "[1]", "[2,6]"), "}"),
                                 {0x01, 0x00, 0x01, 0x00, 0x00, 0x80}),
                         "f");
  // Compared by their bits in float, as the processor may take denormals for zero.
  const Scalar bf = small.tensors[0].second.item(), f32 = small.tensors[1].second.item();
  if constexpr (sizeof(Scalar) == sizeof(float)) {
    CHECK(std::memcmp(&bf, "\x00\x00\x01\x00", 4) == 0);
    CHECK(std::memcmp(&f32, "\x01\x00\x00\x80", 4) == 0);
  } else {
    CHECK(bf == std::ldexp(Scalar(1), -133));
    CHECK(f32 == -std::ldexp(Scalar(1), -149));
  }
  const auto f64 = [](double value) {
    Bytes eight(8);
    std::memcpy(eight.data(), &value, 8);
    return decode_safetensors(file_of(concat("{", entry("x", "F64", "[]", "[0,8]"), "}"), eight),
                              "f")
        .tensors[0]
        .second;
  };
  CHECK(f64(0.1).shape() == Shape{1});
  CHECK(f64(0.1).item() == Scalar(0.1));
  CHECK(std::isinf(f64(-INFINITY).item()));
  if (sizeof(Scalar) == sizeof(float))
    CHECK_THROWS_WITH(f64(1e39), "f: tensor \"x\": the number 1e+39 is too large for a float");
  else
    CHECK(f64(1e39).item() == Scalar(1e39));
}

TEST_CASE("safetensors: damaged files are refused in words", "[serialize][errors]") {
  const std::string x = entry("x", "F32", "[1]", "[0,4]");
  const std::vector<std::tuple<std::string, std::size_t, std::string>> cases = {
      {concat("[", x, "]"), 4, "f: not a safetensors file: the header must start with {"},
      {concat("{", x, "}"), 5, "f: the tensors take 4 bytes, the file has 5 for them"},
      {concat("{", x, "}"), 3, "f: the tensors take 4 bytes, the file has 3 for them"},
      {concat("{", x, ",", x, "}"), 4, "f: the name \"x\" stands in the header twice"},
      {concat("{", x, ",", entry("y", "F32", "[1]", "[8,12]"), "}"), 12,
       "f: tensor \"y\" starts at 8, behind a hole; expected 4"},
      {concat("{", x, ",", entry("y", "F32", "[1]", "[0,4]"), "}"), 4,
       "f: tensor \"y\" starts at 0, inside the one before it; expected 4"},
      {concat("{", entry("x", "F32", "[2]", "[0,4]"), "}"), 4,
       "f: tensor \"x\": F32 [2] takes 8 bytes, data_offsets span 4"},
      {concat("{", entry("x", "F32", "[1]", "[4,0]"), "}"), 4,
       "f: tensor \"x\": data_offsets 4 and 0 are in the wrong order"},
      {concat("{", entry("x", "I64", "[1]", "[0,8]"), "}"), 8,
       "f: tensor \"x\": dtype must be F32, F64, F16 or BF16, got \"I64\""},
      {concat("{", entry("x", "F32", "[-1]", "[0,4]"), "}"), 4,
       "f: tensor \"x\": an extent must be a whole number >= 0, got -1"},
      {concat("{", entry("x", "F32", "[4294967296,4294967296]", "[0,0]"), "}"), 0,
       "f: tensor \"x\": Shape: 4294967296 x 4294967296 is too large"},
      {concat("{", entry("x", "F32", "[4611686018427387904]", "[0,0]"), "}"), 0,
       "f: tensor \"x\": bytes: 4611686018427387904 x 4 is too large"},
      {"{\"x\":{\"dtype\":\"F32\"}}", 0, "f: tensor \"x\": needs dtype, shape and data_offsets"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "f: __metadata__ \"a\" must be a string"},
  };
  for (const auto& [header, body, message] : cases) {
    INFO(header);
    CHECK_THROWS_WITH(decode_safetensors(file_of(header, Bytes(body)), "f"), message);
  }
  CHECK_THROWS_WITH(decode_safetensors(Bytes(5), "f"), "f: not a safetensors file: 5 bytes");
  Bytes huge(8, 0xff);
  CHECK_THROWS_WITH(decode_safetensors(huge, "f"),
                    "f: not a safetensors file: a header of 18446744073709551615 bytes is "
                    "announced, the file has 8");
  CHECK_THROWS_AS(decode_safetensors(file_of(concat("{", std::string(100000, '[')), {}), "f"),
                  std::invalid_argument);
}

TEST_CASE("safetensors: no truncation and no flipped byte does harm", "[serialize][errors]") {
  TensorFile file;
  file.tensors = {{"a", Tensor({2}, {1, 2})}, {"b", Tensor({1, 2}, {3, 4})}};
  const Bytes whole = encode_safetensors(file);
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_THROWS_AS(decode_safetensors(std::span(whole).first(length), "f"), std::invalid_argument);
  int accepted = 0;
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const std::uint8_t mask : {0x01, 0x20, 0x80, 0xff}) {
      Bytes damaged = whole;
      damaged[i] ^= mask;
      try {
        accepted += decode_safetensors(damaged, "f").tensors.size() == 2;
      } catch (const std::invalid_argument&) {
      }
    }
  CHECK(accepted > 0);  // a changed number or name is still a valid file: hashes are for that
}

TEST_CASE("safetensors: what cannot be read again is not written", "[serialize][errors]") {
  TensorFile file;
  file.tensors = {{"x", Tensor()}};
  CHECK_THROWS_WITH(encode_safetensors(file), "safetensors: tensor \"x\" is not defined");
  file.tensors = {{"\xff", Tensor({1})}};
  CHECK_THROWS_WITH(encode_safetensors(file), ContainsSubstring("not UTF-8"));
  file.tensors = {{"__metadata__", Tensor({1})}};
  CHECK_THROWS_WITH(encode_safetensors(file), ContainsSubstring("used twice"));
}

TEST_CASE("safetensors: large files in pieces, large headers in time", "[serialize]") {
  const auto path = std::filesystem::temp_directory_path() /
                    concat("boxgrad_test_large_", ::getpid(), ".safetensors");
  const Tensor numbers = Tensor::arange(100003);  // several pieces and a part of one
  save_safetensors(path, {{{"x", numbers}}, {}});
  CHECK(load_safetensors(path).tensors[0].second.to_vector() == numbers.to_vector());
  // A sparse file of 2^40 bytes is refused by its header, not by running out of memory.
  std::filesystem::resize_file(path, std::uintmax_t{1} << 40);
  CHECK_THROWS_WITH(load_safetensors(path), ContainsSubstring("for them"));
  std::filesystem::remove(path);

  std::string header = "{";
  for (int i = 0; i < 20000; ++i)
    header += concat(i ? "," : "", entry(std::to_string(i), "F32", "[0]", "[0,0]"));
  CHECK(decode_safetensors(file_of(concat(header, "}"), {}), "f").tensors.size() == 20000);
}
