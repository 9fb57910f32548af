#include "detection/proposals/proposal_cache.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>

#include "core/check.h"
#include "core/file_names.h"
#include "core/files.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "core/serialize.h"
#include "core/stopwatch.h"
#include "detection/boxes.h"
#include "detection/data/dataset_hash.h"

namespace boxgrad::detection {

namespace fs = std::filesystem;

namespace {

constexpr int kProposalVersion = 1;  // higher when the same options give other boxes than before
constexpr Scalar kMostBoxes = Scalar{1 << 24};  // of one picture: a float counts to here

std::string hash_of(const Tensor& boxes, const Tensor& counts) {
  Sha256 hash;
  for (const Tensor& t : {boxes, counts}) {
    const auto numbers = t.data();
    hash.update({reinterpret_cast<const std::uint8_t*>(numbers.data()), numbers.size_bytes()});
  }
  return hash.hex();
}

/// All boxes in one tensor, and how many there are of each picture.
TensorFile pack_proposals(const std::vector<Tensor>& proposals, const std::string& fingerprint,
                          double seconds) {
  Tensor counts({static_cast<std::int64_t>(proposals.size())});
  std::int64_t total = 0;
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    counts.data()[i] = static_cast<Scalar>(proposals[i].size(0));
    total += proposals[i].size(0);
  }
  Tensor boxes({total, 4});
  auto place = boxes.data().begin();
  for (const Tensor& p : proposals) place = std::ranges::copy(p.data(), place).out;
  TensorFile file{{{"boxes", boxes}, {"counts", counts}}, {}};
  file.metadata = {{"fingerprint", fingerprint},
                   {"sha256", hash_of(boxes, counts)},
                   {"seconds", concat(seconds)}};
  return file;
}

/// The way back; throws std::invalid_argument, without the file's name, for what pack_proposals
/// would not have written.
std::vector<Tensor> unpack_proposals(const TensorFile& file, std::int64_t size) {
  const auto tensor = [&](const std::string& name) -> Tensor {
    for (const auto& [key, value] : file.tensors)
      if (key == name) return value;
    throw std::invalid_argument("it holds no " + name);
  };
  const Tensor boxes = tensor("boxes"), counts = tensor("counts");
  const auto hash = file.metadata.find("sha256");
  check(hash != file.metadata.end() && hash->second == hash_of(boxes, counts),
        "its numbers do not match their SHA-256");
  check(boxes.rank() == 2 && boxes.size(1) == 4 && counts.shape() == Shape{size},
        "its tensors have the wrong shapes, ", boxes.shape(), " and ", counts.shape());
  std::vector<Tensor> proposals;
  std::span<const Scalar> rest = boxes.data();
  for (const Scalar count : std::as_const(counts).data()) {
    // Bounded as a float first: beyond that it may not become an integer.
    check(count >= 0 && count <= kMostBoxes && count == std::floor(count) &&
              static_cast<std::size_t>(count) <= rest.size() / 4,
          "its counts do not fit its boxes");
    const std::size_t n = 4 * static_cast<std::size_t>(count);
    Tensor mine({static_cast<std::int64_t>(count), 4});
    std::ranges::copy(rest.first(n), mine.data().begin());
    proposals.push_back(std::move(mine));
    rest = rest.subspan(n);
  }
  check(rest.empty(), "its counts do not fit its boxes");
  return proposals;
}

/// Proposals, and the seconds that they took.
struct TimedProposals {
  std::vector<Tensor> boxes;
  double seconds = 0;
};

/// What the file holds, or nothing, after a line about why not.
std::optional<TimedProposals> read_proposals(const fs::path& path, const std::string& fingerprint,
                                             std::int64_t size, std::ostream& log) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return std::nullopt;
  try {
    const TensorFile file = load_safetensors(path);
    const auto mine = file.metadata.find("fingerprint");
    check(mine != file.metadata.end() && mine->second == fingerprint,
          "it was made from other pictures or with other options");
    return TimedProposals{unpack_proposals(file, size), file.number("seconds")};
  } catch (const std::exception& error) {
    log << "proposals: " << path.string() << " is not used: " << error.what()
        << "; computing them again\n";
    return std::nullopt;
  }
}

}  // namespace

fs::path proposal_file(const fs::path& folder, const std::string& name) {
  check(
      !name.empty() && name == in_file_name(name) && name.front() != '.' && name.front() != '-',
      "cached_proposals: name must be letters, digits, '-', '_' and '.', the first neither '-' nor "
      "'.', got \"",
      name, "\"");
  return folder / (name + ".safetensors");
}

ProposalMethod selective_search_method(const SelectiveSearchOptions& options) {
  return {to_string(options), [options](const Sample& sample, std::int64_t) {
            return selective_search(sample.image, options);
          }};
}

std::string proposal_fingerprint(const Dataset& dataset, const ProposalMethod& method,
                                 const std::string& name) {
  Sha256 hash;
  hash_text(hash, concat("boxgrad proposals ", kProposalVersion, ", ", sizeof(Scalar), " bytes"));
  hash_text(hash, name);
  hash_text(hash, method.description);
  hash_pictures(hash, dataset);
  return hash.hex();
}

std::vector<Tensor> compute_proposals(const Dataset& dataset, const ProposalMethod& method) {
  const std::int64_t size = dataset.size();
  std::vector<Tensor> proposals(static_cast<std::size_t>(size));
  Progress progress("proposals", size);
  std::mutex mutex;  // of the bar and its count
  std::int64_t done = 0;
  parallel_for(size, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Tensor boxes = method.propose(dataset.get(i), i);
      check(boxes.defined() && boxes.rank() == 2 && boxes.size(1) == 4,
            "compute_proposals: the method must give boxes [P, 4], it did not for sample ", i);
      check(boxes.size(0) <= static_cast<std::int64_t>(kMostBoxes), "compute_proposals: at most ",
            kMostBoxes, " boxes, got ", boxes.size(0), " for sample ", i);
      proposals[static_cast<std::size_t>(i)] = std::move(boxes);
      const std::lock_guard lock(mutex);
      progress.update(++done);
      // A search works with megabytes and leaves kilobytes between them: what it frees does not fit
      // the next one, and the process grew by 2 MB a photo.
      if (done % 16 == 0) release_free_memory();
    }
  });
  return proposals;
}

std::vector<Tensor> cached_proposals(const Dataset& dataset, const ProposalMethod& method,
                                     const fs::path& folder, const std::string& name,
                                     std::ostream* log, double* seconds) {
  const fs::path path = proposal_file(folder, name);
  check(!method.description.empty(), "cached_proposals: the method needs a description");
  std::ostream& out = log ? *log : std::cerr;
  fs::create_directories(folder);
  const std::string fingerprint = proposal_fingerprint(dataset, method, name);
  auto result = read_proposals(path, fingerprint, dataset.size(), out);
  if (!result) {
    const Stopwatch watch;
    result = {.boxes = compute_proposals(dataset, method)};
    result->seconds = watch.seconds();
    try {
      save_safetensors(path, pack_proposals(result->boxes, fingerprint, result->seconds));
    } catch (const std::runtime_error& error) {
      out << "proposals: they are not kept: " << error.what() << '\n';
    }
  }
  if (seconds) *seconds = result->seconds;
  return std::move(result->boxes);
}

}  // namespace boxgrad::detection
