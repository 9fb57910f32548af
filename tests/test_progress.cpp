#include <chrono>
#include <sstream>
#include <thread>

#include "core/progress.h"
#include "tests/catch.h"

using namespace boxgrad;

TEST_CASE("durations for people", "[progress]") {
  CHECK(Progress::duration(0.4) == "0:00");
  CHECK(Progress::duration(65) == "1:05");
  CHECK(Progress::duration(7390) == "2:03:10");
  CHECK(Progress::duration(-1) == "?");
}

TEST_CASE("progress: short work shows nothing, long work its end", "[progress]") {
  std::ostringstream terminal, pipe;
  {
    Progress a("quick", 10, terminal, true), b("slow", 4, pipe, false);
    a.update(10);
    a.line("half way");
    std::this_thread::sleep_for(std::chrono::milliseconds(2050));
    CHECK(a.seconds() >= 2.05);
    b.update(3, "loss 2");
    CHECK(pipe.str().empty());  // not yet ten seconds
    b.line("half way");
    b.update(4, "loss 1");
  }
  CHECK(terminal.str().empty());
  CHECK(pipe.str().find("half way\nslow 100% 4/4") == 0);
  CHECK(pipe.str().find("loss 1\n") != std::string::npos);
}
