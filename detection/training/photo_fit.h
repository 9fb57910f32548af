#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "detection/anchors.h"
#include "detection/data/dataset.h"
#include "detection/data/preparation.h"
#include "detection/data/transforms.h"
#include "detection/detector.h"
#include "detection/models/detector_spec.h"
#include "layers/schedule.h"

/// What the recipes for people's own photos share: what can be measured on the photos is measured,
/// and not an option.
namespace boxgrad::detection {

/// The longer side becomes longer_px, and colours are normalised by the mean and the deviation of
/// the pixels of up to fifty pictures, per channel. Tensors have sides that are multiples of
/// multiple_px. Throws std::invalid_argument for an empty dataset and sides below 32.
Preparation photo_preparation(const Dataset& train, int longer_px, int multiple_px);

/// Sizes of anchors that fit a dataset's boxes, as the network sees them: anchor_sides() times one
/// ratio height / width, the median, or three, the 10 %, 50 % and 90 % points, when these differ by
/// more than a factor of 1.7 from the median. An anchor more is not a free gift: it takes places in
/// the minibatch and before suppression. classes_alike: see anchor_sides().
/// Throws std::invalid_argument when the dataset has no box.
std::vector<BoxSize> fitting_anchors(const Dataset& dataset, const Preparation& preparation,
                                     int sides, bool classes_alike = false);

/// The anchors of three maps, of these strides.
inline constexpr std::array<Scalar, 3> kMapStridesPx{8, 16, 32};
using MapAnchors = std::array<std::vector<BoxSize>, kMapStridesPx.size()>;

/// Up to 40 px on the first map, up to 96 px on the second, larger ones on the third: the root of
/// an anchor's area counts.
MapAnchors anchors_by_size(const std::vector<BoxSize>& sizes);

/// Fills a spec's maps and anchors. `layers` are the names of the three; a map without anchors is
/// left out.
void set_maps(DetectorSpec& spec, const std::array<const char*, 3>& layers,
              const MapAnchors& anchors);

/// Half of the pictures mirrored; half of them, independently, turned upside down where that is
/// asked for.
Transform random_flips(bool vertical);

/// What is done to people's photos in training.
enum class Augmentation {
  photos,  ///< photo_augmentation(): little, so that a training of minutes sees what it will meet
  ssd,     ///< ssd_augmentation(): all that SSD does, for long trainings and objects of any size
};

/// Their names, "photos" and "ssd".
const std::vector<std::string>& augmentation_names();
std::string augmentation_name(Augmentation kind);
/// Throws std::invalid_argument that lists the names for another one.
Augmentation augmentation_named(const std::string& name);

/// Flips, then windows of at least half of the picture, stretched back to its size, in
/// `crop_chance` of the pictures, then brightness and contrast changed by up to so much
/// (transforms.h). A picture keeps the size that it has.
Transform photo_augmentation(bool vertical_flips, double crop_chance, double brightness,
                             double contrast);

/// The one that is wanted. Of the two, ssd has no use for the last three arguments, and stretches
/// to the picture's own size instead of to 300 x 300.
Transform recipe_augmentation(Augmentation kind, bool vertical_flips, double crop_chance,
                              double brightness, double contrast);

/// A warm-up over a twentieth of the run, then half a cosine down to a hundredth.
nn::Schedule warm_cosine(std::int64_t iterations);

/// The hardest negatives of every photo at least that an Ssd learns from; any other detector stays as
/// it is.
void set_min_negatives(Detector& detector, std::int64_t min_negatives);

}  // namespace boxgrad::detection
