#include "detection/cli/subcommand.h"

#include <cstdio>
#include <iostream>

#include "core/printable.h"

namespace boxgrad::detection {

namespace {

std::string usage() {
  std::string text =
      "Object detection on your own photos, on the CPU.\n"
      "Usage: boxgrad COMMAND [OPTIONS]\n\nCommands:\n";
  for (const Subcommand& command : subcommands()) {
    std::string line = std::string("  ") + command.name;
    line.resize(13, ' ');
    text += line + command.about + "\n";
  }
  return text +
         "\n`boxgrad COMMAND --help` lists a command's options. Photos are annotated like PASCAL "
         "VOC's\n(.xml) or COCO's (.json); which it is, is found by looking at the folder.\n"
         "\nExamples:\n"
         "  boxgrad train --model ssd-mobilenet --data photos --minutes 5 --out out/cells\n"
         "  boxgrad eval out/cells --data photos\n"
         "  boxgrad detect out/cells new/*.jpg --draw out/drawn\n"
         "\nExit status: 0 it worked, 1 something about the input was wrong, 2 boxgrad was.\n";
}

int fail(const std::string& message) {
  std::cerr << "error: " << message << std::endl;
  return 1;
}

}  // namespace

const std::vector<Subcommand>& subcommands() {
  static const std::vector<Subcommand> all{
      {"doctor", "what is in a folder of annotated photos, and what is wrong with it", run_doctor},
      {"train", "trains a detector on a folder of annotated photos", run_train},
      {"eval", "measures it: AP by class, COCO's and VOC's figures, pictures", run_eval},
      {"detect", "finds objects in photos: text, JSON, drawn", run_detect},
      {"compress", "makes fully connected layers thin (truncated SVD)", run_compress},
      {"info", "what a file of weights, a checkpoint or a run's folder holds", run_info},
  };
  return all;
}

int run_boxgrad(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << usage();
    return fail("name a command");
  }
  const std::string word = argv[1];
  if (word == "--help" || word == "-h" || word == "help") {
    std::cout << usage() << std::flush;
    return std::cout ? 0 : fail("standard output: cannot write");
  }
  std::string names;
  for (const Subcommand& command : subcommands()) {
    if (word == command.name) return command.run(argc - 1, argv + 1);
    names += (names.empty() ? "" : ", ") + std::string(command.name);
  }
  return fail("there is no command \"" + printable(word) + "\"; there are " + names +
              " (boxgrad --help)");
}

}  // namespace boxgrad::detection
