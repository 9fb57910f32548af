// Times boxgrad's layers and whole networks one by one; `--list` names them. The item names, shapes
// and meaning are those of a PyTorch program that prints the same CSV, so that the two can be put
// side by side.

#include <regex>

#include "core/check.h"
#include "core/program.h"
#include "layers/conv.h"
#include "tests/bench/bench.h"
#include "tests/bench/detection_items.h"
#include "tests/bench/linear_items.h"
#include "tests/bench/map_items.h"
#include "tests/bench/network_items.h"
#include "tests/bench/profile_items.h"

using namespace boxgrad;
using bench::Item;
using bench::parameter;
using bench::Work;

namespace {

/// A square convolution with padding kernel / 2. The first layer of a network needs no gradient
/// of its input.
Work conv(std::int64_t batch, std::int64_t h, std::int64_t w, std::int64_t in, std::int64_t out,
          std::int64_t kernel, std::int64_t stride, std::int64_t groups, bool bias,
          bool first = false) {
  const Conv2dOptions options{.stride = stride, .padding = kernel / 2, .groups = groups};
  std::vector<Tensor> inputs = {Tensor::randn({batch, h, w, in}).requires_grad_(!first),
                                parameter({kernel, kernel, in / groups, out})};
  if (bias) inputs.push_back(parameter({out}));
  return bench::layer(std::move(inputs), [options](const std::vector<Tensor>& in) {
    return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), options);
  });
}

void add_vgg16(std::vector<Item>& items) {
  struct Layer {
    const char* name;
    int in, out, halvings;  // how often the map was pooled before
  };
  const std::vector<Layer> layers = {
      {"1_1", 3, 64, 0},    {"1_2", 64, 64, 0},   {"2_1", 64, 128, 1},
      {"2_2", 128, 128, 1}, {"3_1", 128, 256, 2}, {"3_2", 256, 256, 2},
      {"4_1", 256, 512, 3}, {"4_2", 512, 512, 3}, {"5_1", 512, 512, 4}};
  struct Input {
    const char* name;
    int batch, h, w;
  };
  for (const Input& input : {Input{"b1_600x800", 1, 600, 800}, Input{"b2_600x800", 2, 600, 800},
                             Input{"b8_224", 8, 224, 224}})
    for (const Layer& l : layers)
      items.push_back({concat("vgg_conv", l.name, "_", input.name), [=] {
                         return conv(input.batch, input.h >> l.halvings, input.w >> l.halvings,
                                     l.in, l.out, 3, 1, 1, true, l.in == 3);
                       }});
}

/// Convolutions of CaffeNet (227 px) and VGG_CNN_M_1024 (224 px) that no other network has, and
/// heads of detectors, with their few outputs.
void add_unusual_filters(std::vector<Item>& items) {
  struct Layer {
    int kernel, stride, groups, in, out, side;
  };
  for (const Layer& l :
       {Layer{11, 4, 1, 3, 96, 227}, Layer{5, 1, 2, 96, 256, 27}, Layer{3, 1, 2, 384, 384, 13},
        Layer{7, 2, 1, 3, 96, 224}, Layer{5, 2, 1, 96, 256, 54}, Layer{3, 1, 1, 512, 12, 38},
        Layer{3, 1, 1, 1024, 8, 10}})
    items.push_back({concat("conv", l.kernel, "_s", l.stride, "_g", l.groups, "_", l.in, "-", l.out,
                            "_", l.side, "_b8"),
                     [=] {
                       return conv(8, l.side, l.side, l.in, l.out, l.kernel, l.stride, l.groups,
                                   true, l.in == 3);
                     }});
}

void add_mobilenet(std::vector<Item>& items) {
  struct Block {  // depthwise 3x3, then pointwise in -> out
    int in, out, stride;
  };
  const std::vector<Block> blocks = {{32, 64, 1},   {64, 128, 2},   {128, 128, 1},
                                     {128, 256, 2}, {256, 256, 1},  {256, 512, 2},
                                     {512, 512, 1}, {512, 1024, 2}, {1024, 1024, 1}};
  for (const auto& [size, batch] : {std::pair{224, 8}, {224, 1}, {300, 8}, {300, 1}}) {
    const int b = batch, first_size = size;  // clang 14 cannot capture structured bindings
    items.push_back({concat("mb_conv0_3x3s2_b", b, "_", first_size),
                     [=] { return conv(b, first_size, first_size, 3, 32, 3, 2, 1, false, true); }});
    int h = (first_size + 1) / 2;
    for (const Block& k : blocks) {
      const int in_h = h, out_h = (h - 1) / k.stride + 1;
      items.push_back({concat("mb_dw", k.in, "_s", k.stride, "_", in_h, "_b", b),
                       [=] { return conv(b, in_h, in_h, k.in, k.in, 3, k.stride, k.in, false); }});
      items.push_back({concat("mb_pw", k.in, "-", k.out, "_", out_h, "_b", b),
                       [=] { return conv(b, out_h, out_h, k.in, k.out, 1, 1, 1, false); }});
      h = out_h;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Program program({.name = "layers_bench",
                   .about =
                       "Times layers and networks and prints name,threads,fwd_ms,fwdbwd_ms: the "
                       "minimum of at least 3 runs after a warm-up.",
                   .threads = false,
                   .quick = false,
                   .data_on_stdout = true});
  std::string only = ".";
  std::vector<int> threads = {1, 2};
  double budget = 1.5;
  bool list = false, table = false, profile = false, memory = false, explain = false;
  program.option("--only", only, "run the items whose name contains this regular expression");
  program.option("--threads", threads, "numbers of threads, with commas", 1, 256);
  program.option("--budget", budget, "seconds for each figure", 0);
  program.flag("--list", list, "print the names and stop");
  program.flag("--table", table, "print a table with percent of this machine's peaks, not CSV");
  program.flag("--profile", profile,
               "time each layer and pass of the items, with the last number of --threads; draw a "
               "roofline into --out");
  program.flag("--memory", memory, "peak memory of a step of the items, by layer");
  program.flag("--explain", explain, "which algorithm each convolution gets, and why");

  return program.run(argc, argv, [&] {
    std::vector<Item> items;
    add_vgg16(items);
    add_unusual_filters(items);
    add_mobilenet(items);
    bench::add_maps(items);
    bench::add_linear(items);
    bench::add_detection(items);
    bench::add_networks(items);

    std::regex pattern;
    try {
      pattern = std::regex(only);
    } catch (const std::regex_error& error) {
      check(false, "--only: not a regular expression: \"", only, "\" (", error.what(), ")");
    }
    std::erase_if(items, [&](const Item& item) { return !std::regex_search(item.name, pattern); });
    check(!items.empty(), "--only: no item's name contains \"", only, "\"; --list prints them");
    if (list) {
      for (const Item& item : items) std::printf("%s\n", item.name.c_str());
      return;
    }
    if (table) return bench::print_table(items, threads, budget);
    if (!profile && !memory && !explain) return bench::run_items(items, threads, budget);
    set_num_threads(threads.back());
    for (const Item& item : items) {
      if (explain) bench::print_explanation(item);
      if (profile) bench::print_profile(item, budget, program.out());
      if (memory) bench::print_memory(item, program.out());
    }
  });
}
