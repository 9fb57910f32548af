// libFuzzer's entry: `fuzz --target=idx [libFuzzer's options] corpus`. `make fuzz` runs all
// targets.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/parallel.h"
#include "tests/fuzz/targets.h"

namespace {

const boxgrad::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view option = "--target=";  // libFuzzer leaves two dashes to others
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    if (!argument.starts_with(option)) continue;
    for (const auto& target : boxgrad::fuzz::targets())
      if (argument.substr(option.size()) == target.name) chosen = &target;
  }
  if (chosen == nullptr) {
    std::fputs("fuzz: --target= must be one of:", stderr);
    for (const auto& target : boxgrad::fuzz::targets()) std::fprintf(stderr, " %s", target.name);
    std::fputs("\n", stderr);
    std::exit(1);
  }
  boxgrad::set_num_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen->run({data, size});  // an exception that gets here ends the program: a find
  return 0;
}
