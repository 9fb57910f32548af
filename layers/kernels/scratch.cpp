#include "layers/kernels/scratch.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace boxgrad {

namespace {

using Block = std::pair<std::int64_t, std::unique_ptr<Buffer>>;  // capacity, memory

constexpr std::size_t kMaxBlocks = 8;
constexpr std::int64_t kLargestKept = (std::int64_t{64} << 20) / sizeof(Scalar);

std::vector<Block>& stock() {
  thread_local std::vector<Block> blocks = [] {
    std::vector<Block> none;
    none.reserve(kMaxBlocks);  // so that ~Scratch never allocates
    return none;
  }();
  return blocks;
}

}  // namespace

Scratch::Scratch(std::int64_t size) : capacity_(std::max<std::int64_t>(size, 1)) {
  // The smallest block that is large enough, if there is one.
  std::vector<Block>& blocks = stock();
  auto best = blocks.end();
  for (auto block = blocks.begin(); block != blocks.end(); ++block)
    if (block->first >= capacity_ && (best == blocks.end() || block->first < best->first))
      best = block;
  if (best != blocks.end()) {
    capacity_ = best->first;
    buffer_ = std::move(best->second);
    blocks.erase(best);
  } else {
    buffer_ = std::make_unique<Buffer>(capacity_, Buffer::Fill::none, Buffer::Use::scratch);
  }
}

Scratch::~Scratch() {
  if (capacity_ > kLargestKept) return;
  // A full stock gives up its smallest block: a larger one can stand in for it.
  std::vector<Block>& blocks = stock();
  if (blocks.size() == kMaxBlocks)
    blocks.erase(std::min_element(blocks.begin(), blocks.end(),
                                  [](const auto& a, const auto& b) { return a.first < b.first; }));
  blocks.emplace_back(capacity_, std::move(buffer_));
}

}  // namespace boxgrad
