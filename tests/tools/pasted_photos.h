#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/image.h"
#include "core/random.h"
#include "core/resize.h"
#include "detection/data/fashion_mnist.h"
#include "detection/data/scene_canvas.h"

/// A folder of annotated photos of another kind than blood cells, for whoever wants to try a preset
/// on a second kind without annotating anything.
namespace boxgrad::detection {

struct PastedPhotosOptions {
  std::filesystem::path backgrounds;  ///< a folder with two photos at least
  std::int64_t train = 200, val = 60, test = 100;
  std::uint64_t seed = 0;
};

/// A photo, the corners of what is to be found, half-open, and those of everything pasted.
struct PastedPhoto {
  Image image;
  std::vector<PixelBox> shoes, items;
};

/// Clothes from Fashion-MNIST on parts of real photos. One class, "shoe" (sandals, sneakers and
/// boots), one to three of them with a longest side of .1 to .55 of the photo's shorter one, in any
/// colour, and up to three other clothes that are not to be found. Photos of 500 x 375 and
/// 640 x 480, upright or not. Photo i of a split depends on the seed, the split and i alone.
///
/// Every third background and Fashion-MNIST's test items are kept for "val" and "test".
class PastedPhotos {
 public:
  /// Throws std::invalid_argument when there are not two photos, or Fashion-MNIST is missing.
  explicit PastedPhotos(const PastedPhotosOptions& options)
      : options_(options), learned_(FashionMnist::Split::train), kept_(FashionMnist::Split::test) {
    std::vector<std::filesystem::path> files;
    check(std::filesystem::is_directory(options.backgrounds), "PastedPhotos: there is no folder ",
          options.backgrounds);
    for (const auto& entry : std::filesystem::directory_iterator(options.backgrounds))
      if (const auto kind = entry.path().extension();
          kind == ".jpg" || kind == ".jpeg" || kind == ".png")
        files.push_back(entry.path());
    check(files.size() >= 2, "PastedPhotos: ", options.backgrounds,
          " must hold two photos at least (.jpg, .png), got ", files.size());
    std::ranges::sort(files);
    for (std::size_t i = 0; i < files.size(); ++i) {
      const bool keep = files.size() == 2 ? i == 1 : i % 3 == 2;
      // Larger ones would be shrunk anyway.
      (keep ? kept_photos_ : learned_photos_)
          .push_back(resize_to_fit(Image::read(files[i]), 1920, 1920));
    }
  }

  PastedPhoto photo(const std::string& split, std::int64_t index) const {
    const bool train = split == "train";
    const std::uint64_t stream = train ? 0 : split == "val" ? 1 : 2;
    Random random(options_.seed ^ kKey, 3 * static_cast<std::uint64_t>(index) + stream);
    PastedPhoto result{background(random, train ? learned_photos_ : kept_photos_), {}, {}};
    const FashionMnist& items = train ? learned_ : kept_;
    const auto others = random.below(4), shoes = 1 + random.below(3);
    for (std::int64_t n = 0; n < others + shoes; ++n)
      if (const auto box = paste(random, items, n >= others, result)) {
        result.items.push_back(*box);
        if (n >= others) result.shoes.push_back(*box);
      }
    return result;
  }

  /// Writes JPEGImages/*.png, Annotations/*.xml and ImageSets/Main/{train,val,test}.txt; returns
  /// the number of boxes of each list.
  std::array<std::int64_t, 3> write(const std::filesystem::path& folder) const {
    for (const char* part : {"JPEGImages", "Annotations", "ImageSets/Main"})
      std::filesystem::create_directories(folder / part);
    std::array<std::int64_t, 3> boxes{};
    const std::array<std::pair<const char*, std::int64_t>, 3> splits{
        {{"train", options_.train}, {"val", options_.val}, {"test", options_.test}}};
    for (std::size_t s = 0; s < splits.size(); ++s) {
      std::string list;
      for (std::int64_t i = 0; i < splits[s].second; ++i) {
        const PastedPhoto pasted = photo(splits[s].first, i);
        const std::string name = concat(splits[s].first, "_", i);
        pasted.image.write_png(folder / "JPEGImages" / (name + ".png"));
        write_file_atomically(folder / "Annotations" / (name + ".xml"), voc_xml(name, pasted));
        list += name + "\n";
        boxes[s] += std::ssize(pasted.shoes);
      }
      write_file_atomically(folder / "ImageSets/Main" / concat(splits[s].first, ".txt"), list);
    }
    return boxes;
  }

 private:
  static constexpr std::uint64_t kKey = 0x9A57E9A57E9A57E9;  // other numbers than FashionScenes'
  static constexpr float kVisible = 20.f / 255;              // what counts as a part of an item

  static std::string voc_xml(const std::string& name, const PastedPhoto& pasted) {
    std::string text = concat("<annotation><filename>", name, ".png</filename>\n<size><width>",
                              pasted.image.width(), "</width><height>", pasted.image.height(),
                              "</height><depth>3</depth></size>\n");
    for (const PixelBox& box : pasted.shoes)  // VOC counts from 1 and includes both ends
      text +=
          concat("<object><name>shoe</name><bndbox><xmin>", box.x1 + 1, "</xmin><ymin>", box.y1 + 1,
                 "</ymin><xmax>", box.x2, "</xmax><ymax>", box.y2, "</ymax></bndbox></object>\n");
    return text + "</annotation>\n";
  }

  /// A random part of a random photo, in one of four sizes.
  static Image background(Random& random, const std::vector<Image>& photos) {
    const Image& photo = photos[static_cast<std::size_t>(random.below(std::ssize(photos)))];
    int width = random.bernoulli(.5) ? 640 : 500, height = width * 3 / 4;
    if (random.bernoulli(.5)) std::swap(width, height);
    const double whole = std::min(double(photo.width()) / width, double(photo.height()) / height),
                 part = whole * random.uniform(.4, 1);
    const int w = std::max(1, static_cast<int>(part * width)),
              h = std::max(1, static_cast<int>(part * height));
    const auto x = static_cast<int>(random.below(photo.width() - w + 1)),
               y = static_cast<int>(random.below(photo.height() - h + 1));
    Image image = resize(crop(photo, x, y, w, h), width, height);
    return random.bernoulli(.5) ? flip_horizontal(image) : image;
  }

  static std::int64_t area(const PixelBox& box) {
    return std::int64_t{box.x2 - box.x1} * (box.y2 - box.y1);
  }
  /// At most a fifth of the smaller one covered.
  static bool apart(const PixelBox& a, const PixelBox& b) {
    const int w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1),
              h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
    return w <= 0 || h <= 0 || 5 * std::int64_t{w} * h <= std::min(area(a), area(b));
  }

  static bool is_shoe(std::int64_t label) { return label == 5 || label == 7 || label == 9; }

  /// Where the item was put; nothing if it found no place.
  std::optional<PixelBox> paste(Random& random, const FashionMnist& items, bool shoe,
                                PastedPhoto& to) const {
    std::int64_t which = random.below(items.size());
    while (is_shoe(items.label(which)) != shoe) which = random.below(items.size());
    Patch item{FashionMnist::kSide, FashionMnist::kSide, {}};
    for (const std::uint8_t v : items.image(which)) item.values.push_back(float(v) / 255);
    const PixelBox tight = tight_box(item, kVisible);
    if (tight.empty()) return std::nullopt;
    const int shorter = std::min(to.image.width(), to.image.height());
    const double longest = shorter * std::exp(random.uniform(std::log(.1), std::log(.55))),
                 w = tight.x2 - tight.x1, h = tight.y2 - tight.y1, scale = longest / std::max(w, h);
    const Patch patch =
        resize_patch(item, tight, std::max(4, static_cast<int>(scale * w)),
                     std::max(4, static_cast<int>(scale * h)), random.bernoulli(.5));
    const PixelBox seen = tight_box(patch, kVisible);
    if (seen.empty()) return std::nullopt;
    const double contrast = random.uniform(.55, 1), brightness = random.uniform(0, .3);
    std::array<double, 3> tint;
    for (double& t : tint) t = random.uniform(.4, 1);
    for (int tries = 0; tries < 20; ++tries) {
      const auto x = static_cast<int>(random.below(to.image.width() - patch.width + 1)),
                 y = static_cast<int>(random.below(to.image.height() - patch.height + 1));
      const PixelBox box{x + seen.x1, y + seen.y1, x + seen.x2, y + seen.y2};
      if (!std::ranges::all_of(to.items, [&](const PixelBox& b) { return apart(box, b); }))
        continue;
      for (int row = 0; row < patch.height; ++row)
        for (int column = 0; column < patch.width; ++column) {
          const double v = patch.values[static_cast<std::size_t>(row * patch.width + column)],
                       alpha = std::min(6 * v, 1.), shown = std::min(contrast * v + brightness, 1.);
          std::uint8_t* pixel = to.image.pixel(x + column, y + row);
          for (std::size_t c = 0; c < 3; ++c)
            pixel[c] = static_cast<std::uint8_t>(
                std::lround((1 - alpha) * pixel[c] + alpha * 255 * tint[c] * shown));
        }
      return box;
    }
    return std::nullopt;
  }

  PastedPhotosOptions options_;
  FashionMnist learned_, kept_;
  std::vector<Image> learned_photos_, kept_photos_;
};

}  // namespace boxgrad::detection
