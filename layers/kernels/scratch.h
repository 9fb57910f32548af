#pragma once

#include <cstdint>
#include <memory>

#include "core/scalar.h"
#include "core/tensor.h"

namespace boxgrad {

/// Working memory of a kernel: `size` uninitialised numbers, aligned to 64 bytes, for as long as
/// the object lives. Returned to a small stock of the *calling thread* afterwards, so that a
/// kernel that runs again and again neither allocates nor touches fresh pages. Blocks above
/// 64 MiB are freed instead of kept, and a thread keeps at most eight of them.
class Scratch {
 public:
  explicit Scratch(std::int64_t size);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  Scalar* data() { return buffer_->data(); }

 private:
  std::int64_t capacity_;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace boxgrad
