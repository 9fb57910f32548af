// Writes a folder of annotated photos in VOC's layout: shoes pasted in photos that the system has.
//
//   sudo apt-get install -y mate-backgrounds
//   make build/bin/paste_photos && build/bin/paste_photos --out out/shoes
#include <iostream>

#include "core/program.h"
#include "tests/tools/pasted_photos.h"

using namespace boxgrad;
using namespace boxgrad::detection;

int main(int argc, char** argv) {
  Program program({.name = "paste_photos",
                   .about = "Writes photos with pasted shoes and their boxes, in VOC's layout."});
  PastedPhotosOptions options{.backgrounds = "/usr/share/backgrounds/mate/nature"};
  program.option("--photos", options.backgrounds,
                 "a folder of photos to paste in (Debian's mate-backgrounds has this one)");
  return program.run(argc, argv, [&] {
    options.seed = program.seed();
    if (program.quick()) options.train = options.val = options.test = 4;
    const auto boxes = PastedPhotos(options).write(program.out());
    std::cout << "train: " << options.train << " photos, " << boxes[0]
              << " shoes; val: " << options.val << ", " << boxes[1] << "; test: " << options.test
              << ", " << boxes[2] << "\n"
              << program.out().string() << "\n";
  });
}
