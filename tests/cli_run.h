#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/image.h"
#include "tests/catch.h"
#include "tests/cli.h"

/// Runs of the `boxgrad` command on small folders.
namespace boxgrad::detection {

namespace fs = std::filesystem;

/// Grey photos, 96 x 72, with one green and one red square each, annotated like VOC.
inline void write_photos(const fs::path& folder, int count, bool lists) {
  for (const char* part : {"Annotations", "JPEGImages", "ImageSets/Main"})
    if (lists || std::string(part) != "ImageSets/Main") fs::create_directories(folder / part);
  for (int i = 0; i < count; ++i) {
    const std::string name = "photo" + std::to_string(i);
    Image image(96, 72, Color{100, 100, 100});
    std::string xml = "<annotation><filename>" + name + ".png</filename>" +
                      "<size><width>96</width><height>72</height></size>";
    for (int k = 0; k < 2; ++k) {
      const int side = 16 + i % 5, x = 6 + 44 * k + i % 9, y = 10 + i % 7;
      for (int h = y; h < y + side; ++h)
        for (int w = x; w < x + side; ++w) image.pixel(w, h)[k] = 240;
      xml += concat("<object><name>", k == 0 ? "red" : "green", "</name><bndbox><xmin>", x + 1,
                    "</xmin><ymin>", y + 1, "</ymin><xmax>", x + side, "</xmax><ymax>", y + side,
                    "</ymax></bndbox></object>");
    }
    image.write_png(folder / "JPEGImages" / (name + ".png"));
    std::ofstream(folder / "Annotations" / (name + ".xml")) << xml << "</annotation>\n";
    if (!lists) continue;
    const char* list = i % 4 == 0 ? "val" : i % 4 == 1 ? "test" : "train";
    std::ofstream(folder / "ImageSets/Main" / concat(list, ".txt"), std::ios::app) << name << "\n";
  }
}

/// Small enough to learn in no time.
inline fs::path write_small_config(const fs::path& folder, const std::string& model) {
  nlohmann::json training = {{"longer_px", 64}, {"batch_size", 2}, {"iterations", 4}};
  training["anchor_sides"] = 3;
  if (model.find("rcnn") != std::string::npos)
    training.update({{"channels", 4}, {"hidden", 16}, {"proposals", 20}, {"regions", 16}});
  const fs::path file = folder / (model + ".json");
  std::ofstream(file) << nlohmann::json{{"model", model}, {"training", training}};
  return file;
}

inline CliOutcome succeeds(const std::vector<std::string>& arguments) {
  CliOutcome outcome = boxgrad_command(arguments);
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  return outcome;
}

inline void fails(const std::vector<std::string>& arguments, const std::string& reason) {
  const CliOutcome outcome = boxgrad_command(arguments);
  INFO(outcome.out);
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.err, Catch::Contains("error: ") && Catch::Contains(reason));
}

inline nlohmann::json json_of(const fs::path& file) {
  return nlohmann::json::parse(read_text_file(file, 1 << 24));
}

}  // namespace boxgrad::detection
