// Random inputs with which models can run: floats ~ N(0, 1), small non-negative integers within what the
// readers of the input can index, bytes over their whole range, short strings.
#pragma once

#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace mts::check {

// What the readers of an integer input allow.
struct Usage {
  std::optional<int64_t>
      below;  // an index: smallest axis (Gather, GatherElements, GatherND, OneHot, ...) it selects from
  bool size = false;  // a shape or a count: must not be 0
};
Usage usage_of(const Graph& graph, ValueId input);
Usage intersect(const Usage& a, const Usage& b);

struct Drawing {
  DType dtype = DType::kUndefined;
  Dims dims;
  Usage usage = {};
  std::optional<std::pair<double, double>> range = {};  // [low, high), given by the user
  double shift = 0;   // added to floats that have no range: reaches other branches
  bool mask = false;  // mostly ones, never all zeros in a row
};
// The same tensor for the same arguments on every platform. `stream` tells inputs apart.
Tensor draw(const Drawing& drawing, uint64_t seed, const std::string& stream);

}  // namespace mts::check
