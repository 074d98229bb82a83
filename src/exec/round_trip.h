// QuantizeLinear and DequantizeLinear in a row, as quantised exports have them between float operators:
//
//   x -> QuantizeLinear (s, z) -> DequantizeLinear (s, z) -> y    is    y = clip(round(x / s), low - z, high
//   - z) * s
//
// so that it can run as elementwise work behind the operator that makes x. Preconditions: one constant scale
// and zero point for the tensor, the same in both, 8- or 16-bit integers, float32 outside. Where x / s lies
// within rounding of a tie, y may be one quantum away from the two operators' (the quotient is a product
// here).
#pragma once

#include "exec/bind.h"
#include "exec/element_op.h"

#include <mts/graph.h>

#include <array>
#include <optional>
#include <span>

namespace mts::exec {

struct RoundTrip {
  ValueId source;
  std::array<Instruction, 4> code;  // one operand each, in this order
};

// Of a DequantizeLinear.
std::optional<RoundTrip> round_trip_of(const Graph& graph, std::span<const Fact> facts, const Node& node);

}  // namespace mts::exec
