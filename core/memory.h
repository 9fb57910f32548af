#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/autograd.h"

/// How much memory the numbers of tensors take, and for which layer.
///
///   MemoryProfiler memory;
///   loss(model(images)).backward();
///   std::cout << memory.report().table();
///
/// What is counted are Buffers: values, gradients and the working memory of kernels, in the size
/// that is allocated. The code, images, the graph's nodes and index arrays (the winners of max
/// pooling) are not; nor is what the C library keeps of freed blocks, which is why a process shows
/// more.
namespace boxgrad {

/// Bytes of all Buffers that are alive, of all threads.
std::int64_t tensor_bytes();

/// What the process has in memory, in bytes: code, libraries, stacks, and blocks that malloc keeps.
/// 0 where the system does not say (there is no /proc/self/statm).
std::int64_t resident_bytes();

/// Gives back to the system what malloc keeps of freed blocks (with glibc; elsewhere nothing
/// happens). For the moment between two kinds of work, as training steps and looks at validation
/// photos, which would not fit into each other's blocks. What is allocated next pays page faults.
void release_free_memory();

/// What a MemoryProfiler saw. Sizes are in bytes.
struct MemoryReport {
  /// What was allocated while one module ran, forwards or backwards.
  struct Layer {
    std::string path;         ///< "" outside of any module
    std::int64_t kept = 0;    ///< values alive when backward() began: what forward left for it
    std::int64_t values = 0;  ///< alive at the peak
    std::int64_t gradients = 0;
    std::int64_t scratch = 0;
  };
  std::vector<Layer> layers;      ///< in the order of their first allocation
  std::int64_t before = 0;        ///< alive when the profiler began: parameters, images
  std::int64_t before_left = 0;   ///< of these, what was still alive at the peak
  std::int64_t peak = 0;          ///< most bytes alive at once, those from before included
  std::int64_t end = 0;           ///< alive at the time of the report
  std::string peak_path;          ///< the module whose allocation made the peak
  std::string peak_op;            ///< its op; "" when the peak is the beginning, or outside of ops
  bool peak_in_backward = false;  ///< in which pass
  std::vector<double> timeline;   ///< bytes alive at the start and after each allocation and free

  std::int64_t kept() const;  ///< the sum over the layers
  /// For people: the peak, then one line per layer.
  std::string table() const;
  /// Memory over the step, as SVG: it rises forwards and falls backwards.
  std::string chart(const std::string& title) const;
};

/// Watches every Buffer while it lives. Modules are known for the allocations of its own thread;
/// those of others (loaders, the pool's working memory) stand under "(other threads)". A kernel
/// keeps its working memory for the next call, so it appears where it was first needed.
/// When none lives, a Buffer costs one atomic addition.
class MemoryProfiler : public OpObserver {
 public:
  /// Throws std::logic_error when there is one already.
  MemoryProfiler();
  ~MemoryProfiler() override;

  MemoryReport report() const;

  void after_forward(const Op& op) override;
  void before_backward(const Op& op, const Tensor& dy) override;
  void after_backward(const Op& op, const Tensor& dy) override;
  void at_boundary(const char* work) override;

  struct Ledger;  ///< what the hooks below write to

 private:
  std::unique_ptr<Ledger> ledger_;
};

namespace detail {
void count_buffer(const void* buffer, std::int64_t bytes, Buffer::Use use);
void uncount_buffer(const void* buffer, std::int64_t bytes);
}  // namespace detail

}  // namespace boxgrad
