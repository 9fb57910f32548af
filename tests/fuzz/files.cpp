// Files of numbers: idx, safetensors, TensorFlow.js, checkpoints.
#include "core/files.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/serialize.h"
#include "core/strict_json.h"
#include "core/tfjs_weights.h"
#include "detection/data/idx.h"
#include "detection/training/checkpoint.h"
#include "tests/fuzz/targets.h"

namespace boxgrad::fuzz {

namespace fs = std::filesystem;

void idx(Bytes bytes) {
  accepts([&] {
    const detection::IdxArray array = detection::parse_idx(bytes, "x.idx");
    require(static_cast<std::int64_t>(array.values.size()) == array.shape.numel(),
            "an IDX array has as many values as its shape says");
  });
}

void safetensors(Bytes bytes) {
  TensorFile file;
  if (!accepts([&] { file = decode_safetensors(bytes, "x.safetensors"); })) return;
  // What was read can be written, and reads as the same.
  const TensorFile again = decode_safetensors(encode_safetensors(file), "again");
  require(again.metadata == file.metadata && again.tensors.size() == file.tensors.size(),
          "a file that was read is written as it was");
}

void tfjs(Bytes bytes) {
  const auto [manifest, shard] = split(bytes);
  const fs::path root = folder() / "tfjs";
  write("tfjs/shard", shard);
  write("outside", Bytes());
  const fs::path path = write("tfjs/manifest.json", manifest);
  accepts([&] {
    for (const auto& group : read_tfjs_manifest(path).groups)
      for (const fs::path& file : group)
        require(is_inside(file, root), "a manifest's files lie in its folder");
    for (const auto& [name, tensor] : load_tfjs_weights(path).tensors)
      for (const Scalar v : tensor.data()) require(std::isfinite(v), "weights are finite");
  });
}

void checkpoint(Bytes bytes) {
  const auto [body, tensors] = split(bytes);
  const fs::path root = folder() / "run";
  write("run/checkpoint-7.safetensors", tensors);
  write("run/checkpoint-7.json", body);
  const auto load = [&] { accepts([&] { (void)detection::load_checkpoint(root); }); };
  load();
  // No fuzzer finds a hash: the same again as the content of a manifest that matches.
  nlohmann::json content;
  const std::string text(body.begin(), body.end());
  if (!accepts([&] { content = parse_strict_json(text, "x", "x", 64); })) return;
  if (!content.is_object()) return;
  content["tensors_sha256"] = sha256(tensors);
  const std::string dumped = content.dump();
  const nlohmann::json manifest = {{"format", "boxgrad checkpoint 1"},
                                   {"checkpoint", content},
                                   {"sha256", sha256(as_bytes(dumped))}};
  write("run/checkpoint-7.json", as_bytes(manifest.dump(1)));
  load();
}

}  // namespace boxgrad::fuzz
