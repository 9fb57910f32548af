// core/tfjs_weights.cpp and core/strict_json.cpp: weights of TensorFlow.js, from strangers.
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "core/files.h"
#include "core/strict_json.h"
#include "core/tfjs_weights.h"
#include "tests/catch.h"
#include "tests/tfjs_folder.h"

using namespace boxgrad;

namespace {

std::string weight(const char* name, const char* shape, const char* dtype = "float32",
                   const char* more = "") {
  return concat("{\"name\":\"", name, "\",\"shape\":", shape, ",\"dtype\":\"", dtype, "\"", more,
                "}");
}

std::string group(const std::string& weights, const std::string& paths = "\"data.bin\"") {
  return concat("{\"weights\":[", weights, "],\"paths\":[", paths, "]}");
}

std::string floats(const std::vector<float>& values) {
  std::string bytes(4 * values.size(), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

constexpr const char* kQuantized =
    ",\"quantization\":{\"dtype\":\"uint8\",\"scale\":0.1,\"min\":-1.5}";

}  // namespace

TEST_CASE("tfjs weights: bytes, floats and integers over several files", "[tfjs]") {
  const ScratchFolder folder("tfjs_read");
  // A byte first: the float behind it is unaligned, and cut by the border of the two files.
  const std::string numbers = std::string("\x00\x0f\xff", 3) + floats({1.25f, -3}) +
                              std::string("\x2a\x00\x00\x00\xff\xff\xff\xff", 8) +
                              std::string("\x04", 1);
  folder.write("sub/a.bin", numbers.substr(0, 5));
  folder.write("b.bin", numbers.substr(5));
  folder.write("c.bin", floats({7}));
  const auto path = folder.write(
      "manifest.json",
      concat("[",
             group(concat(weight("bytes", "[3,1]", "float32", kQuantized), ",",
                          weight("floats", "[2]"), ",", weight("integers", "[2]", "int32"), ",",
                          weight("small", "[]", "int32", kQuantized), ",", weight("none", "[0,4]")),
                   "\"sub/a.bin\",\"b.bin\""),
             ",", group(weight("second", "[]"), "\"c.bin\""), "]"));

  const TfjsManifest manifest = read_tfjs_manifest(path);
  REQUIRE(manifest.weights.size() == 6);
  CHECK(manifest.groups.size() == 2);
  CHECK(manifest.weights[1].offset == 3);
  CHECK(manifest.weights[1].bytes == 8);
  CHECK_FALSE(manifest.weights[1].quantized);
  CHECK(manifest.weights[0].quantized);
  CHECK(manifest.weights[0].scale == 0.1);
  CHECK(manifest.weights[5].group == 1);

  const TensorFile file = load_tfjs_weights(path);
  REQUIRE(file.tensors.size() == 6);
  CHECK(file.tensors[0].first == "bytes");
  CHECK(file.tensors[0].second.shape() == Shape{3, 1});
  // Computed in double and rounded once: 15 * 0.1 - 1.5 leaves the rounding error of 0.1 * 15.
  CHECK(file.tensors[0].second.to_vector() ==
        std::vector<Scalar>{Scalar(-1.5), static_cast<Scalar>(static_cast<float>(15 * 0.1 - 1.5)),
                            static_cast<Scalar>(static_cast<float>(255 * 0.1 - 1.5))});
  CHECK(file.tensors[1].second.to_vector() == std::vector<Scalar>{Scalar(1.25), -3});
  CHECK(file.tensors[2].second.to_vector() == std::vector<Scalar>{42, -1});
  CHECK(file.tensors[3].second.shape() == Shape{1});
  CHECK(file.tensors[3].second.item() == -1);  // 4 * 0.1 - 1.5 = -1.1, to the nearest
  CHECK(file.tensors[4].second.numel() == 0);
  CHECK(file.tensors[5].second.item() == 7);
}

TEST_CASE("tfjs weights: a manifest without a folder lies in the current one", "[tfjs][errors]") {
  const ScratchFolder folder("tfjs_bare"), outside("tfjs_outside");
  folder.write("data.bin", floats({1}));
  outside.write("data.bin", floats({1}));
  std::filesystem::create_directory_symlink(outside.path(), folder / "link");
  folder.write("good.json", concat("[", group(weight("x", "[1]"), "\"data.bin\""), "]"));
  folder.write("bad.json", concat("[", group(weight("x", "[1]"), "\"link/data.bin\""), "]"));
  struct Inside {
    explicit Inside(const std::filesystem::path& there) { std::filesystem::current_path(there); }
    ~Inside() {
      std::error_code error;
      std::filesystem::current_path(before, error);
    }
    std::filesystem::path before = std::filesystem::current_path();
  } inside(folder.path());
  for (const char* here : {"", "./"}) {
    CHECK(load_tfjs_weights(concat(here, "good.json")).tensors[0].second.item() == 1);
    CHECK_THROWS_WITH(load_tfjs_weights(concat(here, "bad.json")),
                      Catch::Contains("leads out of the manifest's folder through a link"));
  }
}

TEST_CASE("tfjs weights: manifests from strangers are refused in words", "[tfjs][errors]") {
  const ScratchFolder folder("tfjs_errors");
  folder.write("data.bin", floats({1}));
  folder.write("nan.bin", floats({std::nanf("")}));
  folder.write("large.bin", std::string("\xff\xff\xff\x7f", 4));
  folder.write("inner/keep", "");
  std::filesystem::create_directory_symlink("/", folder / "root");
  const auto path = folder / "m.json";
  const std::string quantized = ",\"quantization\":";

  const std::vector<std::tuple<std::string, std::string>> cases = {
      {"", "the manifest is not JSON"},
      {"[{]", "the manifest is not JSON"},
      {"{}", "a weights manifest is a list of groups"},
      {"[[[[[[[[]]]]]]]]", "the manifest is nested too deeply"},
      {"[{\"weights\":[],\"weights\":[],\"paths\":[]}]",
       "the name \"weights\" stands in the manifest twice"},
      {"[3]", "group 0: must be an object"},
      {"[{\"paths\":[]}]", "group 0: needs \"weights\""},
      {"[{\"weights\":[]}]", "group 0: needs \"paths\""},
      {"[{\"weights\":{},\"paths\":[]}]", "group 0: \"weights\" must be a list"},
      // paths
      {concat("[", group("", "7"), "]"), "a path must be a string"},
      {concat("[", group("", "\"\""), "]"), "is not a plain relative path"},
      {concat("[", group("", "\"a\\\\b\""), "]"), "is not a plain relative path"},
      {concat("[", group("", "\"C:x\""), "]"), "is not a plain relative path"},
      {concat("[", group("", "\"a\\u0000b\""), "]"), "is not a plain relative path"},
      {concat("[", group("", "\"/etc/passwd\""), "]"), "leads out of the manifest's folder"},
      {concat("[", group("", "\"../data.bin\""), "]"), "leads out of the manifest's folder"},
      {concat("[", group("", "\"inner/../../x\""), "]"), "leads out of the manifest's folder"},
      {concat("[", group("", "\"root/etc/passwd\""), "]"),
       "leads out of the manifest's folder through a link"},
      // tensors
      {concat("[", group("5"), "]"), "a weight must be an object"},
      {concat("[", group("{}"), "]"), "a weight needs \"name\""},
      {concat("[", group(weight("", "[1]")), "]"), "a weight's name is empty"},
      {concat("[", group("{\"name\":\"x\"}"), "]"), "tensor \"x\": needs \"dtype\""},
      {concat("[", group(concat(weight("x", "[0]"), ",", weight("x", "[1]"))), "]"),
       "tensor \"x\" stands in the manifest twice"},
      {concat("[", group(weight("x", "[1]", "float16")), "]"),
       "tensor \"x\": dtype must be float32 or int32, got \"float16\""},
      {concat("[", group(weight("x", "3")), "]"), "tensor \"x\": \"shape\" must be a list"},
      {concat("[", group(weight("x", "[-1]")), "]"),
       "tensor \"x\": an extent must be a whole number >= 0, got -1"},
      {concat("[", group(weight("x", "[1.0]")), "]"),
       "tensor \"x\": an extent must be a whole number >= 0, got 1.0"},
      {concat("[", group(weight("x", "[9223372036854775808]")), "]"), "an extent must be"},
      {concat("[", group(weight("x", "[1,1,1,1,1,1,1,1,1]")), "]"),
       "tensor \"x\": a shape has at most 8 extents, got 9"},
      {concat("[", group(weight("x", "[4294967296,4294967296]")), "]"),
       "tensor \"x\": Shape: 4294967296 x 4294967296 is too large"},
      {concat("[", group(weight("x", "[4611686018427387904]")), "]"), "is too large"},
      {concat("[",
              group(concat(weight("x", "[2305843009213693951]"), ",",
                           weight("y", "[2305843009213693951]"))),
              "]"),
       "the group is too large"},
      // quantization
      {concat("[", group(weight("x", "[4]", "float32", concat(quantized, "7").c_str())), "]"),
       "tensor \"x\": quantization must be an object"},
      {concat(
           "[",
           group(weight("x", "[4]", "float32",
                        concat(quantized, "{\"dtype\":\"uint16\",\"scale\":1,\"min\":0}").c_str())),
           "]"),
       "tensor \"x\": quantization must be to uint8, got \"uint16\""},
      {concat("[",
              group(weight("x", "[4]", "float32",
                           concat(quantized, "{\"dtype\":\"uint8\",\"min\":0}").c_str())),
              "]"),
       "tensor \"x\": quantization needs \"scale\""},
      {concat("[",
              group(weight(
                  "x", "[4]", "float32",
                  concat(quantized, "{\"dtype\":\"uint8\",\"scale\":\"1\",\"min\":0}").c_str())),
              "]"),
       "tensor \"x\": quantization \"scale\" must be a finite number"},
      {concat("[",
              group(weight(
                  "x", "[4]", "float32",
                  concat(quantized, "{\"dtype\":\"uint8\",\"scale\":1e39,\"min\":0}").c_str())),
              "]"),
       "tensor \"x\": a number is not finite"},
      // sizes
      {concat("[", group(weight("x", "[2]")), "]"),
       "group 0: the tensors take 8 bytes, the files have 4"},
      {concat("[", group(weight("x", "[3]", "float32", kQuantized)), "]"),
       "group 0: the tensors take 3 bytes, the files have 4"},
      {concat("[", group(""), "]"), "group 0: the tensors take 0 bytes, the files have 4"},
      {concat("[", group(weight("x", "[1]"), ""), "]"),
       "group 0: the tensors take 4 bytes, the files have 0"},
      // numbers
      {concat("[", group(weight("x", "[1]"), "\"nan.bin\""), "]"),
       "tensor \"x\": a number is not finite"},
  };
  for (const auto& [text, message] : cases) {
    INFO(text);
    folder.write("m.json", text);
    CHECK_THROWS_WITH(load_tfjs_weights(path),
                      ContainsSubstring(message) && ContainsSubstring(path.string()));
  }

  folder.write("m.json", concat("[", group(weight("x", "[1]", "int32"), "\"large.bin\""), "]"));
  if (sizeof(Scalar) == sizeof(float))
    CHECK_THROWS_WITH(load_tfjs_weights(path),
                      ContainsSubstring("the number 2147483647 cannot be held exactly"));
  else
    CHECK(load_tfjs_weights(path).tensors[0].second.item() == Scalar(2147483647));
}

TEST_CASE("tfjs weights: missing files, folders and huge files", "[tfjs][errors]") {
  const ScratchFolder folder("tfjs_files");
  CHECK_THROWS_AS(load_tfjs_weights(folder / "nothing.json"), std::runtime_error);
  const auto path =
      folder.write("m.json", concat("[", group(weight("x", "[1]"), "\"gone.bin\""), "]"));
  CHECK_THROWS_WITH(load_tfjs_weights(path), ContainsSubstring("gone.bin"));
  std::filesystem::create_directory(folder / "gone.bin");
  CHECK_THROWS_AS(load_tfjs_weights(path), std::runtime_error);

  // A sparse file of 2^40 bytes costs nothing: the sizes are held against each other first.
  std::filesystem::remove(folder / "gone.bin");
  folder.write("gone.bin", "x");
  std::filesystem::resize_file(folder / "gone.bin", std::uintmax_t{1} << 40);
  CHECK_THROWS_WITH(load_tfjs_weights(path), ContainsSubstring("the files have 1099511627776"));
  std::filesystem::resize_file(path, 17'000'000);
  CHECK_THROWS_AS(load_tfjs_weights(path), std::runtime_error);
}

TEST_CASE("tfjs weights: no truncation and no flipped byte does harm", "[tfjs][errors]") {
  const ScratchFolder folder("tfjs_damage");
  folder.write("data.bin", floats({1, 2}) + "ab");
  const std::string whole = concat(
      "[", group(concat(weight("x", "[2]"), ",", weight("y", "[2]", "float32", kQuantized))), "]");
  const auto survives = [&](const std::string& text) {
    const auto path = folder.write("m.json", text);
    try {
      return load_tfjs_weights(path).tensors.size() == 2;
    } catch (const std::invalid_argument&) {
    } catch (const std::runtime_error&) {  // a path that names another file
    }
    return false;
  };
  CHECK(survives(whole));
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_FALSE(survives(whole.substr(0, length)));
  int accepted = 0;
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (const int mask : {0x01, 0x10, 0x80}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ mask);
      accepted += survives(damaged);
    }
  CHECK(accepted > 0);  // another name, another scale: nothing but a hash would notice
}

TEST_CASE("parse_strict_json refuses what the plain parser takes", "[tfjs][errors]") {
  CHECK_NOTHROW(parse_strict_json("{\"a\":[{\"a\":1}]}", "f", "the text", 3));
  CHECK_THROWS_WITH(parse_strict_json("{\"a\":[{\"a\":1}]}", "f", "the text", 2),
                    "f: the text is nested too deeply");
  CHECK_THROWS_WITH(parse_strict_json("{\"a\":1,\"a\":2}", "f", "the text", 2),
                    "f: the name \"a\" stands in the text twice");
  CHECK_THROWS_AS(parse_strict_json(std::string(1'000'000, '['), "f", "the text", 8),
                  std::invalid_argument);
}
