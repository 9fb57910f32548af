// What `boxgrad eval --explain` says when AP is 0: detection/cli/eval.cpp, detection/cli/
// photos_for.cpp, detection/training/explain_report.cpp. Each usual reason is made on purpose, in a
// copy of a folder on which the same detector does well.
#include <functional>
#include <regex>

#include "detection/training/explain_report.h"
#include "detection/training/run_folder.h"
#include "tests/catch.h"
#include "tests/cli_run.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

using Edit = std::function<std::string(const std::string& xml)>;

/// The folder with each annotation edited.
fs::path edited_copy(const fs::path& photos, const std::string& name, const Edit& edit) {
  const fs::path copy = photos.parent_path() / name;
  fs::copy(photos, copy, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(copy / "Annotations")) {
    const std::string text = read_text_file(entry.path(), 1 << 16);
    write_file_atomically(entry.path(), edit(text));
  }
  return copy;
}

/// Each corner of each box through a function: x true for xmin and xmax.
Edit on_corners(const std::function<int(bool x, int value)>& f) {
  return [f](const std::string& xml) {
    static const std::regex corner("<(x|y)(min|max)>(\\d+)<");
    std::string result;
    std::size_t end = 0;
    for (std::sregex_iterator it(xml.begin(), xml.end(), corner), none; it != none; ++it) {
      result += xml.substr(end, static_cast<std::size_t>(it->position()) - end);
      result += concat("<", it->str(1), it->str(2), ">",
                       f(it->str(1) == "x", std::stoi(it->str(3))), "<");
      end = static_cast<std::size_t>(it->position() + it->length());
    }
    return result + xml.substr(end);
  };
}

Edit replaced(const std::string& pattern, const std::string& by) {
  return [=](const std::string& xml) { return std::regex_replace(xml, std::regex(pattern), by); };
}

}  // namespace

TEST_CASE("eval --explain names the reason for an AP of 0", "[cli][cli_explain]") {
  const CliFolder folder("explain");
  const fs::path photos = folder.path() / "photos", run = folder.path() / "run";
  write_photos(photos, 32, true);
  const fs::path config = folder.path() / "config.json";
  write_file_atomically(
      config,
      R"({"model": "ssd-small", "training": {"longer_px": 96, "batch_size": 4, "iterations": 300}})");
  succeeds(
      {"train", "--config", config.string(), "--data", photos.string(), "--out", run.string()});

  const auto explained = [&](const fs::path& with, const fs::path& data) {
    return boxgrad_command({"eval", with.string(), "--data", data.string(), "--explain", "--out",
                            (folder.path() / "eval").string()});
  };
  const auto zero = [&] { return json_of(folder.path() / "eval/explain.json")["zero"]; };
  CHECK(explained(run, photos).status == 0);
  CHECK(json_of(folder.path() / "eval/metrics.json")["AP50"] > 0.8);
  CHECK(zero().empty());
  const auto learned = [&] { return json_of(folder.path() / "eval/explain.json").at("learned"); };
  CHECK(learned()["photos"] == 16);
  CHECK(learned()["AP50"] > 0.8);

  struct Case {
    const char* name;
    Edit edit;
    std::string found;
    int status;
  };
  const std::vector<Case> cases{
      {"names", replaced("<name>(red|green)<", "<name>$1 square<"),
       "AP50 is n/a: the network knows \"green\", \"red\", the photos show \"green square\", \"red "
       "square\"; give the classes the same names",
       1},
      {"bare", replaced("<object>.*</object>", ""),
       "AP50 is n/a: nothing is annotated in 8 photos; look for the annotations", 1},
      {"difficult", replaced("</bndbox>", "</bndbox><difficult>1</difficult>"),
       "AP50 is n/a: all 16 objects are marked as difficult", 0},
      {"half", on_corners([](bool, int v) { return (v + 1) / 2; }),
       " when the answers' boxes are resized from a picture of 19", 0},
      {"moved", on_corners([](bool x, int v) { return x ? v : v + 24; }),
       " when the answers' boxes are moved by ", 0},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    const CliOutcome outcome = explained(run, edited_copy(photos, c.name, c.edit));
    INFO(outcome.err);
    CHECK(outcome.status == c.status);
    CHECK_THAT(outcome.out, Catch::Contains("AP50 is n") && Catch::Contains(c.found));
    REQUIRE(!zero().empty());
    CHECK_THAT(outcome.out, Catch::Contains("on the first 16 photos it learned from AP50 is ") &&
                                Catch::Contains("it has learned; look for the fault"));
    CHECK_THAT(outcome.out, Catch::Contains(zero()[0]["found"].get<std::string>()) &&
                                Catch::Contains(zero()[0]["remedy"].get<std::string>()));
  }

  // Without --explain the message alone has both sides' names.
  fails({"eval", run.string(), "--data", (folder.path() / "names").string()},
        "no object is of a class that the network knows (green, red); here they are called green "
        "square, red square: names are compared letter by letter");
  fails({"eval", run.string(), "--data", (folder.path() / "bare").string()},
        "split \"test\": there is no object on any of its 8 photos");
  // All corners exchanged: the reader skips them, and says so.
  const fs::path turned =
      edited_copy(photos, "turned", on_corners([](bool, int v) { return 97 - v; }));
  fails({"eval", run.string(), "--data", turned.string(), "--explain"},
        "no object on any of its 8 photos; 16 were skipped, for the reasons above");
  fails({"eval", run.string(), "--data", photos.string(), "--split", "tset", "--explain"},
        "(test, train, val), got \"tset\"");

  // A detector none of whose scores is enough.
  nlohmann::json strict = json_of(run / kConfigFile);
  strict["detector"]["answers"]["score_threshold"] = 0.99;
  strict["training"]["iterations"] = 2;
  write_file_atomically(config, strict.dump());
  const fs::path shy = folder.path() / "shy";
  succeeds(
      {"train", "--config", config.string(), "--data", photos.string(), "--out", shy.string()});
  const CliOutcome outcome = explained(shy, photos);
  CHECK(outcome.status == 0);
  CHECK_THAT(outcome.out,
             Catch::Contains("AP50 is nearly 0: the largest of ") &&
                 Catch::Contains("answers count from 0.99 on; a lower score threshold") &&
                 Catch::Contains("it has not learned even those"));

  // The photos are elsewhere now: the rest is explained all the same.
  fs::rename(photos, folder.path() / "moved_away");
  const CliOutcome moved = explained(run, folder.path() / "moved_away");
  CHECK(moved.status == 0);
  CHECK_THAT(moved.out, Catch::Contains("AP on the photos it learned from is not known: ") &&
                            Catch::Contains("localisation, mended"));
  CHECK_FALSE(json_of(folder.path() / "eval/explain.json").contains("learned"));
}

TEST_CASE("AP on learned photos tells what was learned from what was learned by heart",
          "[cli_explain]") {
  const auto line = [](double learned, double here) {
    Explained explained;
    explained.errors.evaluation.mean_ap = here;
    explained.learned = {.photos = 50, .ap50 = learned};
    return explained.learned_line();
  };
  CHECK_THAT(line(0.05, 0.02), Catch::Contains("has not learned even those"));
  CHECK(line(0.9, 0.75) ==
        "on the first 50 photos it learned from AP50 is 0.9, here 0.75: what it learned carries "
        "over");
  CHECK_THAT(line(0.9, 0.6), Catch::Contains("by heart"));
  CHECK(Explained().learned_line().empty());
}
