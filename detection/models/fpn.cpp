#include "detection/models/fpn.h"

#include <cmath>

#include "core/autograd.h"
#include "core/check.h"
#include "core/ops.h"
#include "layers/activation.h"
#include "layers/conv.h"
#include "layers/init.h"
#include "layers/upsample.h"

namespace boxgrad::detection {

namespace {

/// Uniform with variance 1 / fan_in, as torchvision's pyramid starts: sums of several maps do not
/// grow as they would with He's.
std::shared_ptr<nn::Conv2d> pyramid_conv(std::int64_t in, std::int64_t out, std::int64_t kernel,
                                         std::int64_t stride) {
  auto conv = std::make_shared<nn::Conv2d>(
      in, out, kernel, Conv2dOptions{.stride = stride, .padding = (kernel - 1) / 2});
  const double bound = std::sqrt(3. / static_cast<double>(in * kernel * kernel));
  nn::init::uniform(conv->weight, -bound, bound);
  nn::init::constant(conv->bias, 0);
  return conv;
}

}  // namespace

Fpn::Fpn(std::shared_ptr<Backbone> body, const FpnOptions& options) : options_(options) {
  check(body != nullptr, "Fpn: the backbone is null");
  check(options.channels >= 1 && options.extra_levels >= 0,
        "Fpn: channels must be >= 1 and extra_levels >= 0, got ", options.channels, " and ",
        options.extra_levels);
  const std::vector<std::int64_t> in = body->channels();
  body_ = add_module("body", std::move(body));
  for (std::size_t k = 0; k < in.size(); ++k)
    laterals_.push_back(
        add_module(concat("lateral", k + 1), pyramid_conv(in[k], options.channels, 1, 1)));
  for (std::size_t k = 0; options.smooth && k < in.size(); ++k)
    smooths_.push_back(add_module(concat("smooth", k + 1),
                                  pyramid_conv(options.channels, options.channels, 3, 1)));
  for (std::int64_t k = 0; k < options.extra_levels; ++k)
    extras_.push_back(
        add_module(concat("extra", k + 1),
                   pyramid_conv(k == 0 ? in.back() : options.channels, options.channels, 3, 2)));
}

std::vector<std::int64_t> Fpn::channels() const {
  return std::vector<std::int64_t>(laterals_.size() + extras_.size(), options_.channels);
}

std::vector<Tensor> Fpn::maps(const Tensor& images) {
  std::vector<Tensor> maps;
  {
    const ModuleScope scope("body");
    maps = body_.as<Backbone>().maps(images);
  }
  return pyramid(maps);
}

std::vector<Tensor> Fpn::pyramid(const std::vector<Tensor>& maps) const {
  check(maps.size() == laterals_.size(), "Fpn: expected ", laterals_.size(), " maps, got ",
        maps.size());
  std::vector<Tensor> result(maps.size());
  Tensor above;
  for (std::size_t k = maps.size(); k-- > 0;) {
    Tensor merged = laterals_[k](maps[k]);
    if (above.defined()) merged = merged + upsample_nearest(above, merged.size(1), merged.size(2));
    above = merged;
    result[k] = smooths_.empty() ? merged : smooths_[k](merged);
  }
  Tensor next = maps.back();
  for (std::size_t k = 0; k < extras_.size(); ++k) {
    next = extras_[k](k == 0 ? next : relu(next));
    result.push_back(next);
  }
  return result;
}

}  // namespace boxgrad::detection
