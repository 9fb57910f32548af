#include <iostream>

#include "core/check.h"
#include "core/program.h"
#include "detection/cli/subcommand.h"
#include "detection/training/run_folder.h"
#include "layers/linear.h"
#include "layers/svd_linear.h"

namespace boxgrad::detection {

namespace {

using Path = std::filesystem::path;

struct CompressSettings {
  Path run, out;
  std::string layers = ".*";
  double energy = 0.9;
};

void compress_run(CompressSettings settings) {
  check(!settings.run.empty(), "name the run's folder (boxgrad compress --help)");
  check(settings.energy > 0, "--energy: must be above 0, got ", settings.energy);
  TrainedDetector trained = load_run(settings.run);
  RunConfig config = load_run_config(settings.run / kConfigFile);
  if (settings.out.empty()) {
    settings.out = settings.run;
    // A path that ends with "/" has no name at its end.
    if (!settings.out.has_filename()) settings.out = settings.out.parent_path();
    settings.out += "_compressed";
  }
  check(!is_run_folder(settings.out), "--out: ", settings.out, " holds a run already");
  bool any = false;
  trained.detector->visit([&](const std::string&, nn::Module& module) {
    any = any || dynamic_cast<nn::Linear*>(&module) != nullptr;
  });
  check(any, settings.run.string(), ": a ", trained.spec.model,
        trained.spec.ranks.empty()
            ? " has no fully connected layers, and nothing else is compressed"
            : " whose fully connected layers are compressed already");

  const std::int64_t before = trained.detector->parameter_count();
  const std::vector<nn::CompressedLayer> layers =
      nn::compress(*trained.detector, {.layers = settings.layers, .energy = settings.energy});
  check(!layers.empty(), "--energy: with ", settings.energy,
        " no layer becomes smaller; try a lower one");
  for (const nn::CompressedLayer& layer : layers)
    trained.spec.ranks.emplace_back(layer.path, layer.t);
  std::cout << nn::to_table(layers) << before << " parameters before, "
            << trained.detector->parameter_count() << " after\n";

  config.detector = trained.spec;
  std::filesystem::create_directories(settings.out);
  save_trained(settings.out / kModelFile, *trained.detector, trained.spec);
  save_run_config(settings.out / kConfigFile, config);
  std::cout << "run: " << settings.out.string() << " (boxgrad eval says what it costs)\n";
}

}  // namespace

int run_compress(int argc, char** argv) {
  Program program(
      {.name = "boxgrad compress",
       .about = "Replaces fully connected layers by two thin ones each (truncated SVD).",
       .out = false,
       .quick = false,
       .examples = "Examples:\n"
                   "  boxgrad compress out/cells --energy 0.9\n"
                   "  boxgrad compress out/cells --energy 0.8 --layers '.*fc6' "
                   "--out out/thin\n"});
  CompressSettings settings;
  program.option("run", settings.run, "a run's folder (fast-rcnn or faster-rcnn)");
  program.option("--energy", settings.energy, "the share of each weight's squares that is kept", 0,
                 1);
  program.option("--layers", settings.layers,
                 "which layers, by a regular expression on their path");
  program.option("--out", settings.out, "the new run's folder (RUN_compressed)");
  return program.run(argc, argv, [&] { compress_run(settings); });
}

}  // namespace boxgrad::detection
