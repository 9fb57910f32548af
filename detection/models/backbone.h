#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad::detection {

/// A network that turns images [N, H, W, 3] into feature maps of several strides.
class Backbone : public nn::Module {
 public:
  /// The maps, finest first: [N, H_k, W_k, channels()[k]].
  virtual std::vector<Tensor> maps(const Tensor& images) = 0;
  virtual std::vector<std::int64_t> channels() const = 0;
  /// The last map.
  Tensor forward(const Tensor& images) override { return maps(images).back(); }
};

/// A backbone that is a chain of layers with names, the outputs of some of which are its maps:
///
///   Vgg16 trunk({.outputs = {"conv4_3", "conv5_3"}});
///   trunk.maps(images)   // [N, H / 8, W / 8, 512] and [N, H / 16, W / 16, 512]
///
/// The network ends at the last layer asked for: what would come behind it is not built.
class ChainBackbone : public Backbone {
 public:
  std::vector<Tensor> maps(const Tensor& images) override;
  std::vector<std::int64_t> channels() const override { return channels_; }
  /// The layers whose outputs are the maps, in the order of maps().
  const std::vector<std::string>& map_names() const { return names_; }

  /// Keeps the layers up to and with `layer` as they are while the others learn: their parameters
  /// get no gradient, and batch norm keeps its statistics. Fast R-CNN (section 4.5) does so up to
  /// "conv2_2" of VGG16. Throws std::invalid_argument when there is no such layer.
  void freeze_through(const std::string& layer);

 protected:
  /// `outputs` are names of layers that will be appended, in any order.
  ChainBackbone(const char* model, std::vector<std::string> outputs);
  /// Whether all the outputs are there, so that no more layers are needed.
  bool complete() const { return names_.size() == wanted_.size(); }
  /// Adds a layer whose output has this many channels.
  void append(const std::string& name, std::shared_ptr<nn::Module> layer, std::int64_t channels);
  /// After the last append(): throws std::invalid_argument unless complete().
  void check_complete() const;

 private:
  bool is_output(const std::string& name) const;

  const char* model_;
  std::vector<std::string> wanted_, names_;
  std::vector<std::int64_t> channels_;
};

/// Channels times a width multiplier, rounded down, at least 1: MobileNet's alpha. Exact for
/// channels that are powers of two. Throws std::invalid_argument unless width > 0.
std::int64_t scaled_channels(std::int64_t channels, double width);

}  // namespace boxgrad::detection
