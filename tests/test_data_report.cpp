#include <stdexcept>

#include "detection/data/data_report.h"
#include "tests/catch.h"

using namespace boxgrad::detection;

TEST_CASE("DataReport counts everything and keeps examples", "[data_report]") {
  DataReport report;
  CHECK(report.summary().empty());
  for (int i = 0; i < 150; ++i)
    report.add({DataProblem::no_area, "a.xml:" + std::to_string(i), "(5, 5, 5, 9)"});
  report.add({DataProblem::missing_image, "b.xml", "b.jpg"});
  CHECK(report.count(DataProblem::no_area) == 150);
  CHECK(report.count(DataProblem::bad_image) == 0);
  CHECK(report.total() == 151);
  CHECK(report.issues().size() == 101);
  REQUIRE(report.summary().size() == 2);
  bool named = false;
  for (const std::string& line : report.summary())
    named = named ||
            (line.find("150") != std::string::npos && line.find("a.xml:0") != std::string::npos);
  CHECK(named);
}

TEST_CASE("a strict DataReport stops at the first problem", "[data_report]") {
  DataReport report(true);
  CHECK_THROWS_AS(report.add({DataProblem::no_area, "a.xml:7", "(5, 5, 5, 9)"}),
                  std::invalid_argument);
}
