#include "detection/training/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "core/files.h"
#include "core/serialize.h"
#include "core/strict_json.h"

namespace boxgrad::detection {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{256} << 20;
constexpr std::size_t kGenerations = 2;
constexpr std::size_t kManifestDepth = 8;  // what is written is four levels deep
constexpr const char* kFormat = "boxgrad checkpoint 1";

fs::path tensor_path(const fs::path& folder, std::int64_t iteration) {
  return folder / concat("checkpoint-", iteration, ".safetensors");
}

fs::path manifest_path(const fs::path& folder, std::int64_t iteration) {
  return folder / concat("checkpoint-", iteration, ".json");
}

/// Of a manifest's name; empty for other files.
std::optional<std::int64_t> iteration_of(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr std::string_view prefix = "checkpoint-", suffix = ".json";
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return {};
  std::int64_t iteration = 0;
  const char *first = name.data() + prefix.size(),
             *last = name.data() + name.size() - suffix.size();
  const auto [end, error] = std::from_chars(first, last, iteration);
  if (error != std::errc() || end != last) return {};
  return iteration;
}

/// The iterations of the manifests in a folder, newest first.
std::vector<std::int64_t> generations(const fs::path& folder) {
  std::vector<std::int64_t> found;
  if (!fs::is_directory(folder)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (const auto iteration = iteration_of(entry.path())) found.push_back(*iteration);
  std::ranges::sort(found, std::greater<>());
  return found;
}

/// Of the name of a file that a kill may leave by itself: a checkpoint's tensors, or a temporary file
/// of it. Empty for other files.
std::optional<std::int64_t> iteration_of_part(const fs::path& path) {
  const std::string name = path.filename().string();
  for (const std::string_view ending : {".safetensors", ".safetensors.tmp", ".json.tmp"})
    if (name.ends_with(ending))
      return iteration_of(name.substr(0, name.size() - ending.size()) + ".json");
  return {};
}

/// Removes what kills have left: tensors whose manifest was never written or is gone already, and
/// temporary files of generations that do not come again. What has a manifest stays.
void sweep(const fs::path& folder) {
  std::vector<fs::path> lost;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const auto iteration = iteration_of_part(entry.path());
    if (!iteration) continue;
    if (entry.path().extension() == ".tmp" || !fs::exists(manifest_path(folder, *iteration)))
      lost.push_back(entry.path());
  }
  for (const fs::path& path : lost) fs::remove(path);
}

Checkpoint read_generation(const fs::path& folder, std::int64_t iteration) {
  const fs::path manifest = manifest_path(folder, iteration);
  Checkpoint c;
  std::string hash;
  try {
    const std::string text = read_text_file(manifest, kMaxManifestBytes);
    // Depth is limited before dump(), which goes down by recursion.
    const Json json = parse_strict_json(text, manifest.string(), "the manifest", kManifestDepth);
    check(json.at("format") == kFormat, manifest.string(), ": its format must be \"", kFormat,
          "\", got ", json.at("format").dump());
    const Json& body = json.at("checkpoint");
    check(sha256(as_bytes(body.dump())) == json.at("sha256").get<std::string>(), manifest.string(),
          ": damaged: its content does not match its SHA-256");
    // The hash is one of what the text means. Held against the text as it was written, a changed
    // blank counts as damage, too: who changed that may have changed more.
    check(json.dump(1) == text, manifest.string(), ": damaged: not as it was written");
    const std::string where = manifest.string() + ": ";
    c.iteration = whole_number(body.at("iteration"), where + "iteration");
    c.total_iterations = whole_number(body.at("total_iterations"), where + "total_iterations");
    if (body.contains("looks")) c.looks = whole_number(body.at("looks"), where + "looks");
    c.seconds = body.at("seconds");
    const auto random = [&](std::size_t k) {
      return natural_number(body.at("random").at(k), where + "random");
    };
    c.random = Random(random(0), random(1), random(2));
    c.config = body.at("config");
    c.log = TrainingLog::from_json(body.at("log"));
    hash = body.at("tensors_sha256");
  } catch (const Json::exception& error) {
    throw std::invalid_argument(concat(manifest.string(), ": damaged: ", error.what()));
  }
  check(c.iteration == iteration, manifest.string(), ": holds iteration ", c.iteration);
  const fs::path tensors = tensor_path(folder, iteration);
  check(sha256_file(tensors) == hash, tensors.string(),
        ": damaged: its content does not match its SHA-256");
  c.tensors = load_safetensors(tensors).tensors;
  return c;
}

}  // namespace

void save_checkpoint(const fs::path& folder, const Checkpoint& checkpoint) {
  for (const auto& [name, tensor] : checkpoint.tensors)
    for (const Scalar value : tensor.data())
      if (!std::isfinite(value))
        throw std::runtime_error(concat("checkpoint: ", name, " holds ", value,
                                        "; it is not written, and the one before it stays"));
  fs::create_directories(folder);

  const fs::path tensors = tensor_path(folder, checkpoint.iteration);
  save_safetensors(tensors, {checkpoint.tensors, {}});
  Json body = {
      {"iteration", checkpoint.iteration},
      {"total_iterations", checkpoint.total_iterations},
      {"seconds", checkpoint.seconds},
      {"random",
       {checkpoint.random.seed(), checkpoint.random.stream(), checkpoint.random.counter()}},
      {"config", checkpoint.config},
      {"log", checkpoint.log.to_json()},
      {"tensors_sha256", sha256_file(tensors)}};
  if (checkpoint.looks) body["looks"] = *checkpoint.looks;
  const Json manifest = {
      {"format", kFormat}, {"checkpoint", body}, {"sha256", sha256(as_bytes(body.dump()))}};
  write_file_atomically(manifest_path(folder, checkpoint.iteration), manifest.dump(1));

  // Only now is an old generation worth nothing. A later one is of another run, which this folder
  // was used for before: left there, it would count as the newest. The manifest goes first: one
  // without its tensors must never be seen.
  std::size_t kept = 0;
  for (const std::int64_t iteration : generations(folder)) {
    if (iteration <= checkpoint.iteration && ++kept <= kGenerations) continue;
    fs::remove(manifest_path(folder, iteration));
    fs::remove(tensor_path(folder, iteration));
  }
  sweep(folder);
}

Checkpoint read_checkpoint(const fs::path& manifest) {
  const auto iteration = iteration_of(manifest);
  check(iteration.has_value(), manifest.string(),
        ": must be called checkpoint-<steps>.json, as boxgrad writes it");
  return read_generation(manifest.parent_path(), *iteration);
}

std::optional<Checkpoint> load_checkpoint(const fs::path& folder, std::string* warning) {
  std::string problems;
  for (const std::int64_t iteration : generations(folder)) {
    try {
      Checkpoint checkpoint = read_generation(folder, iteration);
      if (warning != nullptr && !problems.empty())
        *warning = concat(problems, "; going on from iteration ", iteration);
      return checkpoint;
    } catch (const std::exception& error) {
      problems += (problems.empty() ? "" : "; ") + std::string(error.what());
    }
  }
  check(problems.empty(), "no checkpoint is intact: ", problems);
  return std::nullopt;
}

std::string config_differences(const std::string& before, const std::string& now) {
  const Json a = Json::parse(before, nullptr, false), b = Json::parse(now, nullptr, false);
  if (!a.is_object() || !b.is_object()) return concat("it was ", before, ", is now ", now);
  std::string text;
  const auto compare = [&](const std::string& key) {
    const std::string was = a.contains(key) ? a.at(key).dump() : "missing",
                      is = b.contains(key) ? b.at(key).dump() : "missing";
    if (was != is) text += concat(text.empty() ? "" : "; ", key, " was ", was, ", is now ", is);
  };
  for (const auto& [key, value] : a.items()) compare(key);
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) compare(key);
  return text;
}

}  // namespace boxgrad::detection
