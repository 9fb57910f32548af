#include "core/random.h"

#include <cmath>
#include <numbers>

#include "core/check.h"

namespace boxgrad {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  // Each round multiplies two words by constants, crosses the halves of the products and mixes in
  // the key; the key walks by the golden ratio and sqrt(3) - 1.
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

std::uint32_t Random::next_u32() {
  const std::uint64_t block = counter_ / 4, word = counter_ % 4;
  if (word == 0 || !words_valid_) {
    words_ =
        philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                    static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                   {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    words_valid_ = true;
  }
  ++counter_;
  return words_[word];
}

double Random::uniform() {
  const std::uint64_t high = next_u32() >> 5, low = next_u32() >> 6;  // 27 + 26 = 53 bits
  return static_cast<double>((high << 26) | low) * 0x1p-53;
}

double Random::uniform(double low, double high) { return low + (high - low) * uniform(); }

std::int64_t Random::below(std::int64_t n) {
  check(n > 0, "Random::below: n must be > 0, got ", n);
  // Reject the last, incomplete run of n values so that each result is equally likely.
  const std::uint64_t range = static_cast<std::uint64_t>(n);
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % range;
  while (true) {
    const std::uint64_t high = next_u32(), low = next_u32();
    const std::uint64_t bits = (high << 32) | low;
    if (bits < limit) return static_cast<std::int64_t>(bits % range);
  }
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u is never 0
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> Random::permutation(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  for (std::int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(below(i + 1))]);
  return order;
}

Random& default_random() {
  static Random random;
  return random;
}

void manual_seed(std::uint64_t seed) { default_random() = Random(seed); }

}  // namespace boxgrad
