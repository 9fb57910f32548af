#include "detection/data/fashion_scenes.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/check.h"
#include "core/random.h"
#include "detection/data/scene_canvas.h"

namespace boxgrad::detection {
namespace {

constexpr float kVisible = 20.f / 255;  // what counts as a part of an item
constexpr int kTries = 12;
constexpr int kMinSidePx = 3;  // of the shorter side of a narrow item
// Mixed into the seed, so that scene 17 and, say, the augmentation of sample 17 draw other numbers.
constexpr std::uint64_t kSceneKey = 0x5CE9E5CE9E5CE9E5;

int integer(Random& random, int low, int high) {  // both included
  return low + static_cast<int>(random.below(high - low + 1));
}

float real(Random& random, double low, double high) {
  return static_cast<float>(random.uniform(low, high));
}

// A grey, or in colour presets one with each channel up to 45 % off.
Rgb tinted(Random& random, float grey, bool colour) {
  Rgb rgb{grey, grey, grey};
  if (colour)
    for (float& channel : rgb) channel *= real(random, .55, 1.45);
  return rgb;
}

Patch item_patch(const FashionMnist& items, std::int64_t index) {
  const auto bytes = items.image(index);
  Patch patch{FashionMnist::kSide, FashionMnist::kSide, std::vector<float>(bytes.size())};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    patch.values[i] = static_cast<float>(bytes[i]) / 255;
  return patch;
}

// Translucent rectangles and pieces of items, which a detector must learn to leave alone.
void paint_clutter(Random& random, SceneCanvas& canvas, const FashionScenesOptions& options,
                   const FashionMnist& items) {
  for (int n = integer(random, 0, options.max_bars); n > 0; --n) {
    const int w = integer(random, 3, 28), h = integer(random, 3, 28);
    const int x = integer(random, -w / 2, options.canvas_px - w / 2);
    const int y = integer(random, -h / 2, options.canvas_px - h / 2);
    const Rgb value = tinted(random, real(random, 0, 1), options.colour);
    canvas.blend_box({x, y, x + w, y + h}, value, real(random, .2, .7));
  }
  for (int n = integer(random, 0, options.max_fragments); n > 0; --n) {
    const Patch item = item_patch(items, random.below(items.size()));
    const int cut = integer(random, 7, 12), side = integer(random, 7, 20);
    const int cut_x = integer(random, 0, FashionMnist::kSide - cut);
    const int cut_y = integer(random, 0, FashionMnist::kSide - cut);
    const Patch piece =
        resize_patch(item, {cut_x, cut_y, cut_x + cut, cut_y + cut}, side, side, false);
    const int x = integer(random, 0, options.canvas_px - side);
    const int y = integer(random, 0, options.canvas_px - side);
    const float contrast = real(random, .55, 1), brightness = real(random, 0, .3);
    canvas.blend_patch(piece, x, y, contrast, brightness, tinted(random, 1, options.colour));
  }
}

// The item cut to its tight box and resized; empty values when the picture is blank.
Patch resized_item(Random& random, const FashionScenesOptions& options, const Patch& item) {
  const PixelBox crop = tight_box(item, kVisible);
  if (crop.empty()) return {};
  const float longest = real(random, options.min_side_px, options.max_side_px);
  const float aspect = static_cast<float>(crop.x2 - crop.x1) /
                       static_cast<float>(crop.y2 - crop.y1) *
                       std::exp(real(random, -options.aspect_jitter, options.aspect_jitter));
  const bool flip = random.bernoulli(.5);
  const auto px = [&](float side) {
    return std::clamp(static_cast<int>(std::lround(side)), kMinSidePx, options.canvas_px);
  };
  return resize_patch(item, crop, px(longest * std::min(aspect, 1.f)),
                      px(longest / std::max(aspect, 1.f)), flip);
}

// Whether two items may stand so: IoU <= .3, and at most 40 % of the smaller one covered.
bool may_overlap(const PixelBox& a, const PixelBox& b) {
  const auto area = [](const PixelBox& box) { return (box.x2 - box.x1) * (box.y2 - box.y1); };
  const int w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const int h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (w <= 0 || h <= 0) return true;
  const int common = w * h;
  return 10 * common <= 3 * (area(a) + area(b) - common) &&
         10 * common <= 4 * std::min(area(a), area(b));
}

}  // namespace

FashionScenesOptions FashionScenesOptions::preset(const std::string& name) {
  FashionScenesOptions options;
  if (name == "eight") {
    options.classes = {0, 1, 2, 3, 5, 7, 8, 9};
  } else if (name == "easy") {
    options.max_items = 3;
    options.min_side_px = 36;
    options.max_texture = 0.06;
    options.max_bars = options.max_fragments = 0;
  } else if (name == "hard") {
    options.canvas_px = 192;
    options.max_items = 9;
    options.min_side_px = 12;
    options.max_texture = 0.25;
    options.max_bars = 12;
    options.max_fragments = 9;
  } else if (name == "colour") {
    options.colour = true;
  } else {
    check(name == "pinned",
          "FashionScenesOptions: preset must be one of pinned, eight, easy, hard, "
          "colour, got \"",
          name, "\"");
  }
  return options;
}

FashionScenes::FashionScenes(Split split, std::uint64_t seed, std::int64_t size,
                             FashionScenesOptions options)
    : split_(split), seed_(seed), size_(size), options_(std::move(options)) {
  const auto& o = options_;
  check(size >= 0, "FashionScenes: size must be >= 0, got ", size);
  check(o.canvas_px >= 32 && o.canvas_px <= 4096,
        "FashionScenes: canvas_px must be in 32..4096, got ", o.canvas_px);
  check(o.min_items >= 0 && o.min_items <= o.max_items && o.max_items <= 1000,
        "FashionScenes: min_items..max_items must be a range in 0..1000, got ", o.min_items, "..",
        o.max_items);
  check(o.min_side_px >= 8 && o.min_side_px <= o.max_side_px && o.max_side_px <= o.canvas_px,
        "FashionScenes: min_side_px..max_side_px must be a range in 8..", o.canvas_px, ", got ",
        o.min_side_px, "..", o.max_side_px);
  check(o.aspect_jitter >= 0 && o.aspect_jitter <= 2,
        "FashionScenes: aspect_jitter must be in 0..2, got ", o.aspect_jitter);
  check(o.min_texture >= 0 && o.min_texture <= o.max_texture && o.max_texture <= 1,
        "FashionScenes: min_texture..max_texture must be a range in 0..1, got ", o.min_texture,
        "..", o.max_texture);
  check(o.max_bars >= 0 && o.max_fragments >= 0,
        "FashionScenes: max_bars and max_fragments must be >= 0, got ", o.max_bars, " and ",
        o.max_fragments);
  check(!o.classes.empty(), "FashionScenes: classes must name at least one class");
  check(std::set<int>(o.classes.begin(), o.classes.end()).size() == o.classes.size(),
        "FashionScenes: classes must not name a class twice");

  items_ = std::make_shared<const FashionMnist>(
      split == Split::train ? FashionMnist::Split::train : FashionMnist::Split::test, o.folder);
  std::vector<std::vector<std::int64_t>> items_of_class(FashionMnist::kNumClasses);
  for (std::int64_t i = 0; i < items_->size(); ++i)
    items_of_class[static_cast<std::size_t>(items_->label(i))].push_back(i);
  for (const int c : o.classes) {
    check(c >= 0 && c < FashionMnist::kNumClasses, "FashionScenes: classes must be 0..9, got ", c);
    const auto i = static_cast<std::size_t>(c);
    check(!items_of_class[i].empty(), "FashionScenes: ", o.folder, " has no item of class ", c);
    items_of_class_.push_back(items_of_class[i]);
    class_names_.push_back(FashionMnist::class_names()[i]);
  }
}

Sample FashionScenes::get(std::int64_t index) const {
  check(index >= 0 && index < size_, "FashionScenes: index must be in 0..", size_ - 1, ", got ",
        index);
  const bool val = split_ == Split::val;
  Random random(seed_ ^ kSceneKey, 2 * static_cast<std::uint64_t>(index) + (val ? 1 : 0));

  SceneCanvas canvas(options_.canvas_px, options_.colour);
  const auto pattern = static_cast<SceneCanvas::Pattern>(random.below(3));
  const Rgb base = tinted(random, real(random, .1, .6), options_.colour);
  const float contrast = real(random, options_.min_texture, options_.max_texture);
  canvas.paint_texture(random, pattern, base, contrast);
  paint_clutter(random, canvas, options_, *items_);

  std::vector<PixelBox> boxes;
  Sample sample;
  for (int n = integer(random, options_.min_items, options_.max_items); n > 0; --n) {
    const auto c =
        static_cast<std::size_t>(random.below(static_cast<std::int64_t>(items_of_class_.size())));
    const auto& candidates = items_of_class_[c];
    const auto which =
        static_cast<std::size_t>(random.below(static_cast<std::int64_t>(candidates.size())));
    const Patch patch = resized_item(random, options_, item_patch(*items_, candidates[which]));
    const PixelBox tight = tight_box(patch, kVisible);
    if (tight.empty()) continue;
    const float contrast = real(random, .55, 1), brightness = real(random, 0, .3);
    const Rgb tint = tinted(random, 1, options_.colour);
    for (int t = 0; t < kTries; ++t) {
      const int x = integer(random, 0, options_.canvas_px - patch.width);
      const int y = integer(random, 0, options_.canvas_px - patch.height);
      const PixelBox box{x + tight.x1, y + tight.y1, x + tight.x2, y + tight.y2};
      if (!std::all_of(boxes.begin(), boxes.end(),
                       [&](const PixelBox& other) { return may_overlap(box, other); }))
        continue;
      canvas.blend_patch(patch, x, y, contrast, brightness, tint);
      boxes.push_back(box);
      sample.target.labels.push_back(static_cast<std::int64_t>(c) + 1);
      break;
    }
  }

  sample.image = canvas.to_image();
  sample.name = concat(val ? "val/" : "train/", index);
  sample.target.difficult.assign(boxes.size(), false);
  sample.target.boxes = Tensor({static_cast<std::int64_t>(boxes.size()), 4});
  Scalar* out = sample.target.boxes.data().data();
  for (const PixelBox& box : boxes)
    for (const int edge : {box.x1, box.y1, box.x2, box.y2}) *out++ = static_cast<Scalar>(edge);
  return sample;
}

}  // namespace boxgrad::detection
