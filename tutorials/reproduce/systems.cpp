// Group 1: all systems from the same start: what sharing the convolutions brought (Girshick, 2015,
// table 4), then proposals of one's own, then none at all.
#include "core/check.h"
#include "core/random.h"
#include "detection/models/rcnn.h"
#include "detection/models/spp_net.h"
#include "detection/proposals/proposal_cache.h"
#include "detection/proposals/selective_search.h"
#include "detection/training/region_classifier_training.h"
#include "tutorials/reproduce/lab.h"

namespace boxgrad::reproduce {

namespace {

/// Of the scenes' pixels, which are not normalised: what R-CNN puts around windows at the edge.
constexpr Scalar kSceneMean = Scalar(0.35);

/// What a system is trained on: what fits into about a minute.
struct Amount {
  std::int64_t steps;       ///< of fine-tuning, 128 regions each
  std::int64_t batch;       ///< images of a step
  std::int64_t images;      ///< whose features the SVMs are fitted to
  std::int64_t scenes = 0;  ///< whose maps SPPnet stores; 0: no maps are stored

  std::int64_t seen() const { return steps * batch; }
  std::string describe() const {
    return concat(steps, " x ", batch, ", SVMs on ", images,
                  scenes > 0 ? concat(", maps of ", scenes) : std::string());
  }
};

/// R-CNN's second and third stage, with the seconds and megabytes of each.
Result fit_classifiers(Lab& lab, Rcnn& model, const Amount& amount) {
  model.eval();
  const RegionClassifierReport report = train_region_classifiers(
      model.classifiers(), FirstImages(lab.task().train, amount.images), {},
      [&](const Tensor& image, const Tensor& boxes) { return model.region_features(image, boxes); },
      lab.options().out / "features", region_classifier_options());
  std::filesystem::remove_all(lab.options().out / "features");
  return {{{"features", report.seconds_features},
           {"svms", report.seconds_svms},
           {"boxes", report.seconds_boxes},
           {"feature_mb", report.megabytes}},
          {}};
}

std::shared_ptr<Rcnn> new_rcnn(Lab& lab, std::uint64_t seed) {
  const auto backbone = lab.task().backbone();
  backbone->freeze_through("conv1_2");
  manual_seed(seed);
  RcnnOptions options;
  options.num_classes = lab.task().num_classes();
  options.warp = {.size = 32, .context = 2, .fill = std::vector<Scalar>(3, kSceneMean)};
  options.head = {.hidden = {256, 256}, .dropout = 0};
  return std::make_shared<Rcnn>(backbone, options);
}

SppNetPreset spp_net_preset_of(Lab& lab, bool five, const Amount& amount) {
  SppNetPreset preset = our_spp_net(lab.options(), five);
  preset.training.iterations = amount.steps;
  preset.training.images = amount.batch;
  preset.training.classifier_images = amount.images;
  return preset;
}

/// All stages as lesson 07 has them: maps of scenes and mirrored scenes go to the disk once, and
/// the fully connected layers learn from there. The files are removed.
Result train_in_stages(Lab& lab, SppNet& model, bool five, const Amount& amount,
                       std::uint64_t seed) {
  SppNetPreset preset = spp_net_preset_of(lab, five, amount);
  preset.training.seed = seed;
  const auto folder = lab.options().out / "stores";
  const SppNetReport report = train_spp_net(model, FirstImages(lab.task().train, amount.scenes),
                                            preset.preparation(), folder, preset.training);
  std::filesystem::remove_all(folder);
  return {{{"maps", report.seconds_maps},
           {"map_mb", report.map_megabytes},
           {"fine_tuning", report.seconds_fine_tuning},
           {"features", report.classifiers.seconds_features},
           {"svms", report.classifiers.seconds_svms},
           {"boxes", report.classifiers.seconds_boxes},
           {"feature_mb", report.classifiers.megabytes}},
          {}};
}

/// Selective search for a scene, one at a time.
Timed timed_search(Lab& lab) {
  return {"search", lab.common_settings(), [&lab]() -> std::function<void(std::int64_t)> {
            const ProposalMethod search =
                selective_search_method(SelectiveSearchOptions::preset("fast"));
            const auto scenes = std::make_shared<std::map<std::int64_t, Sample>>();
            return [&lab, search, scenes](std::int64_t scene) {
              const auto [sample, is_new] = scenes->try_emplace(scene);
              if (is_new) sample->second = lab.task().val_scenes.get(scene);
              search.propose(sample->second, scene);
            };
          }};
}

}  // namespace

void reproduce_systems(Lab& lab) {
  lab.heading("All systems");
  lab.paragraph(concat("What all of them begin with was ", lab.task().seconds_text(),
                       ". No figure below holds any of it, except the column of proposals."));
  const bool quick = lab.options().quick;
  const Amount rcnn_amount = quick ? Amount{2, 8, 4} : Amount{300, 8, 300};
  const Amount spp_amount = quick ? Amount{2, 4, 4, 6} : Amount{1500, 16, 500, 2000};
  const Amount five_amount = quick ? Amount{2, 4, 4, 6} : Amount{400, 16, 240, 320};
  const std::string rcnn_settings = concat(lab.common_settings(), ", ", rcnn_amount.describe(),
                                           ", positives weigh 20, fill ", kSceneMean);
  const auto spp_settings = [&](bool five, const Amount& amount) {
    return concat(lab.common_settings(), ", stored maps, ", amount.describe(),
                  preset_text(spp_net_preset_of(lab, five, amount).settings()));
  };
  const auto rcnn = [&](std::uint64_t seed) {
    return lab.trained<Rcnn>(
        "rcnn", rcnn_settings, seed, [&] { return new_rcnn(lab, seed); },
        [&](Rcnn& model) {
          const double seconds =
              lab.train_detector(model, lab.task().train, seed, rcnn_amount.steps, 0.01,
                                 random_horizontal_flip(), rcnn_amount.batch);
          Result figures = fit_classifiers(lab, model, rcnn_amount);
          figures.values["fine_tuning"] = seconds;
          return figures;
        });
  };
  const auto spp_net = [&](const std::string& name, bool five, const Amount& amount,
                           std::uint64_t seed) {
    return lab.trained<SppNet>(
        name, spp_settings(five, amount), seed,
        [&] {
          const auto backbone = lab.task().backbone();
          manual_seed(seed);
          return std::make_shared<SppNet>(backbone, spp_net_preset_of(lab, five, amount).model);
        },
        [&](SppNet& model) { return train_in_stages(lab, model, five, amount, seed); });
  };
  const auto measured = [&](const auto& trained, const std::string& name, std::uint64_t seed) {
    Result result = lab.measure(*trained.first, lab.task().val);
    for (const auto& [figure, value] : trained.second.values) result.values[figure] = value;
    result.values["seconds"] = 0;
    for (const char* stage : {"maps", "fine_tuning", "features", "svms", "boxes"})
      if (const auto s = result.values.find(stage); s != result.values.end())
        result.values["seconds"] += s->second;
    result.values["mb"] = lab.megabytes(name, seed);
    trained.first->options().scoring = RegionScoring::softmax;
    result.values["ap50_softmax"] = lab.measure(*trained.first, lab.task().val).value("ap50");
    return result;
  };
  std::vector<System> systems;
  systems.push_back(
      {"rcnn", "R-CNN", rcnn_amount.describe(),
       lab.by_seed("rcnn", rcnn_settings,
                   [&](std::uint64_t seed) { return measured(rcnn(seed), "rcnn", seed); }),
       lab.timed("rcnn", rcnn_settings, [&] { return rcnn(0).first; })});
  systems.back().images = rcnn_amount.seen();
  for (const bool five : {false, true}) {
    const std::string name = five ? "spp_net-five_scales" : "spp_net";
    const Amount& amount = five ? five_amount : spp_amount;
    systems.push_back({name, five ? "SPPnet, five scales" : "SPPnet, one scale", amount.describe(),
                       lab.by_seed(name, spp_settings(five, amount),
                                   [&](std::uint64_t seed) {
                                     return measured(spp_net(name, five, amount, seed), name, seed);
                                   }),
                       lab.timed(name, spp_settings(five, amount), [&, name, five] {
                         return spp_net(name, five, amount, 0).first;
                       })});
    systems.back().images = amount.seen();
  }
  const FastRecipe recipe;
  systems.push_back({"fast_rcnn", "Fast R-CNN", concat(lab.options().steps, " x 2"),
                     lab.fast_rcnn("fast_rcnn", recipe), lab.timed_fast_rcnn("fast_rcnn", recipe)});
  systems.back().images = 2 * lab.options().steps;
  for (System& system : systems) system.searches = true;
  systems.push_back(faster_rcnn_system(lab));
  systems.back().images = 2 * lab.options().steps;
  for (const std::int64_t images : {2, 4}) {
    systems.push_back(ssd_system(lab, images));
    systems.push_back(retinanet_system(lab, images));
  }

  std::vector<Timed> timed{timed_search(lab)};
  for (const System& system : systems) timed.push_back(system.timed);
  const auto times = lab.milliseconds("systems", timed);
  const double search_ms = times.at("search");
  const auto ms = [&](std::size_t k) { return times.at(systems[k].name); };
  const auto whole_ms = [&](std::size_t k) {
    return ms(k) + (systems[k].searches ? search_ms : 0);
  };

  // Times and sizes of the first seed, of which a quiet machine can be made sure.
  std::vector<std::vector<std::string>> rows, stages;
  for (const System& system : systems) {
    const std::vector<Result> first{system.runs.front()};
    rows.push_back({system.text, system.optimizer, system.amount, concat(system.images)});
    for (std::string& cell : row_of("", system.runs, {"ap50", "ap50_any"}))
      if (!cell.empty()) rows.back().push_back(std::move(cell));
    for (const char* figure : {"seconds", "mb"})
      rows.back().push_back(mean_and_spread(values_of(first, figure), 1));
    rows.back().push_back(system.searches ? mean_and_spread({search_ms}, 1) : "");
    rows.back().push_back(mean_and_spread({times.at(system.name)}, 1));
    if (!first.front().values.contains("svms")) continue;
    stages.push_back({system.text});
    for (const char* figure :
         {"maps", "fine_tuning", "features", "svms", "boxes", "map_mb", "feature_mb"})
      stages.back().push_back(first.front().values.contains(figure)
                                  ? mean_and_spread(values_of(first, figure), 0)
                                  : "");
    stages.back().push_back(mean_and_spread(values_of(system.runs, "ap50_softmax"), 3));
  }
  lab.table({"system", "optimizer", "steps x images", "images seen", "AP50", "whatever the class",
             kSecondsHeader, "MB", "ms of proposals", "ms of detection"},
            rows);
  lab.paragraph(
      "The amounts of training are what fits into about a minute, and are not equal: \"images "
      "seen\" is "
      "what the network has had before any SVMs, repeated images counted; a step has 128 regions, "
      "or all anchors of its images. The last two rows have twice the images of Fast and Faster "
      "R-CNN; claims compare the rows above, with as many. "
      "RetinaNet learns by AdamW, as its pyramid and subnets without batch norm learn little from "
      "SGD in so few steps; all others by SGD.");
  lab.paragraph(
      "Of the stages behind the network, in seconds; maps and features lie on disk between them. "
      "The last "
      "column is what the softmax of the fine-tuning says instead of the SVMs, boxes regressed as "
      "before:");
  lab.table({"system", "maps", "fine-tuning", "features", "SVMs", "boxes", "MB of maps",
             "MB of features", "AP50, softmax"},
            stages);
  // Linear in steps and images, as all stages are.
  const auto equal_training_s = [&](const System& system, const Amount& amount) {
    const Result& run = system.runs.front();
    const double steps =
        static_cast<double>(lab.options().steps) / static_cast<double>(amount.steps);
    const double images =
        static_cast<double>(lab.task().train.size()) / static_cast<double>(amount.images);
    const double maps = amount.scenes > 0
                            ? static_cast<double>(lab.task().train.size()) /
                                  static_cast<double>(amount.scenes) * run.value("maps")
                            : 0;
    return maps + steps * run.value("fine_tuning") +
           images * (run.value("features") + run.value("svms") + run.value("boxes"));
  };
  lab.paragraph(
      concat("Training times are compared at equal amounts, and extrapolated for that, "
             "as if everything had taken ",
             lab.options().steps, " steps of 128 regions and all ", lab.task().train.size(),
             " scenes: each stage's seconds times what it lacks of that."));
  const auto ap = [&](std::size_t k) { return values_of(systems[k].runs, "ap50"); };
  lab.claims({{.what = "test: one map for all regions beats a network for each",
               .source = "table 4, VGG16",
               .paper = "47.0 against 0.32 s, 146 times",
               .effect = Effect::ratio,
               .size = 146,
               .larger = {ms(0)},
               .smaller = {ms(3)},
               .unit = "ms",
               .digits = 1},
              {.what = "test: Fast R-CNN against SPPnet with five scales",
               .source = "table 4, VGG16",
               .paper = "2.3 against 0.32 s, 7 times",
               .effect = Effect::ratio,
               .size = 7,
               .larger = {ms(2)},
               .smaller = {ms(3)},
               .unit = "ms",
               .digits = 1},
              {.what = "trained on as much (extrapolated), Fast R-CNN takes less time than R-CNN",
               .source = "table 4, VGG16",
               .paper = "84 against 9.5 h, 8.8 times",
               .effect = Effect::ratio,
               .size = 8.8,
               .larger = {equal_training_s(systems[0], rcnn_amount)},
               .smaller = {systems[3].runs.front().value("seconds")},
               .unit = "s",
               .digits = 0},
              {.what = "and less than SPPnet with five scales (extrapolated)",
               .source = "table 4, VGG16",
               .paper = "25 against 9.5 h, 2.7 times",
               .effect = Effect::ratio,
               .size = 25 / 9.5,
               .larger = {equal_training_s(systems[2], five_amount)},
               .smaller = {systems[3].runs.front().value("seconds")},
               .unit = "s",
               .digits = 0},
              {.what = "Fast R-CNN is better than R-CNN (which had a fifth of its steps)",
               .source = "table 4, VGG16",
               .paper = "66.9 against 66.0 mAP",
               .size = .009,
               .larger = ap(3),
               .smaller = ap(0)},
              {.what = "and better than SPPnet with five scales (which had fewer steps)",
               .source = "table 4, VGG16",
               .paper = "66.9 against 63.1 mAP",
               .size = .038,
               .larger = ap(3),
               .smaller = ap(2)},
              {.what = "proposals of its own take Faster R-CNN's time, not more",
               .source = "Faster R-CNN, table 5, VGG16",
               .paper = "1830 against 198 ms, 9 times",
               .effect = Effect::ratio,
               .size = 9.2,
               .larger = {whole_ms(3)},
               .smaller = {whole_ms(4)},
               .unit = "ms",
               .digits = 1},
              {.what = "a single stage is faster: SSD",
               .source = "SSD, table 7, VGG16",
               .paper = "143 against 22 ms, 6.6 times",
               .effect = Effect::ratio,
               .size = 6.6,
               .larger = {whole_ms(4)},
               .smaller = {whole_ms(5)},
               .unit = "ms",
               .digits = 1},
              {.what = "a single stage is faster: RetinaNet",
               .source = "Focal loss, section 5.2, ResNet-101 at equal AP",
               .paper = "172 against 122 ms, 1.4 times",
               .effect = Effect::ratio,
               .size = 172. / 122,
               .larger = {whole_ms(4)},
               .smaller = {whole_ms(6)},
               .unit = "ms",
               .digits = 1},
              {.what = "SSD is as good, on as many images",
               .source = "SSD, table 7, VGG16, 300 px",
               .paper = "74.3 against 73.2 mAP",
               .size = .011,
               .larger = ap(5),
               .smaller = ap(4)},
              {.what = "focal loss and a pyramid make it better (RetinaNet by AdamW, SSD by SGD)",
               .source = "Focal loss, table 2, COCO",
               .paper = "39.1 against 31.2 AP (SSD513), ResNet-101",
               .size = .079,
               .larger = ap(6),
               .smaller = ap(5)}});
}

}  // namespace boxgrad::reproduce
