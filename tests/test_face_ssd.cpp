// detection/models/face_ssd.cpp and detection/face_input.cpp: every stage beside PyTorch and
// TensorFlow.js, with the npm package when it is there (tests/face_package.h) and with weights of
// our own when it is not.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/resize.h"
#include "core/tfjs_weights.h"
#include "detection/models/face_ssd.h"
#include "layers/activation.h"
#include "layers/inference.h"
#include "tests/catch.h"
#include "tests/face_package.h"
#include "tests/golden_network.h"
#include "tutorials/16_pretrained_faces/stages.h"

using namespace boxgrad;
using namespace boxgrad::detection;

namespace {

void check_faces(const Detections& faces, const std::vector<std::array<double, 5>>& golden) {
  REQUIRE(faces.scores.size() == golden.size());
  const auto boxes = std::as_const(faces.boxes).data();
  for (std::size_t i = 0; i < golden.size(); ++i) {
    const auto& [score, x, y, width, height] = golden[i];
    CHECK(faces.labels[i] == 1);
    CHECK(faces.scores[i] == Approx(score).margin(1e-4));
    CHECK(boxes[4 * i] == Approx(x).margin(0.01));
    CHECK(boxes[4 * i + 1] == Approx(y).margin(0.01));
    CHECK(boxes[4 * i + 2] == Approx(x + width).margin(0.01));
    CHECK(boxes[4 * i + 3] == Approx(y + height).margin(0.01));
  }
}

}  // namespace

TEST_CASE("face_ssd: what the network sees of a photo", "[face_ssd]") {
  for (const auto& golden : kFaceGolden) {
    INFO(golden.picture);
    const FaceInput input = face_input(reference_picture(golden.picture));
    const FaceStage& resized = golden.stages[0];
    REQUIRE(std::string(resized.name) == "resized_0_255");
    Tensor back = input.image.clone();
    for (Scalar& v : back.data()) v = (v + 1) * Scalar(127.5);
    CHECK(stage_error(back, resized) < 1e-6);
  }

  // The same as padding the picture and resizing the square, also upright and tiny.
  for (const auto& [width, height] : {std::pair{300, 200}, {3, 7}, {700, 640}, {1, 1}}) {
    Image photo(width, height);
    const Tensor noise = numbers({height, width, 3}, 7);
    for (std::size_t i = 0; i < photo.data().size(); ++i)
      photo.data()[i] = static_cast<std::uint8_t>(128 + 127 * noise.data()[i]);
    const int side = std::max(width, height);
    const Tensor square = resize_bilinear(pad(photo, 0, 0, side - width, side - height).to_tensor(),
                                          512, 512, PixelGrid::top_left);
    const Tensor seen = face_input(photo).image;
    double worst = 0;
    for (std::size_t i = 0; i < square.data().size(); ++i)
      worst = std::max(worst, static_cast<double>(std::abs(2 * square.data()[i] - 1 -
                                                           std::as_const(seen).data()[i])));
    CHECK(worst < 1e-5);
  }
  // face-api's scale: 200 * 512 / round(341.33) for the short side of 300 x 200.
  const FaceInput rect = face_input(Image(300, 200));
  CHECK(rect.width_px == 300);
  CHECK(rect.height_px == Approx(200 * 512 / 341.0));
  CHECK(face_input(Image(1, 3000)).width_px == 3000);  // would be a division by 0
  CHECK_THROWS_WITH(face_input(Image()), "face_input: the image has no pixels");
}

TEST_CASE("face_ssd: anchors and sizes", "[face_ssd]") {
  const AnchorGenerator anchors(face_anchor_levels());
  const Tensor boxes = anchors({{32, 32}, {16, 16}, {8, 8}, {4, 4}, {2, 2}, {1, 1}});
  CHECK(boxes.shape() == Shape{5118, 4});
  // The first: a tenth of the side, centred in the first of 32 x 32 cells.
  CHECK(boxes.at({0, 0}) == Approx(8 - 25.6));
  CHECK(boxes.at({0, 3}) == Approx(8 + 25.6));
  const auto network = make_face_ssd();
  // The file's 5,535,047 without the 2 * 4,960 running statistics.
  CHECK(network->parameter_count() == 5525127);
}

TEST_CASE("face_ssd: from the network's answers to faces", "[face_ssd]") {
  // Four anchors of 100 x 100: two that overlap by .6, one below the threshold, one at the border.
  Ssd::Heads heads;
  heads.anchors = Tensor({4, 4}, {100, 100, 200, 200, 125, 100, 225, 200,  //
                                  300, 300, 400, 400, 450, 450, 550, 550});
  heads.offsets = Tensor({1, 4, 4});
  heads.offsets.set({0, 3, 0}, 1);  // a tenth of the anchor's width to the right
  heads.logits = Tensor({1, 4, 3});
  const std::vector<Scalar> logits{2, 1, 0, 3};
  for (std::int64_t a = 0; a < 4; ++a) {
    heads.logits.set({0, a, 0}, 50);  // background is not asked
    heads.logits.set({0, a, 1}, logits[static_cast<std::size_t>(a)]);
    heads.logits.set({0, a, 2}, 50);
  }
  const FaceInput input{.image = {}, .width_px = 1024, .height_px = 256};
  Detections faces = faces_from(heads, input);
  REQUIRE(faces.scores.size() == 2);  // a score of exactly 0.5 is not > 0.5
  CHECK(faces.scores[0] == Approx(1 / (1 + std::exp(-3.0))));
  const std::vector<Scalar> expected{920, 225, 1024, 256, 200, 50, 400, 100};
  for (std::size_t i = 0; i < 8; ++i) CHECK(faces.boxes.data()[i] == Approx(expected[i]));
  CHECK(faces_from(heads, input, {.nms_iou = 0.61}).scores.size() == 3);
  CHECK(faces_from(heads, input, {.min_score = 0.4}).scores.size() == 3);
  CHECK(faces_from(heads, input, {.max_faces = 1}).scores.size() == 1);
  CHECK(faces_from(heads, input, {.min_score = 0.99}).boxes.shape() == Shape{0, 4});

  CHECK_THROWS_WITH(faces_from(heads, input, {.min_score = -1}),
                    ContainsSubstring("limits must be >= 0"));
  heads.logits = Tensor({2, 4, 3});
  CHECK_THROWS_WITH(faces_from(heads, input), ContainsSubstring("must have shape [1, A, L]"));
  heads.logits = Tensor({1, 3, 3});
  CHECK_THROWS_WITH(faces_from(heads, input), ContainsSubstring("must be of 4 anchors"));
}

TEST_CASE("load_face_ssd reads what TensorFlow.js would have written", "[face_ssd]") {
  const ScratchFolder folder("face_ssd");
  const auto written = make_face_ssd();
  fill(*written, 11);
  TfjsWriter writer;
  add_to_package(writer, *written, face_ssd_names());
  write_package(folder, writer);
  const auto read = load_face_ssd(folder.path());
  CHECK_FALSE(read->is_training());

  // TensorFlow's boxes have y before x, so that what was written in our order changes places.
  std::map<std::string, Tensor> before;
  for (const auto& [name, tensor] : written->state_dict())
    before[name] = name.starts_with("box_head") ? y_before_x(tensor) : tensor;
  const nn::StateDict state = read->state_dict();
  REQUIRE(state.size() == before.size());
  for (const auto& [name, tensor] : state) {
    check_as_written(name, tensor, before[name]);
  }
  CHECK_NOTHROW(detect_faces(*read, Image(30, 20, 200, 100, 50)));
}

TEST_CASE("the package's face detector, stage by stage", "[face_ssd]") {
  const std::filesystem::path package = face_package();
  if (package.empty()) return;
  const auto network = load_face_ssd(package);
  const NoGradGuard no_grad;
  for (const auto& golden : kFaceGolden) {
    INFO(golden.picture);
    const FaceInput input = face_input(reference_picture(golden.picture));
    const auto stages = face_stages(*network, input, golden.stages);
    CHECK(stages.size() == 53);
    for (const auto& stage : golden.stages) {
      INFO(stage.name);
      CHECK(stage_error(stages.at(stage.name), stage) < 1e-4);
    }
    const Ssd::Heads heads = network->heads(input.image);
    check_faces(faces_from(heads, input, {.min_score = 0.1}), golden.faces);
  }

  // The anchors that the file has.
  for (const auto& [name, tensor] : load_tfjs_weights(face_manifest(package)).tensors) {
    if (name != "Output/extra_dim") continue;
    const Tensor ours =
        y_before_x(network->heads(Tensor({1, 512, 512, 3})).anchors);  // y x y x, in pixels
    double worst = 0;
    for (std::size_t i = 0; i < ours.data().size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(std::as_const(ours).data()[i]) / 512 -
                                       static_cast<double>(std::as_const(tensor).data()[i])));
    CHECK(worst < 3e-7);
  }

  // The same faces with every norm folded and filters transformed before.
  nn::prepare_for_inference(*network);
  check_faces(detect_faces(*network, reference_picture("rect"), {.min_score = 0.1}),
              kFaceGolden[1].faces);
}

TEST_CASE("the package's face detector finds the face of a photo", "[face_ssd]") {
  const std::filesystem::path package = face_package(), photo = face_photo();
  if (package.empty() || photo.empty()) return;
  const auto network = load_face_ssd(package);
  // What TensorFlow.js 4.22 answers to the same 512 x 512 pixels with the package's own code.
  const std::vector<std::array<double, 5>> face{
      {0.964842319, 181.118103, 72.8606415, 83.2773438, 101.722229}};
  check_faces(detect_faces(*network, Image::read(photo), {.min_score = 0.1}), face);
  nn::prepare_for_inference(*network);
  check_faces(detect_faces(*network, Image::read(photo), {.min_score = 0.1}), face);
}
