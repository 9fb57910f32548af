#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

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
  const auto path = std::filesystem::temp_directory_path() / "boxgrad_test.safetensors";
  save_safetensors(path, file);
  CHECK(load_safetensors(path).tensors[2].second.to_vector() == std::vector<Scalar>{7, 8, 9});
  std::filesystem::remove(path);
  CHECK_THROWS_AS(load_safetensors(path), std::runtime_error);
  file.tensors.push_back({"bias", Tensor({1})});
  CHECK_THROWS_WITH(encode_safetensors(file), "safetensors: the name \"bias\" is used twice");
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
  Bytes eight(8);
  const double tenth = 0.1;
  std::memcpy(eight.data(), &tenth, 8);
  const TensorFile f64 =
      decode_safetensors(file_of(concat("{", entry("x", "F64", "[]", "[0,8]"), "}"), eight), "f");
  CHECK(f64.tensors[0].second.shape() == Shape{1});
  CHECK(f64.tensors[0].second.item() == Scalar(0.1));
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
       "f: tensor \"x\": : 4611686018427387904 x 4 is too large"},
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
