#include <algorithm>
#include <iomanip>
#include <iostream>
#include <set>

#include "core/check.h"
#include "core/file_names.h"
#include "core/printable.h"
#include "core/program.h"
#include "detection/cli/subcommand.h"
#include "detection/detections_json.h"
#include "detection/draw.h"
#include "detection/training/run_folder.h"
#include "layers/inference.h"

namespace boxgrad::detection {

namespace {

using Path = std::filesystem::path;

struct DetectSettings {
  Path run, draw;
  std::vector<Path> photos;
  double min_score = 0.5;
  bool json = false, best = false;
};

/// Those of at least such a score; best first, as they come.
Detections confident(const Detections& all, double min_score) {
  std::int64_t count = 0;
  Detections kept;
  while (static_cast<std::size_t>(count) < all.scores.size() &&
         static_cast<double>(all.scores[static_cast<std::size_t>(count)]) >= min_score)
    ++count;
  kept.boxes = Tensor({count, 4});
  std::copy_n(all.boxes.data().begin(), 4 * count, kept.boxes.data().begin());
  kept.labels.assign(all.labels.begin(), all.labels.begin() + count);
  kept.scores.assign(all.scores.begin(), all.scores.begin() + count);
  return kept;
}

void print_found(const std::string& name, const Detections& found,
                 const std::vector<std::string>& classes) {
  std::cout << name << ": " << found.scores.size()
            << (found.scores.size() == 1 ? " object\n" : " objects\n");
  const auto corners = found.boxes.data();
  for (std::size_t i = 0; i < found.scores.size(); ++i) {
    std::cout << "  " << printable(classes[static_cast<std::size_t>(found.labels[i] - 1)]) << " "
              << std::fixed << std::setprecision(2) << found.scores[i] << " at"
              << std::setprecision(0);
    for (std::size_t k = 0; k < 4; ++k) std::cout << " " << corners[4 * i + k];
    std::cout << std::defaultfloat << "\n";
  }
}

void draw_found(const Image& photo, const Detections& found,
                const std::vector<std::string>& classes, const Path& file) {
  Image drawn = photo;
  const int thickness = std::max(2, std::max(photo.width(), photo.height()) / 400);
  draw_detections(
      drawn, found, classes,
      {.min_score = 0, .thickness = thickness, .text_scale = std::max(1, thickness / 2)});
  drawn.write_png(file);
}

/// A drawn copy is called like its photo, and takes the place of what is there: in the photos' own
/// folder it would be the last that is seen of them. Also of those that are given by a link.
void check_draw_folder(const DetectSettings& settings) {
  std::error_code ignored;  // a photo that is not there is told of in its turn
  for (const Path& photo : settings.photos)
    for (const Path& file : {photo, std::filesystem::weakly_canonical(photo, ignored)}) {
      const Path folder = file.has_parent_path() ? file.parent_path() : Path(".");
      check(!std::filesystem::equivalent(folder, settings.draw, ignored), "--draw: ", settings.draw,
            " is the folder of ", photo, ", which would be drawn over; name another");
    }
}

void detect_run(const DetectSettings& settings) {
  check(!settings.run.empty(), "name the run's folder, then photos (boxgrad detect --help)");
  check(!settings.photos.empty(), "name the photos to look at");
  if (!settings.draw.empty()) check_draw_folder(settings);
  TrainedDetector trained = load_run(settings.run, settings.best);
  nn::prepare_for_inference(*trained.detector);  // once for all photos
  if (!settings.draw.empty()) std::filesystem::create_directories(settings.draw);
  std::set<std::string> drawn;  // two folders may each have a dog.jpg
  std::size_t failed = 0;
  // Every photo, or an error that names it; the others go on. Lack of memory and mistakes of ours
  // are no photo's, and end the command (core/program.h).
  for (const Path& path : settings.photos) {
    const auto error = input_error([&] {
      const Image photo = Image::read(path);
      const Detections found =
          confident(detect_in_photo(trained, photo, path.string()), settings.min_score);
      if (settings.json)
        std::cout << detections_json(path.string(), photo, found, trained.spec.classes)
                  << std::endl;
      else
        print_found(path.string(), found, trained.spec.classes);
      if (!settings.draw.empty())
        draw_found(photo, found, trained.spec.classes,
                   settings.draw / (free_name(path.stem().string(), drawn) + ".png"));
    });
    if (!error) continue;
    ++failed;
    std::cerr << "error: " << *error << std::endl;
  }
  if (failed > 0)
    throw std::runtime_error(concat(failed, " of ", settings.photos.size(), " photos failed"));
}

}  // namespace

int run_detect(int argc, char** argv) {
  Program program({.name = "boxgrad detect",
                   .about = "Finds objects in photos.",
                   .out = false,
                   .quick = false,
                   .data_on_stdout = true,
                   .examples = "Examples:\n"
                               "  boxgrad detect out/cells a.jpg b.jpg\n"
                               "  boxgrad detect out/cells *.jpg --json > found.jsonl\n"
                               "  boxgrad detect out/cells a.jpg --draw out/drawn\n"});
  DetectSettings settings;
  program.option("run", settings.run, "a run's folder, or its weights (.safetensors)");
  program.arguments("photos", settings.photos, "pictures to find objects in (.jpg, .png, .bmp)");
  program.flag("--json", settings.json, "one line of JSON a photo");
  program.option("--draw", settings.draw, "a folder for the photos with what was found");
  program.option("--min-score", settings.min_score, "report objects with at least this score", 0,
                 1);
  program.flag("--best", settings.best, "the weights of the best look during training");
  return program.run(argc, argv, [&] { detect_run(settings); });
}

}  // namespace boxgrad::detection
