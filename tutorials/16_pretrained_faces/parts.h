#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/charts.h"
#include "core/draw.h"
#include "core/ops.h"
#include "core/report.h"
#include "core/tfjs_weights.h"
#include "detection/draw.h"
#include "detection/models/face_ssd.h"
#include "layers/conv.h"
#include "layers/count.h"

/// What lesson 16 takes apart: the package's file, the network, and one agreement at a time.
namespace boxgrad {

/// Section 1: what the package's manifest says, and one layer of it as a picture.
inline Image look_at_weights(const std::filesystem::path& manifest, Report& report) {
  std::int64_t quantized = 0, bytes = 0, floats = 0, numbers = 0;
  const auto announced = read_tfjs_manifest(manifest);
  for (const TfjsWeight& w : announced.weights) {
    quantized += w.quantized;
    bytes += std::int64_t(w.bytes);
    floats += 4 * w.shape.numel();
    numbers += w.shape.numel();
  }
  std::printf("%zu tensors, %lld of them quantised: %lld numbers in %lld bytes instead of %lld\n",
              announced.weights.size(), (long long)quantized, (long long)numbers, (long long)bytes,
              (long long)floats);
  const std::string first = "MobilenetV1/Conv2d_0_pointwise/weights";
  for (const TfjsWeight& w : announced.weights)
    if (w.name == first)
      std::cout << first << " " << w.shape << ": byte * " << w.scale << " + " << w.min << "\n";
  for (const auto& [name, tensor] : load_tfjs_weights(manifest).tensors) {
    if (name != first) continue;
    const auto values = tensor.data();
    std::cout << "  " << values.size() << " numbers, "
              << std::set<Scalar>(values.begin(), values.end()).size() << " different ones\n";
    report.svg(histogram({values.begin(), values.end()}, 64,
                         {.title = "The first layer's 864 filter numbers: one of 256 each"}));
    std::vector<Image> filters;  // [3, 3, RGB] each, grey where the filter is 0
    int dead = 0;
    for (std::int64_t c = 0; c < tensor.size(3); ++c) {
      const Tensor one = reshape(slice(tensor, 3, c, c + 1), {3, 3, 3});
      Scalar most = 0;
      for (const Scalar v : one.data()) most = std::max(most, std::abs(v));
      dead += most == 0;
      if (most == 0) most = 1;
      filters.push_back(enlarge_pixels(Image::from_tensor(one / (2 * most) + Scalar(0.5)), 12));
    }
    std::printf("  %d of the %lld filters are nothing but zeros\n", dead,
                (long long)tensor.size(3));
    return image_grid(filters, {}, {.columns = 16, .padding = 4});
  }
  throw std::invalid_argument("the manifest has no tensor " + first);
}

/// Section 2: what the network is made of.
inline void count_parts(detection::Ssd& network) {
  const auto count = nn::count_layers(network, [&] {
    network.heads(Tensor({1, detection::kFaceSide, detection::kFaceSide, 3}));
  });
  for (const std::string part : {"backbone.trunk", "backbone.extra", "box_head", "class_head"}) {
    std::int64_t parameters = 0, multiply_adds = 0;
    for (const auto& layer : count.layers) {
      if (!layer.path.starts_with(part)) continue;
      parameters += layer.parameters;
      multiply_adds += layer.multiply_adds;
    }
    std::printf("%-14s %8lld parameters %11lld multiply-adds\n", part.c_str(),
                (long long)parameters, (long long)multiply_adds);
  }
  const detection::AnchorGenerator anchors(detection::face_anchor_levels());
  const Tensor boxes = anchors({{32, 32}, {16, 16}, {8, 8}, {4, 4}, {2, 2}, {1, 1}});
  std::printf("all            %8lld parameters %11lld multiply-adds, %lld anchors\n",
              (long long)count.parameters, (long long)count.multiply_adds,
              (long long)boxes.size(0));
}

/// Section 5: one mistake at a time, on one photo: how far the best face moves.
inline void break_it(const std::filesystem::path& package, const Image& photo, Image& drawn) {
  using namespace detection;
  const auto first = [&](const char* what, Ssd& network) {
    const Detections faces = detect_faces(network, photo);
    std::printf("  %-34s %zu faces", what, faces.scores.size());
    if (!faces.scores.empty())
      std::printf(", the best %.3f at %4.0f %4.0f %4.0f %4.0f", double(faces.scores[0]),
                  double(faces.boxes.at({0, 0})), double(faces.boxes.at({0, 1})),
                  double(faces.boxes.at({0, 2})), double(faces.boxes.at({0, 3})));
    std::printf("\n");
    return faces;
  };
  const auto network = load_face_ssd(package);
  draw_boxes(drawn, first("as it should be", *network).boxes, kPositiveColor, {.thickness = 6});
  network->visit([](const std::string&, nn::Module& module) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&module))
      if (conv->options.same_padding && conv->weight.size(0) == 3)
        conv->options.same_padding = false, conv->options.padding = 1;
  });
  draw_boxes(drawn, first("PyTorch's padding: 1 at every side", *network).boxes, kNegativeColor,
             {.thickness = 6});
  const auto relu = load_face_ssd(package);
  relu->visit([](const std::string&, nn::Module& module) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(&module))
      if (conv->options.activation == Activation::relu6)
        conv->options.activation = Activation::relu;
  });
  first("ReLU after each bias, not ReLU6", *relu);
  Image bgr = photo;
  for (int y = 0; y < bgr.height(); ++y)
    for (int x = 0; x < bgr.width(); ++x) std::swap(bgr.pixel(x, y)[0], bgr.pixel(x, y)[2]);
  const Detections faces = detect_faces(*load_face_ssd(package), bgr);
  std::printf("  %-34s %zu faces, the best %.3f\n", "blue for red", faces.scores.size(),
              faces.scores.empty() ? 0 : double(faces.scores[0]));
}

}  // namespace boxgrad
