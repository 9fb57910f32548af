#include <iostream>

#include "core/check.h"
#include "core/program.h"
#include "detection/cli/subcommand.h"
#include "detection/doctor/checkup.h"
#include "detection/doctor/checkup_page.h"
#include "detection/doctor/checkup_text.h"

namespace boxgrad::detection {

int run_doctor(int argc, char** argv) {
  Program program({.name = "boxgrad doctor",
                   .about = "Looks at a folder of annotated photos: what is in it, what is wrong "
                            "with it and how to mend that, which anchors suit. Changes nothing.",
                   .quick = false,
                   .data_on_stdout = true,
                   .examples = "Examples:\n"
                               "  boxgrad doctor photos\n"
                               "  boxgrad doctor photos --json > faults.json\n"
                               "  boxgrad doctor photos --strict    exit status 1 where there are "
                               "faults\n"});
  std::filesystem::path data;
  CheckupOptions options;
  bool json = false, strict = false, fast = false;
  int places = 5;
  program.option("data", data, "a folder annotated like PASCAL VOC or COCO, or a COCO file");
  program.flag("--json", json, "one JSON document on standard output instead of the text");
  program.flag("--strict", strict, "exit status 1 when there are faults");
  program.flag("--fast", fast, "do not decode pictures: damage inside may stay unseen");
  program.option("--places", places, "places shown for each kind of fault", 1, 1000000);
  program.option("--longer", options.longer_px, "px of a photo's longer side in a network", 32,
                 8192);
  program.option("--anchors", options.anchors, "how many sizes of anchors to suggest", 1, 64);
  return program.run(argc, argv, [&] {
    check(!data.empty(), "name the folder (boxgrad doctor --help)");
    check(std::filesystem::exists(data), "there is no ", data);
    options.decode = !fast;
    options.seed = program.seed();
    const Checkup checkup = examine(data, options);
    write_checkup_page(checkup, program.out());
    std::cout << (json ? checkup_json(checkup) : checkup_text(checkup, places)) << std::flush;
    std::cerr << "wrote " << (program.out() / "index.html").string() << "\n";
    const std::int64_t faults = checkup.faults.faults();
    if (strict)
      check(faults == 0, data, ": ", faults, faults == 1 ? " fault" : " faults", " (--strict)");
  });
}

}  // namespace boxgrad::detection
