#include "detection/models/region_inspect.h"

#include <algorithm>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/draw.h"
#include "core/ops.h"

namespace boxgrad::detection {

std::vector<Color> region_fates(const RegionStep& step) {
  std::vector<Color> fates(step.labels.size(), kLeftOutColor);
  for (const std::int64_t r : step.suppressed) fates[static_cast<std::size_t>(r)] = kIgnoredColor;
  for (const std::int64_t r : step.chosen) {
    const auto i = static_cast<std::size_t>(r);
    fates[i] = step.labels[i] > 0 ? kPositiveColor : kNegativeColor;
  }
  return fates;
}

Image region_loss_strip(const RegionStep& step) {
  check(!step.losses.empty() && step.losses.size() == step.labels.size(),
        "region_loss_strip: the step has losses of ", step.losses.size(), " of its ",
        step.labels.size(), " regions; only OHEM's read-only pass knows them");
  constexpr int kBar = 2, kGap = 1, kMargin = 10, kHeight = 150;
  const std::vector<Color> fates = region_fates(step);
  const std::vector<std::int64_t> order = argsort_descending(step.losses);
  Image canvas(2 * kMargin + (kBar + kGap) * static_cast<int>(order.size()), kHeight + 30, kWhite);
  const auto highest =
      std::max(static_cast<double>(step.losses[static_cast<std::size_t>(order.front())]), 1e-9);
  double x = kMargin;
  for (const std::int64_t r : order) {
    const auto i = static_cast<std::size_t>(r);
    const double height = kHeight * static_cast<double>(step.losses[i]) / highest;
    fill_rectangle(canvas, x, kMargin + kHeight - height, x + kBar, kMargin + kHeight, fates[i]);
    fill_rectangle(canvas, x, kMargin + kHeight + 4, x + kBar, kMargin + kHeight + 12, fates[i]);
    x += kBar + kGap;
  }
  return canvas;
}

Image region_sheet(const RegionStep& step, std::span<const Sample> samples) {
  const std::vector<Color> fates = region_fates(step);
  std::vector<bool> learned(fates.size(), false);
  for (const std::int64_t r : step.chosen) learned[static_cast<std::size_t>(r)] = true;
  std::vector<Image> panels;
  std::vector<std::string> captions;
  for (std::size_t n = 0; n < samples.size(); ++n)
    for (const bool chosen : {false, true}) {
      auto [canvas, factor] = enlarged(samples[n].image);
      for (std::int64_t r = 0; r < step.rois.size(0); ++r) {
        const auto i = static_cast<std::size_t>(r);
        if (step.rois.data()[5 * i] == static_cast<Scalar>(n) && learned[i] == chosen)
          draw_boxes(canvas, slice(slice(step.rois, 0, r, r + 1), 1, 1, 5), fates[i],
                     {.scale = static_cast<double>(factor), .thickness = 1});
      }
      panels.push_back(std::move(canvas));
      captions.push_back(chosen ? "chosen" : "left out");
    }
  return image_grid(panels, captions, {.columns = 4});
}

}  // namespace boxgrad::detection
