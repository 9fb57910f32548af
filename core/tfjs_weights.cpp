#include "core/tfjs_weights.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "core/check.h"
#include "core/files.h"
#include "core/strict_json.h"

namespace boxgrad {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxManifestBytes = 16'000'000;
constexpr std::size_t kMaxManifestDepth =
    6;  // list, group, weights, weight, shape or quantization: 5
constexpr std::size_t kMaxRank = 8;

static_assert(std::endian::native == std::endian::little,
              "tfjs numbers are copied as they lie in memory");

const nlohmann::json& member(const nlohmann::json& object, const char* key,
                             const std::string& where) {
  check(object.is_object(), where, "must be an object");
  const auto found = object.find(key);
  check(found != object.end(), where, "needs \"", key, "\"");
  return *found;
}

const std::string& text_member(const nlohmann::json& object, const char* key,
                               const std::string& where) {
  const nlohmann::json& value = member(object, key, where);
  check(value.is_string(), where, "\"", key, "\" must be a string");
  return value.get_ref<const std::string&>();
}

const nlohmann::json& list_member(const nlohmann::json& object, const char* key,
                                  const std::string& where) {
  const nlohmann::json& value = member(object, key, where);
  check(value.is_array(), where, "\"", key, "\" must be a list");
  return value;
}

double finite_member(const nlohmann::json& object, const char* key, const std::string& where) {
  const nlohmann::json& value = member(object, key, where);
  check(value.is_number() && std::isfinite(value.get<double>()), where, "\"", key,
        "\" must be a finite number");
  return value.get<double>();
}

/// A file that the manifest names, which must lie in the manifest's folder or below it.
fs::path weights_file(const fs::path& folder, const nlohmann::json& json,
                      const std::string& where) {
  check(json.is_string(), where, "a path must be a string");
  const auto& name = json.get_ref<const std::string&>();
  const auto refuse = [&](const char* why) {
    throw std::invalid_argument(concat(where, "the path ", json.dump(), " ", why));
  };
  // Backslashes and drives are folders on other systems; a NUL would end the name for the system.
  if (name.empty() || name.find_first_of(std::string_view("\\:\0", 3)) != std::string::npos)
    refuse("is not a plain relative path");
  const fs::path relative(name);
  if (relative.is_absolute() || std::ranges::find(relative, fs::path("..")) != relative.end())
    refuse("leads out of the manifest's folder");
  // A manifest without a folder in its path lies in the current one. The empty path stays empty when
  // it is made canonical, and every path begins with it.
  const fs::path here = folder.empty() ? fs::path(".") : folder;
  std::error_code root_error, error;
  const fs::path root = fs::weakly_canonical(here, root_error);
  const fs::path target = fs::weakly_canonical(here / relative, error);
  if (root_error || error ||
      std::mismatch(root.begin(), root.end(), target.begin(), target.end()).first != root.end())
    refuse("leads out of the manifest's folder through a link");
  return folder / relative;
}

TfjsWeight parse_weight(const nlohmann::json& json, const std::string& group) {
  TfjsWeight weight;
  weight.name = text_member(json, "name", concat(group, "a weight "));
  check(!weight.name.empty(), group, "a weight's name is empty");
  const std::string where = concat(group, "tensor \"", weight.name, "\": ");

  weight.dtype = text_member(json, "dtype", where);
  check(weight.dtype == "float32" || weight.dtype == "int32", where,
        "dtype must be float32 or int32, got \"", weight.dtype, "\"");

  const nlohmann::json& shape = list_member(json, "shape", where);
  check(shape.size() <= kMaxRank, where, "a shape has at most ", kMaxRank, " extents, got ",
        shape.size());
  std::vector<std::int64_t> extents;
  for (const nlohmann::json& extent : shape) {
    check(extent.is_number_unsigned() && extent.get<std::uint64_t>() <= std::uint64_t{1} << 62,
          where, "an extent must be a whole number >= 0, got ", extent.dump());
    extents.push_back(extent.get<std::int64_t>());
  }
  if (extents.empty()) extents.push_back(1);
  try {
    weight.shape = Shape(std::move(extents));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(where + error.what());
  }

  if (json.contains("quantization")) {
    const nlohmann::json& quantization = json["quantization"];
    const std::string inside = concat(where, "quantization ");
    const std::string& dtype = text_member(quantization, "dtype", inside);
    check(dtype == "uint8", inside, "must be to uint8, got \"", dtype, "\"");
    weight.quantized = true;
    weight.scale = finite_member(quantization, "scale", inside);
    weight.min = finite_member(quantization, "min", inside);
  }
  weight.bytes = static_cast<std::uint64_t>(
      checked_mul(weight.shape.numel(), weight.quantized ? 1 : 4, concat(where, "bytes").c_str()));
  return weight;
}

/// The files of a group, read as if they were one.
class GroupReader {
 public:
  explicit GroupReader(const std::vector<fs::path>& paths) {
    for (const fs::path& path : paths) {
      files_.push_back(std::make_unique<InputFile>(path));
      size_ += files_.back()->size();
    }
  }
  std::uint64_t size() const { return size_; }

  void read_at(std::uint64_t offset, std::span<std::uint8_t> bytes) const {
    for (const auto& file : files_) {
      if (bytes.empty()) return;
      if (offset >= file->size()) {
        offset -= file->size();
        continue;
      }
      const auto n =
          static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), file->size() - offset));
      file->read_at(offset, bytes.first(n));
      bytes = bytes.subspan(n);
      offset = 0;
    }
  }

 private:
  std::vector<std::unique_ptr<InputFile>> files_;
  std::uint64_t size_ = 0;
};

Scalar from_int32(std::int32_t number, const std::string& where) {
  const auto scalar = static_cast<Scalar>(number);
  // 2^31 is what the largest int32 becomes in float; it does not fit back.
  check(static_cast<double>(scalar) == static_cast<double>(number), where, "the number ", number,
        " cannot be held exactly");
  return scalar;
}

Tensor read_weight(const TfjsWeight& weight, const GroupReader& reader, const std::string& where) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(weight.bytes));
  reader.read_at(weight.offset, bytes);
  Tensor tensor = Tensor::empty(weight.shape);
  const auto numbers = tensor.data();
  const bool integers = weight.dtype == "int32";
  if (weight.quantized) {
    std::array<Scalar, 256> table{};  // there are only so many numbers
    for (std::size_t byte = 0; byte < table.size(); ++byte) {
      const double number = static_cast<double>(byte) * weight.scale + weight.min;
      table[byte] = static_cast<Scalar>(integers ? static_cast<float>(std::nearbyint(number))
                                                 : static_cast<float>(number));
    }
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = table[bytes[i]];
  } else {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, bytes.data() + 4 * i, 4);  // a tensor may start at any byte
      numbers[i] = integers ? from_int32(std::bit_cast<std::int32_t>(bits), where)
                            : static_cast<Scalar>(std::bit_cast<float>(bits));
    }
  }
  for (const Scalar number : numbers)
    check(std::isfinite(number), where, "a number is not finite: ", number);
  return tensor;
}

}  // namespace

TfjsManifest read_tfjs_manifest(const fs::path& manifest) {
  const std::string file = manifest.string();
  const nlohmann::json json = parse_strict_json(read_text_file(manifest, kMaxManifestBytes), file,
                                                "the manifest", kMaxManifestDepth);
  check(json.is_array(), file, ": a weights manifest is a list of groups");

  TfjsManifest result;
  std::set<std::string> names;
  for (std::size_t number = 0; number < json.size(); ++number) {
    const std::string where = concat(file, ": group ", number, ": ");
    const nlohmann::json& weights = list_member(json[number], "weights", where);
    std::vector<fs::path> paths;
    for (const nlohmann::json& path : list_member(json[number], "paths", where))
      paths.push_back(weights_file(manifest.parent_path(), path, where));

    std::int64_t bytes = 0;
    for (const nlohmann::json& weight : weights) {
      TfjsWeight parsed = parse_weight(weight, file + ": ");
      check(names.insert(parsed.name).second, file, ": tensor \"", parsed.name,
            "\" stands in the manifest twice");
      parsed.group = number;
      parsed.offset = static_cast<std::uint64_t>(bytes);
      check(parsed.bytes <=
                static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() - bytes),
            file, ": tensor \"", parsed.name, "\": the group is too large");
      bytes += static_cast<std::int64_t>(parsed.bytes);
      result.weights.push_back(std::move(parsed));
    }
    const std::uint64_t have = GroupReader(paths).size();
    check(have == static_cast<std::uint64_t>(bytes), where, "the tensors take ", bytes,
          " bytes, the files have ", have);
    result.groups.push_back(std::move(paths));
  }
  return result;
}

TensorFile load_tfjs_weights(const fs::path& manifest) {
  const TfjsManifest announced = read_tfjs_manifest(manifest);
  std::vector<GroupReader> readers;
  for (const auto& paths : announced.groups) readers.emplace_back(paths);
  TensorFile file;
  file.metadata["format"] = "tfjs";
  for (const TfjsWeight& weight : announced.weights) {
    const std::string where = concat(manifest.string(), ": tensor \"", weight.name, "\": ");
    file.tensors.emplace_back(weight.name, read_weight(weight, readers[weight.group], where));
  }
  return file;
}

}  // namespace boxgrad
