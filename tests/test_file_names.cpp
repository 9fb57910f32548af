// core/file_names.h.
#include <cctype>

#include "core/file_names.h"
#include "tests/catch.h"

using namespace boxgrad;

TEST_CASE("in_file_name leaves what every system takes", "[file_names]") {
  CHECK(in_file_name("red-cell_2.b") == "red-cell_2.b");
  CHECK(in_file_name("red cell/a\\b:c*?\"<>|$'") == "red_cell_a_b_c________");
  CHECK(in_file_name("globule rouge é") == "globule_rouge_é");  // two bytes of UTF-8
  CHECK(in_file_name(std::string("a\0b\n", 4)) == "a_b_");
  CHECK(in_file_name("").empty());
}

TEST_CASE("free_name numbers names that are taken", "[file_names]") {
  std::set<std::string> taken;
  CHECK(free_name("dog", taken) == "dog");
  CHECK(free_name("dog", taken) == "dog_2");
  CHECK(free_name("dog_2", taken) == "dog_2_2");
  CHECK(free_name("dog", taken) == "dog_3");
  CHECK(free_name("Dog", taken) == "Dog");
  // By a key: what a disk takes for the same.
  std::set<std::string> keys;
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  CHECK(free_name("Dog", keys, lower) == "Dog");
  CHECK(free_name("dog", keys, lower) == "dog_2");
  CHECK(keys == std::set<std::string>{"dog", "dog_2"});
}
