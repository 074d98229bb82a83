// Elementwise work as data: a short straight-line program over registers, run element by element (backends
// run it tile by tile). Registers 0 .. inputs-1 hold the operands, broadcast to the output; instruction i
// writes register inputs+i; the last instruction's register is the result. Conv and MatMul steps carry one as
// their epilogue, with operand 0 = the accumulator.
#pragma once

#include "exec/element_op.h"

#include <mts/graph.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts::exec {

std::string_view name_of(ElementOp op);

struct Program {
  int inputs = 0;
  std::vector<Instruction> code;

  int16_t result() const { return static_cast<int16_t>(inputs + static_cast<int>(code.size()) - 1); }
  std::string to_string() const;  // "add(r0,r1) relu(r2)"
};

// The float instruction of a node with registers not yet set, when it is one (`opset` of ai.onnx; bounds of
// Clip given as operands must be known and are passed in `bounds`). Operands follow the node's inputs, except
// for Clip.
std::optional<Instruction> instruction_of(const Node& node, std::span<const std::optional<float>> bounds);

}  // namespace mts::exec
