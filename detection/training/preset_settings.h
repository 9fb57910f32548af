#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/check.h"

namespace boxgrad::detection {

/// What a preset consists of, by name, as text.
using PresetSettings = std::vector<std::pair<std::string, std::string>>;

/// What one preset has otherwise than another of its kind: "width: 0.25 instead of 1".
inline std::vector<std::string> departures(const PresetSettings& preset,
                                           const PresetSettings& reference) {
  check(preset.size() == reference.size(), "departures: presets of one kind are compared, got ",
        preset.size(), " and ", reference.size(), " settings");
  std::vector<std::string> result;
  for (std::size_t i = 0; i < preset.size(); ++i)
    if (preset[i].second != reference[i].second)
      result.push_back(
          concat(preset[i].first, ": ", preset[i].second, " instead of ", reference[i].second));
  return result;
}

/// The same for presets, which tell their settings().
template <class Preset>
std::vector<std::string> departures(const Preset& preset, const Preset& reference) {
  return departures(preset.settings(), reference.settings());
}

}  // namespace boxgrad::detection
