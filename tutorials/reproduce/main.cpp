// `make reproduce`: what the papers say, measured on three seeds, with a verdict for each claim.
#include <algorithm>
#include <iostream>
#include <stdexcept>

#include "core/program.h"
#include "tutorials/reproduce/lab.h"

using namespace boxgrad;
using namespace boxgrad::reproduce;

int main(int argc, char** argv) {
  Program program({.name = "reproduce",
                   .about = "Trains what the papers compare, and says which claims come out."});
  int seeds = 3, steps = 1500;
  std::vector<std::string> only;
  program.option("--seeds", seeds, "trainings of each kind", 1, 20);
  program.option("--steps", steps, "steps of a training, two images each", 1);
  program.option("--only", only,
                 "groups: systems, fast_rcnn, svd, ohem, proposals, mobilenet, focal, "
                 "single_shot");
  return program.run(argc, argv, [&] {
    struct Group {
      std::string name;
      void (*run)(Lab&);
    };
    const std::vector<Group> groups{{"systems", reproduce_systems},
                                    {"fast_rcnn", reproduce_fast_rcnn},
                                    {"svd", reproduce_svd},
                                    {"ohem", reproduce_ohem},
                                    {"proposals", reproduce_proposals},
                                    {"mobilenet", reproduce_mobilenet},
                                    {"focal", reproduce_focal},
                                    {"single_shot", reproduce_single_shot}};
    for (const std::string& name : only)
      if (std::ranges::none_of(groups, [&](const Group& group) { return group.name == name; }))
        throw std::invalid_argument("--only: there is no group \"" + name + "\"; see --help");
    if (program.quick() && !program.given("--seeds")) seeds = 1;
    if (program.quick() && !program.given("--steps")) steps = 6;
    Lab lab({.out = program.out(), .seeds = seeds, .steps = steps, .quick = program.quick()});
    lab.describe_task();
    for (const Group& group : groups)
      if (only.empty() || std::ranges::find(only, group.name) != only.end()) group.run(lab);
    lab.write();
    std::cout << "tables: " << (program.out() / "index.html").string() << ", "
              << (program.out() / "table.md").string() << "\n";
  });
}
