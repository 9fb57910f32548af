#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

/// The photos of a split of a user's folder, after saying on standard output what they are and what
/// is wrong with them: "train: 205 images, ...".
///
/// classes       those that a network knows; empty: those of the folder
/// may_be_empty  photos without an object of such a class are returned all the same
/// cut           how, where the folder has no lists
/// throws        what open_photos() throws; std::invalid_argument with why_empty() otherwise
std::unique_ptr<PhotoDataset> photos_for(const std::string& folder, const std::string& split,
                                         const std::vector<std::string>& classes,
                                         bool may_be_empty = false,
                                         PhotoCut cut = PhotoCut::by_name);
/// Why there is nothing to learn from these photos or to ask for, with the classes' names on both
/// sides; "" when there is an object.
std::string why_empty(const PhotoDataset& photos, const std::string& folder,
                      const std::string& split, const std::vector<std::string>& classes);

/// A list that somebody named and that is not there is a slip of the pen: throws
/// std::invalid_argument with the names that there are. `option` stands in front.
void check_split_exists(const char* option, const std::string& folder, const std::string& split);

/// A folder of photos as a run's config.json keeps it, by its full path: from wherever the run is
/// resumed, it is the same. Throws std::invalid_argument, "--data" in front, unless that is UTF-8,
/// as JSON holds no other texts.
std::string kept_path(const std::string& folder);

/// How many of `asked` are photos of `learned`, too: AP on those says nothing of new ones.
std::int64_t photos_in_both(const PhotoDataset& learned, const PhotoDataset& asked);

/// Whether "train" and "val" of a folder have to be cut, as it has neither lists nor folders of its
/// own. What is cut is a function of the folder alone, and said once by say_how_it_is_split().
bool is_cut(const std::string& folder);
void say_how_it_is_split(const std::string& folder, PhotoCut cut = PhotoCut::by_name);

}  // namespace boxgrad::detection
