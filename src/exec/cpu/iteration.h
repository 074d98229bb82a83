// Loop nests over several strided operands, as few and as long loops as their memory order allows.
#pragma once

#include <mts/weight.h>

#include <cstdint>
#include <span>
#include <vector>

namespace mts::exec {

struct Axis {
  int64_t extent = 1;
  std::vector<int64_t> strides;  // elements, one an operand
};

// Row-major nest over `dims` with the given strides (one vector an operand, each as long as dims): axes of
// extent 1 are dropped and neighbours merged where every operand allows it. Never empty: a scalar gives one
// axis of extent 1.
std::vector<Axis> merge_axes(std::span<const int64_t> dims, std::span<const std::vector<int64_t>> strides);

// Walks the outer axes of a nest (all but the last), from the `begin`-th position on.
class OuterWalk {
 public:
  OuterWalk(std::span<const Axis> axes, int64_t begin);
  void next();
  int64_t offset(size_t operand) const { return offsets_[operand]; }

 private:
  std::span<const Axis> outer_;
  std::vector<int64_t> position_, offsets_;
};
int64_t outer_count(std::span<const Axis> axes);

}  // namespace mts::exec
