#include "detection/detections_json.h"
#include "tests/catch.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("detections_json: one line that other programs read", "[detections_json]") {
  const Image photo(64, 48);
  CHECK(detections_json("a \"b\"\n.jpg", photo, {}) ==
        "{\"image\":\"a \\\"b\\\"\\n.jpg\",\"width\":64,\"height\":48,\"detections\":[]}");
  const Detections two{.boxes = Tensor({2, 4}, {1, 2, 4, 6, Scalar(0.5), 0, 64, 48}),
                       .labels = {1, 1},
                       .scores = {Scalar(0.75), Scalar(0.5)}};
  CHECK(detections_json("\xff", photo, two) ==
        "{\"image\":\"\xEF\xBF\xBD\",\"width\":64,\"height\":48,\"detections\":["
        "{\"score\":0.75,\"x\":1.0,\"y\":2.0,\"width\":3.0,\"height\":4.0},"
        "{\"score\":0.5,\"x\":0.5,\"y\":0.0,\"width\":63.5,\"height\":48.0}]}");
}
