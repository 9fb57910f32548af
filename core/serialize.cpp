#include "core/serialize.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"

namespace boxgrad {

namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little,
              "safetensors numbers are copied as they lie in memory");

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 40;
constexpr int kMaxDepth = 8;  // a header is three levels deep
constexpr const char* kScalarType = sizeof(Scalar) == 4 ? "F32" : "F64";

/// IEEE half precision: 1 sign, 5 exponent and 10 fraction bits.
float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ffu;
  if (exponent == 0) {  // zero or denormal: fraction * 2^-24, exact in float
    const float value = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -value : value;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent - 15 + 127;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

/// bfloat16 is the upper half of a float.
float bfloat_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

template <class From, class Convert>
void convert(const std::uint8_t* bytes, std::span<Scalar> numbers, Convert f) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    From value;
    std::memcpy(&value, bytes + i * sizeof(From), sizeof(From));  // places need not be aligned
    numbers[i] = static_cast<Scalar>(f(value));
  }
}

std::uint64_t element_size(const std::string& dtype) {
  return dtype == "F64" ? 8 : dtype == "F32" ? 4 : dtype == "F16" || dtype == "BF16" ? 2 : 0;
}

/// JSON that refuses repeated keys and depth, which the plain parser would take.
Json parse_header(std::string_view text, const std::string& name) {
  std::vector<std::set<std::string>> keys;
  const auto callback = [&](int depth, Json::parse_event_t event, Json& parsed) {
    check(depth <= kMaxDepth, name, ": the header is nested too deeply");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key)
      check(keys.back().insert(parsed.get<std::string>()).second, name, ": the name \"",
            parsed.get<std::string>(), "\" stands in the header twice");
    return true;
  };
  try {
    return Json::parse(text, callback);
  } catch (const Json::exception& error) {
    throw std::invalid_argument(concat(name, ": the header is not JSON: ", error.what()));
  }
}

/// One entry of the header, checked on its own.
struct Entry {
  std::string name, dtype;
  Shape shape;
  std::uint64_t begin, end;
};

std::uint64_t unsigned_number(const Json& json, const std::string& where, const char* what) {
  check(json.is_number_unsigned(), where, what, " must be a whole number >= 0, got ", json.dump());
  return json.get<std::uint64_t>();
}

Entry parse_entry(const std::string& tensor, const Json& json, const std::string& file) {
  const std::string where = concat(file, ": tensor \"", tensor, "\": ");
  check(json.is_object() && json.size() == 3 && json.contains("dtype") && json.contains("shape") &&
            json.contains("data_offsets"),
        where, "needs dtype, shape and data_offsets");
  Entry entry;
  entry.name = tensor;
  check(json["dtype"].is_string(), where, "dtype must be a string");
  entry.dtype = json["dtype"].get<std::string>();
  check(element_size(entry.dtype) > 0, where, "dtype must be F32, F64, F16 or BF16, got \"",
        entry.dtype, "\"");
  check(json["shape"].is_array(), where, "shape must be a list");
  std::vector<std::int64_t> extents;
  for (const Json& extent : json["shape"]) {
    const std::uint64_t value = unsigned_number(extent, where, "an extent");
    check(value <= std::uint64_t{1} << 62, where, "extent ", value, " is too large");
    extents.push_back(static_cast<std::int64_t>(value));
  }
  if (extents.empty()) extents.push_back(1);
  try {
    entry.shape = Shape(std::move(extents));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(where + error.what());
  }
  const Json& offsets = json["data_offsets"];
  check(offsets.is_array() && offsets.size() == 2, where, "data_offsets must be two numbers");
  entry.begin = unsigned_number(offsets[0], where, "an offset");
  entry.end = unsigned_number(offsets[1], where, "an offset");
  check(entry.begin <= entry.end, where, "data_offsets ", entry.begin, " and ", entry.end,
        " are in the wrong order");
  const std::int64_t bytes = checked_mul(
      entry.shape.numel(), static_cast<std::int64_t>(element_size(entry.dtype)), where.c_str());
  check(entry.end - entry.begin == static_cast<std::uint64_t>(bytes), where, entry.dtype, " ",
        entry.shape, " takes ", bytes, " bytes, data_offsets span ", entry.end - entry.begin);
  return entry;
}

}  // namespace

std::vector<std::uint8_t> encode_safetensors(const TensorFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    check(name != "__metadata__" && !header.contains(name), "safetensors: the name \"", name,
          "\" is used twice");
    const std::uint64_t size = static_cast<std::uint64_t>(tensor.numel()) * sizeof(Scalar);
    header[name] = {{"dtype", kScalarType},
                    {"shape", tensor.shape().extents()},
                    {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // the numbers start at a multiple of 8

  std::vector<std::uint8_t> bytes(8 + text.size() + offset);
  const std::uint64_t length = text.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  std::uint8_t* place = bytes.data() + 8 + text.size();
  for (const auto& [name, tensor] : file.tensors) {
    const auto numbers = std::as_const(tensor).data();
    if (!numbers.empty()) std::memcpy(place, numbers.data(), numbers.size_bytes());
    place += numbers.size_bytes();
  }
  return bytes;
}

TensorFile decode_safetensors(std::span<const std::uint8_t> bytes, const std::string& name) {
  check(bytes.size() >= 8, name, ": not a safetensors file: ", bytes.size(), " bytes");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  check(length <= kMaxHeaderBytes && length <= bytes.size() - 8, name,
        ": not a safetensors file: a header of ", length, " bytes is announced, the file has ",
        bytes.size());
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  check(text.starts_with('{'), name, ": not a safetensors file: the header must start with {");
  const Json header = parse_header(text, name);
  check(header.is_object(), name, ": the header must be an object");

  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [key, value] : header.items()) {
    if (key == "__metadata__") {
      check(value.is_object(), name, ": __metadata__ must be an object");
      for (const auto& [k, v] : value.items()) {
        check(v.is_string(), name, ": __metadata__ \"", k, "\" must be a string");
        file.metadata[k] = v.get<std::string>();
      }
    } else {
      entries.push_back(parse_entry(key, value, name));
    }
  }

  // In the order of their places the tensors must meet end to end.
  std::ranges::stable_sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  std::uint64_t expected = 0;
  for (const Entry& entry : entries) {
    check(entry.begin == expected, name, ": tensor \"", entry.name, "\" starts at ", entry.begin,
          entry.begin < expected ? ", inside the one before it" : ", behind a hole", "; expected ",
          expected);
    expected = entry.end;
  }
  const std::span<const std::uint8_t> body = bytes.subspan(8 + length);
  check(expected == body.size(), name, ": the tensors take ", expected, " bytes, the file has ",
        body.size(), " for them");

  for (const Entry& entry : entries) {
    Tensor tensor = Tensor::empty(entry.shape);
    const std::uint8_t* place = body.data() + entry.begin;
    const auto same = [](auto value) { return value; };
    if (entry.dtype == "F32") convert<float>(place, tensor.data(), same);
    if (entry.dtype == "F64") convert<double>(place, tensor.data(), same);
    if (entry.dtype == "F16") convert<std::uint16_t>(place, tensor.data(), half_to_float);
    if (entry.dtype == "BF16") convert<std::uint16_t>(place, tensor.data(), bfloat_to_float);
    file.tensors.emplace_back(entry.name, std::move(tensor));
  }
  return file;
}

void save_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_file_atomically(path, std::span<const std::uint8_t>(encode_safetensors(file)));
}

TensorFile load_safetensors(const std::filesystem::path& path) {
  return decode_safetensors(read_file(path, kMaxFileBytes), path.string());
}

}  // namespace boxgrad
