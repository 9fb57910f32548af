#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <new>
#include <sstream>
#include <stdexcept>

#include "core/check.h"
#include "core/parallel.h"
#include "core/program.h"
#include "core/random.h"
#include "tests/catch.h"

using namespace boxgrad;

namespace {

/// What a program printed and returned.
struct Outcome {
  int status;
  std::string out, err;
};

/// Runs a program inside this process; threads and seed are put back afterwards.
Outcome run(
    Program& program, std::vector<const char*> arguments,
    const std::function<void()>& body = [] {}) {
  const int threads_before = num_threads();
  const Random random_before = default_random();
  std::ostringstream out, err;
  std::streambuf* const cout_before = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const cerr_before = std::cerr.rdbuf(err.rdbuf());
  arguments.insert(arguments.begin(), "program");
  const int status = program.run(static_cast<int>(arguments.size()), arguments.data(), body);
  std::cout.rdbuf(cout_before);
  std::cerr.rdbuf(cerr_before);
  set_num_threads(threads_before);
  default_random() = random_before;
  return {status, out.str(), err.str()};
}

int lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("a program's first line says what its numbers depend on", "[program]") {
  Program program({.name = "lesson", .about = "Teaches."});
  int threads = 0;
  double first = 0;
  const Outcome outcome = run(program, {"--threads", "3", "--seed", "7"}, [&] {
    threads = num_threads();
    first = default_random().uniform();
  });
  CHECK(outcome.status == 0);
  CHECK(outcome.out.rfind("lesson: 3 threads, ", 0) == 0);
  CHECK(outcome.out.find("seed 7, OpenBLAS") != std::string::npos);
  CHECK(outcome.err.empty());
  CHECK(threads == 3);
  CHECK(first == Random(7).uniform());
  CHECK(program.seed() == 7);
}

TEST_CASE("a program that prints data keeps its first line off stdout", "[program]") {
  Program program(
      {.name = "bench", .about = "Measures.", .threads = false, .data_on_stdout = true});
  std::vector<int> threads{1, 2};
  program.option("--threads", threads, "numbers of threads to measure");
  const Outcome outcome = run(program, {"--threads", "1,2,4"}, [] { std::cout << "name,ms\n"; });
  CHECK(outcome.status == 0);
  CHECK(outcome.out == "name,ms\n");
  CHECK(outcome.err.rfind("bench: ", 0) == 0);
  CHECK(threads == std::vector<int>{1, 2, 4});
}

TEST_CASE("a program takes any number of files", "[program]") {
  for (const bool flag_first : {true, false}) {
    Program program({.name = "faces", .about = "Finds."});
    std::vector<std::filesystem::path> photos;
    bool json = false;
    program.arguments("photos", photos, "pictures");
    program.flag("--json", json, "for machines");
    const Outcome outcome = flag_first
                                ? run(program, {"--json", "a,b.jpg", "--seed", "2", "c d.jpg"})
                                : run(program, {"a,b.jpg", "c d.jpg", "--json"});
    CHECK(outcome.err.empty());
    CHECK(json);
    CHECK(photos == std::vector<std::filesystem::path>{"a,b.jpg", "c d.jpg"});
  }
  Program program({.name = "faces", .about = "Finds."});
  std::vector<std::filesystem::path> photos;
  program.arguments("photos", photos, "pictures");
  CHECK(run(program, {}).status == 0);
  CHECK(photos.empty());
}

TEST_CASE("a program's own options", "[program]") {
  Program program({.name = "lesson", .about = "Teaches."});
  std::string data, rule = "ssd";
  std::filesystem::path resume;
  int iterations = 100;
  double rate = 0.1, shift = 0;
  bool mining = false, other = false;
  std::vector<std::string> names;
  program.option("--data", data, "a VOC folder");
  program.option("--resume", resume, "a checkpoint");
  program.option("--iterations", iterations, "steps", 1);
  program.option("--rate", rate, "learning rate", 0);
  program.option("--shift", shift, "any number");
  program.option("--names", names, "some words");
  program.flag("--mining", mining, "choose hard negatives");
  program.flag("--other", other, "something else");
  program.choice("--match", rule, {"ssd", "notes"}, "matching rule");
  const Outcome outcome =
      run(program, {"--data", "a b/voc", "--iterations", "20", "--rate=2.5e-3", "--shift", "-1",
                    "--mining", "--match", "notes", "--names", "x,y", "--quick"});
  CHECK(outcome.err.empty());
  CHECK(outcome.status == 0);
  CHECK(data == "a b/voc");
  CHECK(resume.empty());
  CHECK(iterations == 20);
  CHECK(rate == 2.5e-3);
  CHECK(shift == -1);
  CHECK(mining);
  CHECK_FALSE(other);
  CHECK(rule == "notes");
  CHECK(names == std::vector<std::string>{"x", "y"});
  CHECK(program.quick());
  CHECK(program.given("--iterations"));
  CHECK_FALSE(program.given("--resume"));
}

TEST_CASE("--help lists the options with their defaults and runs nothing", "[program]") {
  Program program({.name = "lesson", .about = "Teaches one thing."});
  int iterations = 123;
  program.option("--iterations", iterations, "training steps", 1);
  bool ran = false;
  const Outcome outcome = run(program, {"--help"}, [&] { ran = true; });
  CHECK(outcome.status == 0);
  CHECK_FALSE(ran);
  for (const char* part : {"Teaches one thing.", "--threads", "--seed", "--out", "out/lesson",
                           "--quick", "--iterations", "123", "training steps"}) {
    CAPTURE(part);
    CHECK(outcome.out.find(part) != std::string::npos);
  }
}

TEST_CASE("a bad command line is one line on stderr and status 1", "[program][errors]") {
  const std::vector<std::vector<const char*>> bad = {{"--iteration", "5"},
                                                     {"--iterations"},
                                                     {"--iterations", "five"},
                                                     {"--iterations", "0"},
                                                     {"--iterations=1.5"},
                                                     {"--rate", "nan"},
                                                     {"--rate", "inf"},
                                                     {"--rate", "-1"},
                                                     {"--threads", "0"},
                                                     {"--threads", "1000"},
                                                     {"--seed", "-1"},
                                                     {"--match", "mine"},
                                                     {"surplus"},
                                                     {"--iterations", "99999999999"}};
  for (const auto& arguments : bad) {
    Program program({.name = "lesson", .about = "Teaches."});
    int iterations = 1;
    double rate = 1;
    std::string rule = "ssd";
    program.option("--iterations", iterations, "steps", 1);
    program.option("--rate", rate, "learning rate", 0);
    program.choice("--match", rule, {"ssd", "notes"}, "matching rule");
    bool ran = false;
    const Outcome outcome = run(program, arguments, [&] { ran = true; });
    CAPTURE(arguments, outcome.err);
    CHECK(outcome.status == 1);
    CHECK_FALSE(ran);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.rfind("error: ", 0) == 0);
    CHECK(lines(outcome.err) == 1);
  }
}

TEST_CASE("what the body throws becomes an exit status and one line", "[program][errors]") {
  const auto outcome_of = [](const std::function<void()>& body) {
    Program program({.name = "lesson", .about = "Teaches."});
    return run(program, {}, body);
  };
  const Outcome user = outcome_of([] { throw std::invalid_argument("conv2d: two\nlines\n"); });
  CHECK(user.status == 1);
  CHECK(user.err == "error: conv2d: two lines\n");
  const Outcome disk = outcome_of([] { throw std::runtime_error("a.png: disk full"); });
  CHECK(disk.status == 1);
  CHECK(disk.err == "error: a.png: disk full\n");
  CHECK(outcome_of([] { (void)std::filesystem::file_size("no/such/file"); }).status == 1);
  const Outcome ours = outcome_of([] { throw std::logic_error("used twice"); });
  CHECK(ours.status == 2);
  CHECK(ours.err == "error: internal: used twice\n");
  CHECK(outcome_of([] { throw std::bad_alloc(); }).status == 2);
  CHECK(outcome_of([] { throw 42; }).status == 2);
}

TEST_CASE("output that cannot be written is a failure", "[program][errors]") {
  Program program({.name = "lesson", .about = "Teaches."});
  const Outcome outcome = run(program, {}, [] { std::cout.setstate(std::ios::badbit); });
  std::cout.clear();
  CHECK(outcome.status == 1);
  CHECK(outcome.err == "error: standard output: cannot write\n");
}

TEST_CASE("--out is created when it is first asked for", "[program]") {
  const auto folder =
      std::filesystem::temp_directory_path() / concat("boxgrad_test_program_", ::getpid());
  std::filesystem::remove_all(folder);
  const std::string out = (folder / "a" / "b").string();
  Program idle({.name = "lesson", .about = "Teaches."});
  CHECK(run(idle, {"--out", out.c_str()}).status == 0);
  CHECK_FALSE(std::filesystem::exists(folder));

  Program writer({.name = "lesson", .about = "Teaches."});
  CHECK(run(writer, {"--out", out.c_str()}, [&] { CHECK(writer.out() == out); }).status == 0);
  CHECK(std::filesystem::is_directory(out));

  Program blocked({.name = "lesson", .about = "Teaches."});
  const Outcome outcome = run(blocked, {"--out", "/dev/null/x"}, [&] { blocked.out(); });
  CHECK(outcome.status == 1);
  CHECK(outcome.err.rfind("error: --out: cannot create the folder \"/dev/null/x\"", 0) == 0);
  std::filesystem::remove_all(folder);
}
