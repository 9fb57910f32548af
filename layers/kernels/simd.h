#pragma once

#include <cstdint>
#include <cstring>

#include "core/scalar.h"

/// Numbers side by side in one register, by the vector extension that gcc and clang share:
/// ordinary arithmetic operators, no intrinsics. As long as the CPU's registers: longer ones would
/// be taken apart by the compiler, which gcc 12 does by way of memory, 100 times slower.
namespace boxgrad {

inline constexpr std::int64_t kLanes = kRegisterBytes / sizeof(Scalar);

/// kLanes Scalars; always passed by reference.
using Vec = Scalar __attribute__((vector_size(kRegisterBytes)));

/// How many Scalars a V holds: kernels are written once and instantiated for Vec and, for the
/// channels that are left over, for Scalar.
template <class V>
inline constexpr std::int64_t kWidth = sizeof(V) / sizeof(Scalar);

template <class V>
inline void load(V& value, const Scalar* from) {
  std::memcpy(&value, from, sizeof(V));  // one unaligned load
}

template <class V>
inline void store(Scalar* to, const V& value) {
  std::memcpy(to, &value, sizeof(V));
}

/// Whole numbers as wide as Scalars, one per lane of V: what comparing two Vs gives.
template <class V>
struct Lanes {
  using Index = decltype(V{} < V{});
};
template <>
struct Lanes<Scalar> {
  using Index = int;
};
template <class V>
using Index = typename Lanes<V>::Index;

/// Indices in memory take fewer bytes than in registers: I is a narrower whole number. -1 becomes
/// the largest number of an unsigned I.
template <class I>
struct Narrow {
  typedef I Index __attribute__((vector_size(kLanes * sizeof(I))));
};

template <class I>
inline void store_index(I* to, const Index<Vec>& index) {
  const auto narrow = __builtin_convertvector(index, typename Narrow<I>::Index);
  std::memcpy(to, &narrow, sizeof(narrow));
}
template <class I>
inline void store_index(I* to, const int& index) {
  *to = static_cast<I>(index);
}

template <class I>
inline void load_index(Index<Vec>& index, const I* from) {
  typename Narrow<I>::Index narrow;
  std::memcpy(&narrow, from, sizeof(narrow));
  index = __builtin_convertvector(narrow, Index<Vec>);
}
template <class I>
inline void load_index(int& index, const I* from) {
  index = static_cast<int>(*from);
}

/// Calls body.template operator()<V, n>(c) for blocks of `kVectors` registers, V = Vec and n =
/// kVectors, then for single registers, n = 1, then for each of the numbers left over, V = Scalar.
template <int kVectors, class Body>
inline void for_each_block(std::int64_t count, Body&& body) {
  std::int64_t c = 0;
  for (; c + kVectors * kLanes <= count; c += kVectors * kLanes)
    body.template operator()<Vec, kVectors>(c);
  if constexpr (kVectors > 1)
    for (; c + kLanes <= count; c += kLanes) body.template operator()<Vec, 1>(c);
  for (; c < count; ++c) body.template operator()<Scalar, 1>(c);
}

/// Calls body.template operator()<V>(c) for c = 0, kLanes, 2 kLanes, ... with V = Vec, then for
/// each of the last count % kLanes with V = Scalar.
template <class Body>
inline void for_each_vector(std::int64_t count, Body&& body) {
  std::int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) body.template operator()<Vec>(c);
  for (; c < count; ++c) body.template operator()<Scalar>(c);
}

}  // namespace boxgrad
