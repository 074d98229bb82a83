// Elementwise work as data: a short straight-line program over registers, run element by element (backends
// run it tile by tile). Registers 0 .. inputs-1 hold the operands, broadcast to the output; instruction i
// writes register inputs+i; the last instruction's register is the result. Conv and MatMul steps carry one as
// their epilogue, with operand 0 = the accumulator.
#pragma once

#include <mts/graph.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts::exec {

enum class ElementOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kMax,
  kMin,
  kPrelu,  // two operands
  kRelu,
  kLeakyRelu,
  kElu,
  kSigmoid,
  kTanh,
  kExp,
  kLog,
  kSqrt,
  kReciprocal,
  kAbs,
  kNeg,
  kErf,
  kClip,
  kHardSigmoid,
  kHardSwish,
  kGeluErf,
  kGeluTanh,
  kSilu,
  kSoftplus,
  kSquare,
  kFloor,
  kCeil,
  kLinear,  // one; kLinear: alpha x + beta
};
constexpr bool is_binary(ElementOp op) { return op <= ElementOp::kPrelu; }
std::string_view name_of(ElementOp op);

struct Instruction {
  ElementOp op;
  int16_t a = 0, b = -1;          // registers
  float alpha = 0.f, beta = 0.f;  // slope, bounds, ... (see instruction_of)
};

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
