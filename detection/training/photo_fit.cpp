#include "detection/training/photo_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "core/check.h"
#include "detection/data/in_memory.h"
#include "detection/data/ssd_augmentation.h"
#include "detection/data/transforms.h"
#include "detection/models/ssd.h"
#include "detection/models/ssd_small.h"

namespace boxgrad::detection {

namespace {

constexpr std::int64_t kMeasuredImages = 300;  // for figures that a sample of the pictures gives

}  // namespace

Preparation photo_preparation(const Dataset& train, int longer_px, int multiple_px) {
  check(longer_px >= 32, "photo_preparation: longer_px must be >= 32, got ", longer_px);
  check(train.size() > 0, "photo_preparation: the dataset is empty");
  Preparation preparation;
  preparation.resize = [longer_px](Sample sample, Random&) {
    return resize_longer_side(sample, longer_px);
  };
  preparation.batch.multiple_px = multiple_px;
  std::array<double, 3> sum{}, squares{};
  double pixels = 0;
  const std::int64_t images = std::min<std::int64_t>(train.size(), kMeasuredImages / 6);
  for (std::int64_t k = 0; k < images; ++k) {
    const Sample sample = preparation.apply(train.get(k * train.size() / images));
    const auto bytes = sample.image.data();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const double v = bytes[i] / 255.;
      sum[i % 3] += v;
      squares[i % 3] += v * v;
    }
    pixels += static_cast<double>(bytes.size()) / 3;
  }
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = sum[c] / pixels;
    preparation.batch.mean[c] = mean;
    // Pictures of one colour would otherwise be divided by nothing.
    preparation.batch.std[c] = std::sqrt(std::max(squares[c] / pixels - mean * mean, 1e-4));
  }
  return preparation;
}

std::vector<BoxSize> fitting_anchors(const Dataset& dataset, const Preparation& preparation,
                                     int sides, bool classes_alike) {
  const InMemory small(dataset, {.resize = preparation.resize});  // looked at twice
  const std::vector<Scalar> all_sides = anchor_sides(small, {}, sides, classes_alike);
  std::vector<double> ratios;
  const std::int64_t images = std::min(dataset.size(), kMeasuredImages);
  for (std::int64_t k = 0; k < images; ++k) {
    const Sample sample = small.get(k * dataset.size() / images);
    const auto box = sample.target.boxes.data();
    for (std::size_t i = 0; i < box.size(); i += 4)
      if (box[i + 2] > box[i] && box[i + 3] > box[i + 1])
        ratios.push_back(static_cast<double>((box[i + 3] - box[i + 1]) / (box[i + 2] - box[i])));
  }
  check(!ratios.empty(), "fitting_anchors: there is no box with an area in ", images, " images");
  std::ranges::sort(ratios);
  const auto quantile = [&](double q) {
    return static_cast<Scalar>(
        ratios[static_cast<std::size_t>(q * static_cast<double>(ratios.size() - 1))]);
  };
  const Scalar low = quantile(0.1), middle = quantile(0.5), high = quantile(0.9);
  const Scalar spread = std::max(high / middle, middle / low);
  return ratio_box_sizes(all_sides, spread > Scalar(1.7) ? std::vector<Scalar>{low, middle, high}
                                                         : std::vector<Scalar>{middle});
}

MapAnchors anchors_by_size(const std::vector<BoxSize>& sizes) {
  MapAnchors anchors;
  for (const BoxSize& size : sizes) {
    const Scalar side_px = std::sqrt(size.width * size.height);
    anchors[side_px <= 40 ? 0 : side_px <= 96 ? 1 : 2].push_back(size);
  }
  return anchors;
}

void set_maps(DetectorSpec& spec, const std::array<const char*, 3>& layers,
              const MapAnchors& anchors) {
  for (std::size_t k = 0; k < layers.size(); ++k) {
    if (anchors[k].empty()) continue;
    spec.anchors.push_back({.sizes = anchors[k], .stride_px = kMapStridesPx[k]});
    spec.maps.push_back(layers[k]);
  }
}

Transform random_flips(bool vertical) {
  return [vertical](Sample sample, Random& random) {
    if (random.bernoulli(0.5)) sample = flip_horizontal(sample);
    if (vertical && random.bernoulli(0.5)) sample = flip_vertical(sample);
    return sample;
  };
}

const std::vector<std::string>& augmentation_names() {
  static const std::vector<std::string> names{"photos", "ssd"};
  return names;
}

std::string augmentation_name(Augmentation kind) {
  return augmentation_names()[static_cast<std::size_t>(kind)];
}

Augmentation augmentation_named(const std::string& name) {
  for (const Augmentation kind : {Augmentation::photos, Augmentation::ssd})
    if (augmentation_name(kind) == name) return kind;
  throw std::invalid_argument(concat("\"augmentation\" must be photos or ssd, got \"", name, "\""));
}

Transform photo_augmentation(bool vertical_flips, double crop_chance, double brightness,
                             double contrast) {
  const Transform crop = [crop_chance](Sample sample, Random& random) {
    if (!random.bernoulli(crop_chance)) return sample;
    return resize(random_crop(sample, random), sample.image.width(), sample.image.height());
  };
  const Transform light = [brightness, contrast](Sample sample, Random& random) {
    return jitter_brightness_contrast(sample, random, brightness, contrast);
  };
  return chain({random_flips(vertical_flips), crop, light});
}

Transform recipe_augmentation(Augmentation kind, bool vertical_flips, double crop_chance,
                              double brightness, double contrast) {
  if (kind == Augmentation::ssd)
    return ssd_augmentation({.width = 0, .height = 0, .vertical_flips = vertical_flips});
  return photo_augmentation(vertical_flips, crop_chance, brightness, contrast);
}

void set_min_negatives(Detector& detector, std::int64_t min_negatives) {
  auto* ssd = dynamic_cast<Ssd*>(&detector);
  if (ssd == nullptr) return;
  MiningOptions mining = ssd->options().mining;
  mining.min_negatives = min_negatives;
  ssd->set_mining(mining);
}

nn::Schedule warm_cosine(std::int64_t iterations) {
  const std::int64_t warm = std::max<std::int64_t>(1, iterations / 20);
  return nn::warm_up(warm, 0.02) * nn::cosine(warm, std::max(iterations, warm + 1), 0.01);
}

}  // namespace boxgrad::detection
