#include <nlohmann/json.hpp>

#include "detection/doctor/checkup_text.h"

namespace boxgrad::detection {

namespace {

using Ordered = nlohmann::ordered_json;

Ordered class_counts(const Checkup& checkup, const std::vector<std::int64_t>& boxes) {
  Ordered counts = Ordered::object();
  for (std::size_t c = 0; c < checkup.classes.size(); ++c) counts[checkup.classes[c]] = boxes[c];
  return counts;
}

Ordered recall_json(const AnchorRecall& recall) {
  return {{"preset", recall.preset.name},
          {"boxes", recall.boxes},
          {"matched", recall.matched},
          {"mean_iou", recall.mean_iou}};
}

}  // namespace

std::string checkup_json(const Checkup& checkup) {
  const auto dump = [](const Ordered& value) {
    return value.dump(-1, ' ', false, Ordered::error_handler_t::replace);
  };
  Ordered head{{"folder", checkup.folder.string()},
               {"format", checkup.format},
               {"images", checkup.images},
               {"images_without_boxes", checkup.empty_images},
               {"boxes", checkup.boxes},
               {"classes", class_counts(checkup, checkup.class_boxes)}};
  head["splits"] = Ordered::array();
  for (const Checkup::Split& split : checkup.splits)
    head["splits"].push_back({{"name", split.name},
                              {"images", split.images},
                              {"boxes", split.boxes},
                              {"classes", class_counts(checkup, split.class_boxes)}});
  head["counts"] = Ordered::object();
  for (const FaultKind kind : checkup.faults.kinds())
    head["counts"][fault_text(kind).name] = checkup.faults.count(kind);
  head["anchors"] = Ordered::array();
  for (const AnchorRecall& recall : checkup.anchors) head["anchors"].push_back(recall_json(recall));
  head["suggested"] = Ordered::array();
  if (!checkup.clusters.empty()) {
    head["anchors"].push_back(recall_json(checkup.suggested));
    for (const BoxSize& size : checkup.clusters.back().sizes)
      head["suggested"].push_back({size.width, size.height});
  }
  // Faults are written one by one: a tree of a hundred thousand would take many times their memory.
  std::string text = dump(head);
  text.pop_back();
  text += ",\n\"faults\":[";
  const char* separator = "\n";
  for (const FaultKind kind : checkup.faults.kinds())
    for (const Fault& fault : checkup.faults.of(kind)) {
      const FaultText& told = fault_text(kind);
      text += separator + dump({{"kind", told.name},
                                {"note", told.note},
                                {"file", shown_path(checkup, fault.file)},
                                {"object", fault.object},
                                {"value", fault.value},
                                {"rule", told.rule},
                                {"done", told.done},
                                {"fix", told.fix},
                                {"image", shown_path(checkup, fault.image)},
                                {"boxes", fault.boxes}});
      separator = ",\n";
    }
  return text + "]}\n";
}

}  // namespace boxgrad::detection
