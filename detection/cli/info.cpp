#include <cstdio>
#include <iostream>

#include "core/check.h"
#include "core/printable.h"
#include "core/program.h"
#include "core/serialize.h"
#include "core/tfjs_weights.h"
#include "detection/cli/subcommand.h"
#include "detection/models/face_trunk.h"
#include "detection/training/checkpoint.h"
#include "detection/training/run_folder.h"

namespace boxgrad::detection {

namespace {

using Path = std::filesystem::path;

/// Texts from files are a stranger's: no control characters of theirs reach the terminal.
constexpr std::size_t kLongest = 4096;

std::string shown(const Path& path) { return printable(path.string(), kLongest); }

void print_tensor(const std::string& name, const Shape& shape, const char* note) {
  std::cout << "  " << printable(name) << "  " << shape << note << "\n";
}

void print_total(std::size_t tensors, std::int64_t numbers) {
  std::cout << tensors << " tensors, " << numbers << " numbers\n";
}

void show_spec(const DetectorSpec& spec) {
  std::cout << "  " << spec.model << " for " << spec.classes.size()
            << (spec.classes.size() == 1 ? " class:" : " classes:");
  for (const std::string& name : spec.classes) std::cout << " " << printable(name);
  std::cout << "\n  photos of " << spec.longer_px << " px, mean";
  for (const double v : spec.mean) std::cout << " " << v;
  std::cout << ", deviation";
  for (const double v : spec.std) std::cout << " " << v;
  for (const AnchorLevel& level : spec.anchors) {
    std::cout << "\n  stride " << level.stride_px << " px, anchors";
    for (const BoxSize& size : level.sizes) std::cout << " " << size.width << "x" << size.height;
  }
  for (const auto& [path, rank] : spec.ranks)
    std::cout << "\n  " << printable(path) << " of rank " << rank;
  std::cout << "\n";
}

void show_weights(const Path& path) {
  const TensorFile file = load_safetensors(path);
  std::cout << shown(path) << ": safetensors\n";
  for (const auto& [key, text] : file.metadata)
    if (key != kSpecKey)
      std::cout << "  metadata " << printable(key) << ": " << printable(text, kLongest) << "\n";
  if (file.metadata.contains(kSpecKey)) show_spec(spec_of_weights(path));
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : file.tensors) {
    print_tensor(name, tensor.shape(), "");
    numbers += tensor.numel();
  }
  print_total(file.tensors.size(), numbers);
}

void show_checkpoint(const Path& path, const Checkpoint& checkpoint) {
  std::cout << shown(path) << ": checkpoint after " << checkpoint.iteration << " of "
            << checkpoint.total_iterations << " steps, "
            << static_cast<std::int64_t>(checkpoint.seconds) << " s of training\n";
  if (!checkpoint.log.steps.empty())
    std::cout << "  loss " << checkpoint.log.steps.back().loss << "\n";
  for (const ValidationRecord& v : checkpoint.log.validations)
    std::cout << "  step " << v.iteration << ": AP50 " << v.ap50 << "\n";
  std::cout << "  settings " << printable(checkpoint.config, kLongest) << "\n";
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : checkpoint.tensors) numbers += tensor.numel();
  print_total(checkpoint.tensors.size(), numbers);
}

void show_newest_checkpoint(const Path& folder) {
  std::string warning;
  const auto checkpoint = load_checkpoint(folder, &warning);
  check(checkpoint.has_value(), folder.string(), ": holds no checkpoint");
  if (!warning.empty()) std::cerr << "warning: " << printable(warning, kLongest) << "\n";
  show_checkpoint(folder, *checkpoint);
}

void show_tfjs(const Path& manifest) {
  const TfjsManifest announced = read_tfjs_manifest(manifest);
  std::cout << shown(manifest) << ": TensorFlow.js weights\n";
  std::int64_t numbers = 0;
  for (const TfjsWeight& w : announced.weights) {
    print_tensor(w.name, w.shape, w.quantized ? "  one byte a number" : "");
    numbers += w.shape.numel();
  }
  print_total(announced.weights.size(), numbers);
}

/// The only *weights_manifest.json of a folder, or nothing.
Path manifest_in(const Path& folder) {
  Path found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().ends_with("weights_manifest.json")) {
      check(found.empty(), folder.string(), ": holds several manifests, ",
            found.filename().string(), " and ", entry.path().filename().string(), ": name one");
      found = entry.path();
    }
  return found;
}

bool has_checkpoint(const Path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("checkpoint-") && name.ends_with(".json")) return true;
  }
  return false;
}

void show_run(const Path& folder) {
  const RunConfig config = load_run_config(folder / kConfigFile);
  std::cout << shown(folder) << ": a run on " << printable(config.data) << "\n";
  show_spec(*config.detector);
  for (const bool best : {false, true}) {
    const char* name = best ? kBestFile : kModelFile;
    if (!std::filesystem::exists(folder / name)) {
      std::cout << "  no " << name << "\n";
      continue;
    }
    std::cout << "  " << name << ": " << load_run(folder, best).detector->parameter_count()
              << " parameters\n";
  }
  if (has_checkpoint(folder)) show_newest_checkpoint(folder);
}

void show(const Path& path) {
  check(std::filesystem::exists(path), "there is no ", path);
  if (!std::filesystem::is_directory(path)) {
    const std::string name = path.filename().string();
    if (name.ends_with("weights_manifest.json")) return show_tfjs(path);
    if (name.ends_with(".safetensors")) return show_weights(path);
    if (name.starts_with("checkpoint-") && name.ends_with(".json"))
      return show_checkpoint(path, read_checkpoint(path));
    throw std::invalid_argument(concat(path.string(),
                                       ": must be weights (.safetensors), a checkpoint "
                                       "(checkpoint-N.json), a manifest of TensorFlow.js "
                                       "(...weights_manifest.json) or a folder"));
  }
  if (is_run_folder(path)) return show_run(path);
  if (has_checkpoint(path)) return show_newest_checkpoint(path);
  if (const Path manifest = manifest_in(path); !manifest.empty()) return show_tfjs(manifest);
  if (std::filesystem::exists(path / "model")) return show_tfjs(face_manifest(path));
  throw std::invalid_argument(
      concat(path.string(), ": holds neither a run, a checkpoint nor TensorFlow.js weights"));
}

}  // namespace

int run_info(int argc, char** argv) {
  Program program({.name = "boxgrad info",
                   .about = "Says what a file of weights, a checkpoint or a run's folder holds.",
                   .threads = false,
                   .out = false,
                   .quick = false,
                   .data_on_stdout = true,
                   .examples = "Examples:\n"
                               "  boxgrad info weights.safetensors\n"
                               "  boxgrad info out/run\n"
                               "  boxgrad info out/run/checkpoint-400.json\n"
                               "  boxgrad info out/face-api/package\n"});
  Path path;
  program.option(
      "file", path,
      "a .safetensors file, a run's folder, a checkpoint's .json, a TensorFlow.js folder");
  return program.run(argc, argv, [&] {
    check(!path.empty(), "name the file or folder (boxgrad info --help)");
    show(path);
  });
}

}  // namespace boxgrad::detection
