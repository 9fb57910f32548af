#include "core/serialize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/files.h"
#include "core/strict_json.h"

namespace boxgrad {

namespace {

// Not ordered_json for reading: it looks names up one by one, and a header may hold millions.
using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors numbers are copied as they lie in memory");

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kPieceBytes = std::size_t{1} << 16;
constexpr std::size_t kMaxDepth = 8;  // a header is three levels deep
constexpr const char* kScalarType = sizeof(Scalar) == 4 ? "F32" : "F64";

/// The number behind the bits of a float. A denormal is put together from integers, since the
/// processor reads it as zero where parallel.h has told it to.
Scalar from_float(std::uint32_t bits) {
  const std::uint32_t exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffffu;
  if (sizeof(Scalar) == sizeof(float) || exponent != 0)
    return static_cast<Scalar>(std::bit_cast<float>(bits));
  const Scalar value = static_cast<Scalar>(fraction) * static_cast<Scalar>(0x1p-149);
  return bits >> 31 ? -value : value;
}

/// IEEE half precision: 1 sign, 5 exponent and 10 fraction bits.
Scalar from_half(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ffu;
  if (exponent == 0) {  // zero or denormal: fraction * 2^-24, exact in float
    const Scalar value = static_cast<Scalar>(fraction) * static_cast<Scalar>(0x1p-24);
    return sign ? -value : value;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent - 15 + 127;
  return from_float(sign | wide << 23 | fraction << 13);
}

/// bfloat16 is the upper half of a float.
Scalar from_bfloat(std::uint16_t bits) { return from_float(std::uint32_t{bits} << 16); }

/// Throws for a finite double beyond the largest float: it would silently become infinite.
Scalar from_double(double value) {
  check(sizeof(Scalar) == sizeof(double) || !std::isfinite(value) ||
            std::abs(value) <= static_cast<double>(std::numeric_limits<Scalar>::max()),
        "the number ", value, " is too large for a float");
  return static_cast<Scalar>(value);
}

std::uint64_t element_size(const std::string& dtype) {
  return dtype == "F64" ? 8 : dtype == "F32" ? 4 : dtype == "F16" || dtype == "BF16" ? 2 : 0;
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
  const std::int64_t bytes =
      checked_mul(entry.shape.numel(), static_cast<std::int64_t>(element_size(entry.dtype)),
                  concat(where, "bytes").c_str());
  check(entry.end - entry.begin == static_cast<std::uint64_t>(bytes), where, entry.dtype, " ",
        entry.shape, " takes ", bytes, " bytes, data_offsets span ", entry.end - entry.begin);
  return entry;
}

}  // namespace

std::vector<std::uint8_t> encode_safetensors(const TensorFile& file) {
  nlohmann::json header = nlohmann::json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::set<std::string> names = {"__metadata__"};
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    check(names.insert(name).second, "safetensors: the name \"", name, "\" is used twice");
    check(tensor.defined(), "safetensors: tensor \"", name, "\" is not defined");
    const std::uint64_t size = static_cast<std::uint64_t>(tensor.numel()) * sizeof(Scalar);
    header[name] = {{"dtype", kScalarType},
                    {"shape", tensor.shape().extents()},
                    {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument("safetensors: a name or a metadata string is not UTF-8");
  }
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

namespace {

/// Fills a span with the file's bytes from an offset on.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::uint8_t> bytes)>;

/// Reads a tensor's numbers piece by piece through `f`, which makes a Scalar of a From.
template <class From>
void read_numbers(const ReadAt& read, std::uint64_t offset, std::span<Scalar> numbers,
                  Scalar (*f)(From)) {
  std::vector<From> piece(std::min(numbers.size(), kPieceBytes / sizeof(From)));
  while (!numbers.empty()) {
    const std::size_t n = std::min(numbers.size(), piece.size());
    read(offset, {reinterpret_cast<std::uint8_t*>(piece.data()), n * sizeof(From)});
    std::transform(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n), numbers.begin(),
                   f);
    numbers = numbers.subspan(n);
    offset += n * sizeof(From);
  }
}

TensorFile decode(std::uint64_t size, const ReadAt& read, const std::string& name) {
  check(size >= 8, name, ": not a safetensors file: ", size, " bytes");
  std::uint64_t length = 0;
  read(0, {reinterpret_cast<std::uint8_t*>(&length), 8});
  check(length <= kMaxHeaderBytes && length <= size - 8, name,
        ": not a safetensors file: a header of ", length, " bytes is announced, the file has ",
        size);
  std::string text(static_cast<std::size_t>(length), ' ');
  read(8, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  check(text.starts_with('{'), name, ": not a safetensors file: the header must start with {");
  const Json header = parse_strict_json(text, name, "the header", kMaxDepth);

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
  const std::uint64_t body = 8 + length;
  check(expected == size - body, name, ": the tensors take ", expected, " bytes, the file has ",
        size - body, " for them");

  for (const Entry& entry : entries) try {
      Tensor tensor = Tensor::empty(entry.shape);
      const std::uint64_t place = body + entry.begin;
      if (entry.dtype == "F32") read_numbers(read, place, tensor.data(), from_float);
      if (entry.dtype == "F64") read_numbers(read, place, tensor.data(), from_double);
      if (entry.dtype == "F16") read_numbers(read, place, tensor.data(), from_half);
      if (entry.dtype == "BF16") read_numbers(read, place, tensor.data(), from_bfloat);
      file.tensors.emplace_back(entry.name, std::move(tensor));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(concat(name, ": tensor \"", entry.name, "\": ", error.what()));
    }
  return file;
}

}  // namespace

double TensorFile::number(const std::string& name, double otherwise) const {
  const auto entry = metadata.find(name);
  if (entry == metadata.end()) return otherwise;
  double value = 0;
  std::istringstream text(entry->second);
  const bool whole = (text >> value) && (text >> std::ws).eof();
  return whole && std::isfinite(value) ? value : otherwise;
}

TensorFile decode_safetensors(std::span<const std::uint8_t> bytes, const std::string& name) {
  const auto read = [bytes](std::uint64_t offset, std::span<std::uint8_t> to) {
    if (!to.empty()) std::memcpy(to.data(), bytes.data() + offset, to.size());
  };
  return decode(bytes.size(), read, name);
}

void save_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_file_atomically(path, std::span<const std::uint8_t>(encode_safetensors(file)));
}

TensorFile load_safetensors(const std::filesystem::path& path) {
  // Piece by piece: the header is checked before anything is allocated for the numbers.
  const InputFile file(path);
  const auto read = [&](std::uint64_t offset, std::span<std::uint8_t> to) {
    file.read_at(offset, to);
  };
  return decode(file.size(), read, path.string());
}

}  // namespace boxgrad
