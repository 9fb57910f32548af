#include "detection/explain_frames.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "core/check.h"
#include "core/svg.h"

namespace boxgrad::detection {
namespace {

constexpr std::size_t kVoters = 20;  // the first answers of a photo
constexpr double kBin = 0.1;         // of the logarithm of a factor
constexpr double kApart = 0.2;       // of a truth's side: how far its centre may be

using Corners = std::array<double, 4>;

Corners corners_of(const Corners& numbers, BoxForm form, double width) {
  const auto [a, b, c, d] = numbers;
  switch (form) {
    case BoxForm::corners:
      break;
    case BoxForm::reversed:
      return {std::min(a, c), std::min(b, d), std::max(a, c), std::max(b, d)};
    case BoxForm::transposed:
      return {b, a, d, c};
    case BoxForm::corner_size:
      return {a, b, a + c, b + d};
    case BoxForm::centre_size:
      return {a - c / 2, b - d / 2, a + c / 2, b + d / 2};
    case BoxForm::added_corners:
      return {a, b, c - a, d - b};
    case BoxForm::mirrored:
      return {width - c, b, width - a, d};
  }
  return numbers;
}

const char* form_text(BoxForm form) {
  switch (form) {
    case BoxForm::corners:
      return "";
    case BoxForm::reversed:
      return "with their corners in order";
    case BoxForm::transposed:
      return "read as (y1, x1, y2, x2)";
    case BoxForm::corner_size:
      return "read as (x, y, width, height)";
    case BoxForm::centre_size:
      return "read as (centre x, centre y, width, height)";
    case BoxForm::added_corners:
      return "with the first corner taken from the second, to which it was added";
    case BoxForm::mirrored:
      return "with left and right exchanged";
  }
  return "";
}

std::array<double, 2> unit_of(BoxUnit unit, const PhotoSizes& sizes, std::size_t image) {
  if (unit == BoxUnit::pixels) return {1, 1};
  const auto [width, height] = sizes.at(image);
  if (unit == BoxUnit::sides) return {width, height};
  return {std::min(width, height), std::min(width, height)};
}

Corners row_of(const Tensor& boxes, std::size_t i) {
  Corners row;
  for (std::size_t c = 0; c < 4; ++c) row[c] = static_cast<double>(boxes.data()[4 * i + c]);
  return row;
}

/// A pair that agrees with a factor.
struct Vote {
  Corners answer = {}, truth = {};
};

/// The factor along an axis that the pair asks for, if the place fits as well.
std::optional<double> factor_of(const Vote& vote, std::size_t axis) {
  const double side = vote.answer[axis + 2] - vote.answer[axis];
  const double wanted = vote.truth[axis + 2] - vote.truth[axis];
  if (!(side > 0 && wanted > 0)) return {};
  const double factor = wanted / side;
  const double apart = factor * (vote.answer[axis] + vote.answer[axis + 2]) / 2 -
                       (vote.truth[axis] + vote.truth[axis + 2]) / 2;
  if (!(factor > 1e-6 && factor < 1e6 && std::abs(apart) < kApart * wanted)) return {};
  return factor;
}

/// A place in a grid of votes.
using VoteBin = std::pair<int, int>;

/// The votes of the fullest bin, with those of its neighbours, as a peak may lie on an edge.
template <class V>
std::vector<V> fullest(const std::map<VoteBin, std::vector<V>>& bins) {
  std::vector<V> best;
  for (const auto& [bin, own] : bins) {
    std::vector<V> votes;
    for (const int dx : {-1, 0, 1})
      for (const int dy : {-1, 0, 1})
        if (const auto near = bins.find(VoteBin{bin.first + dx, bin.second + dy});
            near != bins.end())
          votes.insert(votes.end(), near->second.begin(), near->second.end());
    if (votes.size() > best.size()) best = std::move(votes);
  }
  return best;
}

/// sum(t a) / sum(a a) over both ends along an axis: those far from the origin tell most.
double least_squares(const std::vector<Vote>& votes, std::size_t axis) {
  double product = 0, square = 0;
  for (const Vote& vote : votes)
    for (const std::size_t end : {axis, axis + 2}) {
      product += vote.truth[end] * vote.answer[end];
      square += vote.answer[end] * vote.answer[end];
    }
  return product / square;
}

}  // namespace

std::string BoxFrame::text() const {
  std::string scaled;
  const auto near_one = [](double factor) { return std::abs(factor - 1) < 0.05; };
  if (unit == BoxUnit::sides)
    scaled = near_one(factor_x) && near_one(factor_y)
                 ? std::string("multiplied by each photo's width and height")
                 : concat("resized from a picture of ", format_number(1 / factor_x, 3), " x ",
                          format_number(1 / factor_y, 3), " pixels to each photo's size");
  else if (unit == BoxUnit::shorter_side)
    scaled = concat("resized from pictures whose shorter side has ",
                    format_number(2 / (factor_x + factor_y), 3), " pixels to each photo's size");
  else if (factor_x != 1 || factor_y != 1)
    scaled = concat("multiplied by ", format_number(factor_x, 3), " along x and ",
                    format_number(factor_y, 3), " along y");
  if (shift_x != 0 || shift_y != 0)
    scaled += concat(scaled.empty() ? "" : ", then ", "moved by ", format_number(shift_x, 3),
                     " px along x and ", format_number(shift_y, 3), " px along y");
  const std::string rearranged = form_text(form);
  if (rearranged.empty() || scaled.empty()) return rearranged + scaled;
  return concat(rearranged, " and ", scaled);
}

Tensor from_frame(const Tensor& boxes, const BoxFrame& frame, const PhotoSizes& sizes,
                  std::size_t image) {
  const auto [unit_x, unit_y] = unit_of(frame.unit, sizes, image);
  const double width = frame.form == BoxForm::mirrored ? sizes.at(image)[0] : 0;
  const std::array<double, 2> scale{unit_x * frame.factor_x, unit_y * frame.factor_y};
  const std::array<double, 2> shift{frame.shift_x, frame.shift_y};
  Tensor result({boxes.size(0), 4});
  for (std::size_t i = 0; i < static_cast<std::size_t>(boxes.size(0)); ++i) {
    const Corners corners = corners_of(row_of(boxes, i), frame.form, width);
    for (std::size_t c = 0; c < 4; ++c)
      result.data()[4 * i + c] = static_cast<Scalar>(corners[c] * scale[c % 2] + shift[c % 2]);
  }
  return result;
}

std::optional<BoxFrame> with_factors(BoxFrame frame, const std::vector<Detections>& detections,
                                     const std::vector<Target>& targets, const PhotoSizes& sizes) {
  frame.factor_x = frame.factor_y = 1;
  std::map<VoteBin, std::vector<Vote>> bins;
  const auto bin_of = [](double factor) {
    return static_cast<int>(std::floor(std::log(factor) / kBin));
  };
  for (std::size_t n = 0; n < targets.size(); ++n) {
    const Tensor answers = from_frame(detections[n].boxes, frame, sizes, n);
    for (std::size_t d = 0; d < std::min(detections[n].labels.size(), kVoters); ++d)
      for (std::size_t g = 0; g < targets[n].labels.size(); ++g) {
        const Vote vote{row_of(answers, d), row_of(targets[n].boxes, g)};
        const auto x = factor_of(vote, 0), y = factor_of(vote, 1);
        if (x && y) bins[{bin_of(*x), bin_of(*y)}].push_back(vote);
      }
  }
  const std::vector<Vote> best = fullest(bins);
  if (best.empty()) return {};
  frame.factor_x = least_squares(best, 0);
  frame.factor_y = least_squares(best, 1);
  if (!(frame.factor_x > 0 && frame.factor_y > 0)) return {};
  return frame;
}

std::optional<BoxFrame> with_shift(const std::vector<Detections>& detections,
                                   const std::vector<Target>& targets) {
  std::map<VoteBin, std::vector<std::array<double, 2>>> bins;
  double sides = 0, count = 0;
  for (const Target& target : targets)
    for (std::size_t g = 0; g < target.labels.size(); ++g, ++count) {
      const Corners truth = row_of(target.boxes, g);
      sides += truth[2] - truth[0] + truth[3] - truth[1];
    }
  if (!(count > 0 && sides > 0)) return {};
  const double bin_px = kBin * sides / (2 * count);
  for (std::size_t n = 0; n < targets.size(); ++n)
    for (std::size_t d = 0; d < std::min(detections[n].labels.size(), kVoters); ++d)
      for (std::size_t g = 0; g < targets[n].labels.size(); ++g) {
        const Corners answer = row_of(detections[n].boxes, d), truth = row_of(targets[n].boxes, g);
        std::array<double, 2> shift{};
        bool alike = true;
        for (const std::size_t axis : {0, 1}) {
          const double ratio = (truth[axis + 2] - truth[axis]) / (answer[axis + 2] - answer[axis]);
          alike = alike && ratio > 1 - kApart && ratio < 1 + kApart;
          shift[axis] = (truth[axis] + truth[axis + 2] - answer[axis] - answer[axis + 2]) / 2;
          alike = alike && std::abs(shift[axis]) < 1e5 * bin_px;  // a bin is an int
        }
        if (alike)
          bins[{static_cast<int>(std::floor(shift[0] / bin_px)),
                static_cast<int>(std::floor(shift[1] / bin_px))}]
              .push_back(shift);
      }
  const auto best = fullest(bins);
  if (best.empty()) return {};
  BoxFrame frame;
  for (const auto& [x, y] : best) frame.shift_x += x, frame.shift_y += y;
  frame.shift_x /= static_cast<double>(best.size());
  frame.shift_y /= static_cast<double>(best.size());
  return frame;
}

std::vector<BoxFrame> candidate_frames(const std::vector<Detections>& detections,
                                       const std::vector<Target>& targets,
                                       const PhotoSizes& sizes) {
  constexpr std::array forms{BoxForm::reversed, BoxForm::transposed, BoxForm::corner_size,
                             BoxForm::centre_size, BoxForm::added_corners};
  std::vector<BoxFrame> result;
  for (const BoxForm form : forms) result.push_back({.form = form});
  if (!sizes.empty()) result.push_back({.form = BoxForm::mirrored});
  if (const auto frame = with_shift(detections, targets)) result.push_back(*frame);
  const auto scale = [&](BoxForm form) {
    for (const BoxUnit unit : {BoxUnit::sides, BoxUnit::pixels, BoxUnit::shorter_side}) {
      if (unit != BoxUnit::pixels && sizes.empty()) continue;
      if (const auto frame = with_factors({.form = form, .unit = unit}, detections, targets, sizes))
        result.push_back(*frame);
    }
  };
  scale(BoxForm::corners);
  for (const BoxForm form : forms) scale(form);
  return result;
}

}  // namespace boxgrad::detection
