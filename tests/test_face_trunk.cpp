// detection/models/face_trunk.cpp: a MobileNet v1 from TensorFlow's names and order of axes.
#include <map>

#include "core/autograd.h"
#include "detection/models/face_trunk.h"
#include "tests/catch.h"
#include "tests/face_package.h"
#include "tests/golden_network.h"

using namespace boxgrad;
using namespace boxgrad::detection;

TEST_CASE("load_face_trunk reads what TensorFlow.js would have written", "[face_ssd]") {
  const ScratchFolder folder("face_trunk");
  MobileNetV1 written(face_trunk_options());
  fill(written, 3);
  TfjsWriter writer;
  writer.add_float("Preprocessor/sub/y", Tensor({1}, 1));  // a constant of the graph, left out
  add_to_package(writer, written, face_trunk_names());
  write_package(folder, writer);

  const auto read = load_face_trunk(folder.path());
  CHECK_FALSE(read->is_training());
  std::map<std::string, Tensor> expected;
  for (const auto& [name, tensor] : written.state_dict()) expected[name] = tensor;
  for (const auto& [name, tensor] : read->state_dict()) {
    check_as_written(name, tensor, expected[name]);
  }

  // The same package, a shorter trunk; the same maps from a trunk that took the state over.
  const auto shorter = load_face_trunk(folder / "model", {"block3", "block1"});
  CHECK(shorter->map_names() == std::vector<std::string>{"block1", "block3"});
  MobileNetV1 copy(face_trunk_options({"block1", "block3"}));
  copy.load_state_dict(shorter->state_dict());
  copy.eval();
  const NoGradGuard no_grad;
  const Tensor images = numbers({1, 19, 24, 3}, 5);
  const auto maps = shorter->maps(images), same = copy.maps(images);
  CHECK(maps[0].shape() == Shape{1, 10, 12, 64});
  CHECK(maps[1].shape() == Shape{1, 5, 6, 128});
  CHECK(maps[1].to_vector() == same[1].to_vector());

  // A trunk with another prefix in a larger network is named the same way.
  CHECK(face_trunk_names("a.b.")[0].first == "a.b.conv0.weight");
  CHECK(face_trunk_names().size() == 2 + 13 * 7);
}

TEST_CASE("load_face_trunk explains what is missing or has another shape", "[face_ssd][errors]") {
  const ScratchFolder folder("face_trunk_errors");
  CHECK_THROWS_WITH(load_face_trunk(folder.path()),
                    ContainsSubstring("must be the unpacked npm package") &&
                        ContainsSubstring(folder.path().string()));
  CHECK_THROWS_WITH(load_face_trunk(folder / "nothing"), ContainsSubstring("make faces"));

  TfjsWriter writer;
  writer.add_float("MobilenetV1/Conv2d_0_pointwise/weights", Tensor({3, 3, 3, 32}));
  write_package(folder, writer);
  CHECK_THROWS_WITH(load_face_trunk(folder.path()),
                    ContainsSubstring("has no tensor \"MobilenetV1/Conv2d_0_pointwise/"
                                      "convolution_bn_offset\", which is our \"conv0.bias\""));
  TfjsWriter wrong;
  wrong.add_float("MobilenetV1/Conv2d_0_pointwise/weights", Tensor({3, 3, 32, 3}));
  write_package(folder, wrong);
  CHECK_THROWS_WITH(load_face_trunk(folder.path()),
                    ContainsSubstring("must have shape [3, 3, 3, 32] for our \"conv0.weight\", "
                                      "got [3, 3, 32, 3]"));
  // A network with a part that no name fills is not left half random.
  MobileNetV1 with_norms({.outputs = {"conv0"}});
  CHECK_THROWS_WITH(load_tensorflow_weights(with_norms, TensorFile{}, face_trunk_names(), "f"),
                    ContainsSubstring("f: nothing is known to fill our \"conv0.conv.weight\""));
}

TEST_CASE("the package's trunk", "[face_ssd]") {
  const std::filesystem::path package = face_package();
  if (package.empty()) return;
  const auto trunk = load_face_trunk(package);
  CHECK(trunk->channels() == std::vector<std::int64_t>{512, 1024});
  // Filters, two numbers a channel of folded norms and four of the others.
  CHECK(trunk->parameter_count() == 3200992);
}
