#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "detection/data/dataset.h"
#include "detection/proposals/selective_search.h"

namespace boxgrad::detection {

/// A way of finding proposals.
struct ProposalMethod {
  /// Says all that the boxes depend on, apart from the picture: a cache made by a method of another
  /// description is not used.
  std::string description;
  /// Boxes [P, 4] in the sample's picture, best first; a pure function, called from several
  /// threads.
  std::function<Tensor(const Sample& sample, std::int64_t index)> propose;
};

ProposalMethod selective_search_method(const SelectiveSearchOptions& options);

/// The proposals of every sample of a dataset: read from a file, or computed on all threads, with
/// a progress bar, and kept in that file. Selective search takes longer than a pass over the
/// pictures, and every epoch wants the same boxes.
///
/// folder   created if it is missing
/// name     of the file, <folder>/<name>.safetensors, as in_file_name() leaves it, starting with
///          neither '-' nor '.'. One for each dataset, split and method that is to be kept.
/// log      where messages go; null: standard error
/// seconds  if given: what computing them took, which the file remembers; 0 for one that does not
///          say
/// returns  [dataset.size()] tensors [P, 4]
/// throws   std::invalid_argument for another name, an empty description or a method that gives no
///          boxes [P, 4]; std::filesystem::filesystem_error if the folder cannot be made; whatever
///          dataset and method throw
///
/// The file belongs to this dataset and method if its fingerprint does: a hash of `name`, the
/// description, the number of samples, the classes, the key of each sample, the pictures of eight
/// and the version of the code and its precision. A file that is of something else, damaged or cut
/// short is replaced after a line that says so; its numbers are hashed too. It is written under
/// another name and renamed, so that it is whole or not there. If it cannot be written a line says
/// why, and the boxes are returned all the same.
std::vector<Tensor> cached_proposals(const Dataset& dataset, const ProposalMethod& method,
                                     const std::filesystem::path& folder, const std::string& name,
                                     std::ostream* log = nullptr, double* seconds = nullptr);

/// That file. Throws std::invalid_argument for another name.
std::filesystem::path proposal_file(const std::filesystem::path& folder, const std::string& name);

/// The same without a file.
std::vector<Tensor> compute_proposals(const Dataset& dataset, const ProposalMethod& method);

/// The hash that cached_proposals compares.
std::string proposal_fingerprint(const Dataset& dataset, const ProposalMethod& method,
                                 const std::string& name);

}  // namespace boxgrad::detection
