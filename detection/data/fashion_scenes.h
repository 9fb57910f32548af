#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/dataset.h"
#include "detection/data/fashion_mnist.h"

namespace boxgrad::detection {

/// How scenes look. The values given here are the pinned task that figures are quoted on.
struct FashionScenesOptions {
  int canvas_px = 128;                  ///< side of the square image
  int min_items = 1, max_items = 5;     ///< items tried; one that finds no place is dropped
  int min_side_px = 20;                 ///< longest side of an item, before its aspect is changed
  int max_side_px = 64;                 ///< at most canvas_px
  double aspect_jitter = 0.22;          ///< width / height is multiplied by exp(U(-this, this))
  double min_texture = 0.03;            ///< contrast of the background
  double max_texture = 0.18;            //
  int max_bars = 6, max_fragments = 4;  ///< clutter
  bool colour = false;                  ///< tinted background and items instead of grey
  std::vector<int> classes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};  ///< of Fashion-MNIST; become 1, 2, ...
  std::filesystem::path folder = FashionMnist::default_folder();

  /// "pinned"; "eight" (without coat and shirt, which nobody tells apart); "easy" (up to three
  /// items of 36 px and more on calm backgrounds); "hard" (up to nine items of 12 to 64 px on
  /// 192 px, more clutter); "colour". Throws for another name.
  static FashionScenesOptions preset(const std::string& name);
};

/// Rendered detection scenes: real Fashion-MNIST items pasted at many sizes, aspect ratios and
/// overlaps on textured canvases, with exact boxes. The default task of every tutorial, as no
/// package of a Linux distribution ships labelled detection photos.
///
/// scene i of a split and a seed is a pure function of (split, seed, i, options): it can be drawn
/// again at any time, in any order, on any thread. Training scenes show the 60,000 training items
/// and validation scenes the 10,000 test items, so that no item is in both.
///
/// One scene, for U(a, b) uniform and v the value of an item's pixel, 0 to 1:
///   background  grey U(.1, .6) + U(.03, .18) * texture (SceneCanvas::paint_texture), a third of
///               the scenes with stripes, a third with checks
///   clutter     0-6 bars: rectangles with sides of 3-28 px, grey U(0, 1), alpha U(.2, .7);
///               0-4 fragments: squares of 7-12 px cut from items, drawn at 7-20 px
///   1-5 items   cut to the tight box of values > 20/255, resized so that the longest side is
///               20-64 px, mirrored with p = .5; shown as min(U(.55, 1) v + U(0, .3), 1) with
///               alpha = min(6 v, 1); placed at random, wholly inside. A place where two boxes
///               would have IoU > .3, or where more than 40 % of the smaller would be covered, is
///               refused; after 12 tries the item is dropped.
///
/// A box is the tight box of the item's values > 20/255 after resizing: its corners are whole
/// pixels, half-open, so that the first column of the image covers 0 to 1. It is the whole item's
/// box also where a later item covers a part of it.
class FashionScenes : public Dataset {
 public:
  enum class Split { train, val };

  static constexpr std::int64_t kTrainSize = 1'000'000, kValSize = 500;
  static constexpr std::uint64_t kValSeed = 1;

  /// Throws std::invalid_argument for options that make no sense or when the data is missing.
  FashionScenes(Split split, std::uint64_t seed, std::int64_t size,
                FashionScenesOptions options = {});

  /// As many training scenes as anyone needs.
  static FashionScenes train(std::uint64_t seed, FashionScenesOptions options = {}) {
    return {Split::train, seed, kTrainSize, std::move(options)};
  }
  /// The validation set: 500 scenes of seed 1. To choose a recipe, use other seeds.
  static FashionScenes val(FashionScenesOptions options = {}) {
    return {Split::val, kValSeed, kValSize, std::move(options)};
  }

  std::int64_t size() const override { return size_; }
  /// Scene `index`, named "train/17" or "val/17". Throws outside of 0..size()-1.
  Sample get(std::int64_t index) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }

  const FashionScenesOptions& options() const { return options_; }

 private:
  Split split_;
  std::uint64_t seed_;
  std::int64_t size_;
  FashionScenesOptions options_;
  std::shared_ptr<const FashionMnist> items_;
  std::vector<std::vector<std::int64_t>> items_of_class_;  // [label - 1]
  std::vector<std::string> class_names_;
};

}  // namespace boxgrad::detection
