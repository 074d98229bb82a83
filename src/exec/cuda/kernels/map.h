// Element by element over any element types: casts, comparisons, logic, integer arithmetic, Where, and the
// functions that elementwise programs do not have. Slower than those: one operation a launch, types looked up
// as it runs.
#pragma once

#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/scalar_type.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

enum class MapOp : uint8_t {
  // One operand.
  kCast,
  kNot,
  kBitwiseNot,
  kNeg,
  kAbs,
  kSign,
  kRelu,
  kSqrt,
  kExp,
  kLog,
  kSin,
  kCos,
  kRound,  // half to even
  kFloor,
  kCeil,
  kTanh,
  kSigmoid,
  kErf,
  kReciprocal,
  kIsNaN,
  kIsInf,  // alpha, beta: whether +infinity, -infinity count
  kSoftsign,
  kMish,
  kSelu,             // alpha, beta: gamma
  kCelu,             // alpha
  kThresholdedRelu,  // alpha
  // Two.
  kAdd,
  kSub,
  kMul,
  kDiv,  // integers: towards zero, 0 for a division by 0
  kPow,  // floats
  kMax,
  kMin,
  kMod,   // sign of the divisor; 0 for a division by 0
  kFmod,  // sign of the dividend
  kAnd,
  kOr,
  kXor,
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kBitwiseAnd,
  kBitwiseOr,
  kBitwiseXor,
  kShiftLeft,
  kShiftRight,
  // Three: condition, then, else.
  kWhere,
  // Three: x, scale, zero point.
  kQuantize,    // round(x / scale) + zero point, half to even; saturates
  kDequantize,  // (x - zero point) * scale
};
constexpr int operands_of(MapOp op) { return op < MapOp::kAdd ? 1 : (op < MapOp::kWhere ? 2 : 3); }

struct MapArgs {
  MapOp op = MapOp::kCast;
  int32_t operands = 1;                        // kQuantize and kDequantize: 2 for a zero point of 0
  Arithmetic arithmetic = Arithmetic::kFloat;  // of the operands, the condition apart
  ScalarType types[3] = {};                    // of the operands
  ScalarType output_type = ScalarType::kFloat32;
  float alpha = 0.f, beta = 0.f;
  Nest<4> nest;  // operand 0: the output, 1..: the operands; in elements
  const void* inputs[3] = {};
  void* output = nullptr;
};
LaunchError launch_map(const MapArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
