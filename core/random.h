#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/scalar.h"

namespace boxgrad {

/// Philox 4x32-10: four random 32-bit words as a pure function of a 128-bit counter and a 64-bit
/// key (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// A stream of random numbers. Every number is a pure function of (seed, stream, counter), so
/// the order of threads cannot change a result, scene 4711 can be drawn without drawing the 4710
/// before it, and a checkpoint stores three integers.
///
///   Random random(seed, i);                       // the stream of sample i
///   if (random.uniform() < 0.5) flip(image);
class Random {
 public:
  explicit Random(std::uint64_t seed = 0, std::uint64_t stream = 0, std::uint64_t counter = 0)
      : seed_(seed), stream_(stream), counter_(counter) {}

  std::uint32_t next_u32();                 ///< 32 random bits
  double uniform();                         ///< in [0, 1), 53 random bits
  double uniform(double low, double high);  ///< in [low, high)
  std::int64_t below(std::int64_t n);       ///< in 0..n-1, unbiased; throws when n <= 0
  double normal();                          ///< mean 0, variance 1 (Box-Muller)
  bool bernoulli(double p) { return uniform() < p; }

  /// A random order of 0..n-1 (Fisher-Yates).
  std::vector<std::int64_t> permutation(std::int64_t n);

  std::uint64_t seed() const { return seed_; }
  std::uint64_t stream() const { return stream_; }
  std::uint64_t counter() const { return counter_; }  ///< how many 32-bit words were drawn

  friend bool operator==(const Random& a, const Random& b) {
    return a.seed_ == b.seed_ && a.stream_ == b.stream_ && a.counter_ == b.counter_;
  }

 private:
  std::uint64_t seed_, stream_, counter_;
  // The block of four words that `counter_` lies in, kept so that it is computed once: no state,
  // as it follows from the three integers.
  std::array<std::uint32_t, 4> words_{};
  bool words_valid_ = false;
};

/// The stream that initialisers and dropout draw from. A checkpoint saves and restores it by value.
Random& default_random();

/// Restarts default_random() at (seed, stream 0, counter 0).
void manual_seed(std::uint64_t seed);

}  // namespace boxgrad
