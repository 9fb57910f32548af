// libFuzzer's entry: `fuzz --target=idx [libFuzzer's options] corpus`. `make fuzz` runs all
// targets.
#include <sys/time.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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
  std::signal(SIGPROF, [](int) { std::abort(); });
  return 0;
}

// Time is the processor's: on a busy machine, or when the fuzzer is stopped for a while, the clock
// says nothing about an input. abort() keeps it among the finds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const itimerval endless{.it_interval = {}, .it_value = {.tv_sec = 10, .tv_usec = 0}};
  setitimer(ITIMER_PROF, &endless, nullptr);
  const std::clock_t start = std::clock();
  chosen->run({data, size});  // an exception that gets here ends the program: a find
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  if (seconds >= 1) {
    std::fprintf(stderr, "fuzz: an input took %.2f s\n", seconds);
    std::abort();
  }
  return 0;
}
