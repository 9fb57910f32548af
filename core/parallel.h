#pragma once

#include <cstdint>
#include <utility>

namespace boxgrad {

/// How many threads parallel_for uses, the calling one included. Starts as the environment
/// variable BOXGRAD_THREADS, else as the number of cores.
int num_threads();

/// Sets the number of threads; throws std::invalid_argument unless 1 <= n <= 256.
/// Results never depend on it: see parallel_for.
void set_num_threads(int n);

/// True inside the body of a parallel_for and under a SerialGuard: work started there stays on
/// its thread.
bool in_parallel_region();

/// While it lives, every parallel_for of this thread runs on this thread alone. A background
/// loader holds one so that it does not compete for the pool with the training step.
class SerialGuard {
 public:
  SerialGuard();
  ~SerialGuard();
  SerialGuard(const SerialGuard&) = delete;
  SerialGuard& operator=(const SerialGuard&) = delete;

 private:
  bool before_;
};

/// Makes the CPU of the calling thread treat denormal numbers as zero. A GEMM with denormal
/// inputs was measured 188 times slower; dying ReLUs and momentum do produce them. The pool's
/// threads and the main thread have it set; a thread of your own should call it first.
void set_flush_to_zero();

namespace detail {
using ChunkBody = void (*)(void* body, std::int64_t begin, std::int64_t end);
void run_chunks(std::int64_t n, std::int64_t grain, void* body, ChunkBody call);
}  // namespace detail

/// Calls body(begin, end) for consecutive chunks that cover [0, n), on all threads.
///
/// The chunks are [0, grain), [grain, 2 grain), ... whatever the number of threads, and a chunk is
/// never split: a body that writes only what belongs to its own chunk gives the same bits for any
/// number of threads. Which thread runs which chunk is not defined. A sum over chunks keeps one
/// partial result per chunk and adds them in order (parallel_sum).
///
/// The first exception thrown by a body stops the remaining chunks and is rethrown here. Calls
/// nested inside a body run serially.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  using B = std::remove_reference_t<Body>;
  detail::run_chunks(
      n, grain, const_cast<void*>(static_cast<const void*>(&body)),
      [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<B*>(b))(begin, end); });
}

}  // namespace boxgrad
