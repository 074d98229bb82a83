// The operators of elementwise programs (program.h) and one instruction of them, apart so that device code
// can include them: nothing of the graph, nothing newer than C++17.
#pragma once

#include <cstdint>

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
  kRound,   // half to even
  kLinear,  // alpha x + beta
  kSelu,    // beta: gamma
  kCelu,    // alpha > 0
  kSoftsign,
  kMish,
  kSwish,  // x sigmoid(alpha x)
  kSin,
  kCos,
  kAtan,
  kSign,  // one; 0 for NaN
};
constexpr bool is_binary(ElementOp op) { return op <= ElementOp::kPrelu; }

struct Instruction {
  ElementOp op;
  int16_t a = 0, b = -1;          // registers
  float alpha = 0.f, beta = 0.f;  // slope, bounds, ... (see instruction_of)
};

}  // namespace mts::exec
