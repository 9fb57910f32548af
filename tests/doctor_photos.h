#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "detection/doctor/checkup.h"
#include "detection/doctor/checkup_text.h"
#include "tests/photo_folder.h"

/// Photos of 100 x 80 px for the doctor, and what it says of them.
namespace boxgrad::detection {

inline const WrittenBox kDog{"dog", "11", "11", "50", "40"}, kCat{"cat", "51", "11", "90", "60"};

inline void voc_photo(const PhotoFolder& folder, const std::string& stem,
                      const std::vector<WrittenBox>& boxes, std::uint8_t grey) {
  folder.text("Annotations/" + stem + ".xml", voc_text(boxes, 100, 80));
  folder.picture("JPEGImages/" + stem + ".png", 100, 80, grey);
}

/// "no_area Annotations/a.xml, line 4: dog (1, 2, 1, 2)" of all faults.
inline std::vector<std::string> told(const Checkup& checkup) {
  std::vector<std::string> lines;
  for (const FaultKind kind : checkup.faults.kinds())
    for (const Fault& fault : checkup.faults.of(kind))
      lines.push_back(concat(fault_text(kind).name, " ", place_of(checkup, fault)));
  return lines;
}
using Lines = std::vector<std::string>;

}  // namespace boxgrad::detection
