// The command's frame: detection/cli/subcommand.cpp, detection/cli/main.cpp; and
// detection/cli/info.cpp.
#include <algorithm>
#include <fstream>

#include "core/serialize.h"
#include "detection/training/checkpoint.h"
#include "tests/catch.h"
#include "tests/cli.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

TEST_CASE("boxgrad lists its commands", "[cli]") {
  const CliOutcome help = boxgrad_command({"--help"});
  CHECK(help.status == 0);
  CHECK(help.err.empty());
  for (const Subcommand& command : subcommands())
    CHECK_THAT(help.out, Catch::Contains(std::string("\n  ") + command.name + " "));
}

TEST_CASE("every command has a help with examples", "[cli]") {
  for (const Subcommand& command : subcommands()) {
    INFO(command.name);
    const CliOutcome help = boxgrad_command({command.name, "--help"});
    CHECK(help.status == 0);
    CHECK_THAT(help.out, Catch::Contains(std::string("boxgrad ") + command.name) &&
                             Catch::Contains("Examples:\n  boxgrad "));
  }
}

TEST_CASE("no command, another command: status 1 and the list", "[cli][errors]") {
  const CliOutcome none = boxgrad_command({});
  CHECK(none.status == 1);
  CHECK_THAT(none.err, Catch::Contains("Commands:") && Catch::EndsWith("error: name a command\n"));
  const CliOutcome other = boxgrad_command({"trian\n"});
  CHECK(other.status == 1);
  CHECK(other.out.empty());
  CHECK_THAT(other.err, Catch::StartsWith("error: there is no command \"trian?\"; there are ") &&
                            Catch::Contains("info") && Catch::EndsWith("(boxgrad --help)\n"));
  const CliOutcome option = boxgrad_command({"info", "--nonsense"});
  CHECK(option.status == 1);
  CHECK_THAT(option.err, Catch::Contains("boxgrad info --help lists the options"));
}

TEST_CASE("info says what a file holds", "[cli][info]") {
  const CliFolder folder("info");
  const fs::path weights = folder.path() / "weights.safetensors";
  save_safetensors(
      weights, {{{"conv.weight", Tensor({3, 3, 1, 8})}, {"bias", Tensor({8})}}, {{"by", "me"}}});
  const CliOutcome told = boxgrad_command({"info", weights.string()});
  CHECK(told.status == 0);
  CHECK_THAT(told.out, Catch::Contains("metadata by: me") &&
                           Catch::Contains("conv.weight  [3, 3, 1, 8]") &&
                           Catch::EndsWith("2 tensors, 80 numbers\n"));

  // One generation of a checkpoint, by its manifest.
  Checkpoint checkpoint;
  checkpoint.iteration = 3, checkpoint.total_iterations = 8, checkpoint.seconds = 2;
  checkpoint.config = "{}";
  checkpoint.tensors = {{"model/weight", Tensor({4})}};
  save_checkpoint(folder.path() / "run", checkpoint);
  checkpoint.iteration = 5;
  save_checkpoint(folder.path() / "run", checkpoint);
  for (const int steps : {3, 5}) {
    const fs::path manifest = folder.path() / "run" / concat("checkpoint-", steps, ".json");
    const CliOutcome one = boxgrad_command({"info", manifest.string()});
    CHECK(one.status == 0);
    CHECK_THAT(one.out, Catch::Contains(concat("checkpoint after ", steps, " of 8 steps, 2 s")) &&
                            Catch::EndsWith("1 tensors, 4 numbers\n"));
  }

  std::ofstream(folder.path() / "damaged.safetensors") << "no tensors";
  std::ofstream(folder.path() / "checkpoint-7.json") << "{}";
  std::ofstream(folder.path() / "checkpoint-last.json") << "{}";
  std::ofstream(folder.path() / "readme.txt") << "text";
  const auto refused = [&](const fs::path& path, const std::string& reason) {
    const CliOutcome outcome = boxgrad_command({"info", path.string()});
    INFO(outcome.err);
    CHECK(outcome.status == 1);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, Catch::StartsWith("boxgrad info: ") && Catch::Contains(reason));
  };
  refused(folder.path() / "damaged.safetensors", "damaged.safetensors");
  refused(folder.path() / "readme.txt", "must be weights");
  refused(folder.path() / "checkpoint-7.json", "checkpoint-7.json: damaged");
  refused(folder.path() / "checkpoint-last.json", "must be called checkpoint-<steps>.json");
  refused(folder.path() / "absent", "there is no");
  fs::remove(folder.path() / "checkpoint-7.json");
  fs::remove(folder.path() / "checkpoint-last.json");
  refused(folder.path(), "holds neither a run");
  CHECK(boxgrad_command({"info"}).status == 1);
}

TEST_CASE("info passes no terminal's orders on", "[cli][info]") {
  const CliFolder folder("escapes");
  const auto no_order = [](const std::string& text) {
    return std::ranges::none_of(
        text, [](char c) { return c != '\n' && (c == 127 || (c >= 0 && c < 32)); });
  };
  const fs::path weights = folder.path() / "weights.safetensors";
  const std::string name = "a\x1b[2Jb\x7f";
  save_safetensors(weights, {{{name, Tensor({8})}}, {{name, name}}});
  const CliOutcome told = boxgrad_command({"info", weights.string()});
  CHECK(told.status == 0);
  CHECK_THAT(told.out,
             Catch::Contains("metadata a?[2Jb?: a?[2Jb?\n") && Catch::Contains("  a?[2Jb?  [8]"));
  CHECK(no_order(told.out));
  // In messages of failure, too.
  const fs::path odd = folder.path() / "x\x1b[2J.safetensors";
  std::ofstream(odd) << "no tensors";
  const CliOutcome refused = boxgrad_command({"info", odd.string()});
  CHECK(refused.status == 1);
  CHECK_THAT(refused.err, Catch::Contains("x?[2J.safetensors"));
  CHECK(no_order(refused.err));
}
