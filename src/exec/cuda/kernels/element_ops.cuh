// The arithmetic of elementwise programs on V neighbours at a time, and the loop that interprets a program.
// The interpreter branches on what all threads agree on; registers are picked by such branches, never by an
// index.
#pragma once

#include "exec/cuda/kernels/element_program.h"
#include "exec/cuda/kernels/number.h"

#include <cmath>

namespace mts::exec::cuda {

__device__ __forceinline__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }
__device__ __forceinline__ bool is_nan(float x) { return x != x; }
__device__ __forceinline__ float limit(float x, float low, float high) {
  return x < low ? low : (x > high ? high : x);
}

template <int V, class F>
__device__ __forceinline__ Vec<V> each(const Vec<V>& a, F f) {
  Vec<V> result;
#pragma unroll
  for (int i = 0; i < V; ++i) result.v[i] = f(a.v[i]);
  return result;
}
template <int V, class F>
__device__ __forceinline__ Vec<V> each(const Vec<V>& a, const Vec<V>& b, F f) {
  Vec<V> result;
#pragma unroll
  for (int i = 0; i < V; ++i) result.v[i] = f(a.v[i], b.v[i]);
  return result;
}

__device__ __forceinline__ float power(float x, float y) {
  if (y == 2.f) return x * x;
  if (y == 0.5f) return sqrtf(x);
  return powf(x, y);
}

// `b` is ignored by unary operators.
template <int V>
__device__ __forceinline__ Vec<V> apply(ElementOp op, const Vec<V>& a, const Vec<V>& b, float alpha,
                                        float beta) {
  switch (op) {
    case ElementOp::kAdd:
      return each(a, b, [](float x, float y) { return x + y; });
    case ElementOp::kSub:
      return each(a, b, [](float x, float y) { return x - y; });
    case ElementOp::kMul:
      return each(a, b, [](float x, float y) { return x * y; });
    case ElementOp::kDiv:
      return each(a, b, [](float x, float y) { return x / y; });
    case ElementOp::kPow:
      return each(a, b, [](float x, float y) { return power(x, y); });
    case ElementOp::kMax:
      return each(a, b, [](float x, float y) { return is_nan(x) || x > y ? x : y; });
    case ElementOp::kMin:
      return each(a, b, [](float x, float y) { return is_nan(x) || x < y ? x : y; });
    case ElementOp::kPrelu:
      return each(a, b, [](float x, float y) { return x < 0.f ? x * y : x; });
    case ElementOp::kRelu:
      return each(a, [](float x) { return x < 0.f ? 0.f : x; });
    case ElementOp::kLeakyRelu:
      return each(a, [=](float x) { return x < 0.f ? alpha * x : x; });
    case ElementOp::kElu:
      return each(a, [=](float x) { return x < 0.f ? alpha * expm1f(x) : x; });
    case ElementOp::kSigmoid:
      return each(a, [](float x) { return sigmoid(x); });
    case ElementOp::kTanh:
      return each(a, [](float x) { return tanhf(x); });
    case ElementOp::kExp:
      return each(a, [](float x) { return expf(x); });
    case ElementOp::kLog:
      return each(a, [](float x) { return logf(x); });
    case ElementOp::kSqrt:
      return each(a, [](float x) { return sqrtf(x); });
    case ElementOp::kReciprocal:
      return each(a, [](float x) { return 1.f / x; });
    case ElementOp::kAbs:
      return each(a, [](float x) { return fabsf(x); });
    case ElementOp::kNeg:
      return each(a, [](float x) { return -x; });
    case ElementOp::kErf:
      return each(a, [](float x) { return erff(x); });
    case ElementOp::kClip: {
      // A lower bound above the upper one gives the upper one, as in ONNX.
      const float bottom = alpha < beta ? alpha : beta;
      return each(a, [=](float x) { return x < alpha ? bottom : (x > beta ? beta : x); });
    }
    case ElementOp::kHardSigmoid:
      return each(a, [=](float x) { return limit(alpha * x + beta, 0.f, 1.f); });
    case ElementOp::kHardSwish:
      return each(a, [](float x) { return x * limit(x * (1.f / 6.f) + 0.5f, 0.f, 1.f); });
    case ElementOp::kGeluErf:
      return each(a, [](float x) { return 0.5f * x * (1.f + erff(x * 0.70710678f)); });
    case ElementOp::kGeluTanh:
      return each(
          a, [](float x) { return 0.5f * x * (1.f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x))); });
    case ElementOp::kSilu:
      return each(a, [](float x) { return x * sigmoid(x); });
    case ElementOp::kSoftplus:
      return each(a, [](float x) { return x > 20.f ? x : log1pf(expf(x)); });
    case ElementOp::kSquare:
      return each(a, [](float x) { return x * x; });
    case ElementOp::kFloor:
      return each(a, [](float x) { return floorf(x); });
    case ElementOp::kCeil:
      return each(a, [](float x) { return ceilf(x); });
    case ElementOp::kRound:
      return each(a, [](float x) { return rintf(x); });
    case ElementOp::kLinear:
      return each(a, [=](float x) { return alpha * x + beta; });
    case ElementOp::kSelu:
      return each(a, [=](float x) { return beta * (x < 0.f ? alpha * expm1f(x) : x); });
    case ElementOp::kCelu:
      return each(a, [=](float x) { return x < 0.f ? alpha * expm1f(x / alpha) : x; });
    case ElementOp::kSoftsign:
      return each(a, [](float x) { return x / (1.f + fabsf(x)); });
    case ElementOp::kMish:
      return each(a, [](float x) { return x * tanhf(x > 20.f ? x : log1pf(expf(x))); });
    case ElementOp::kSwish:
      return each(a, [=](float x) { return x * sigmoid(alpha * x); });
    case ElementOp::kSin:
      return each(a, [](float x) { return sinf(x); });
    case ElementOp::kCos:
      return each(a, [](float x) { return cosf(x); });
    case ElementOp::kAtan:
      return each(a, [](float x) { return atanf(x); });
    case ElementOp::kSign:
      return each(a, [](float x) { return x > 0.f ? 1.f : (x < 0.f ? -1.f : 0.f); });
  }
  return a;
}

// Intermediate results that are used later than by the next instruction.
template <int V, int Count>
struct Temporaries {
  Vec<V> slot[Count == 0 ? 1 : Count];

  __device__ __forceinline__ Vec<V> get(int at) const {
    Vec<V> result = slot[0];
#pragma unroll
    for (int i = 1; i < Count; ++i) {
      if (at == i) result = slot[i];
    }
    return result;
  }
  __device__ __forceinline__ void set(int at, const Vec<V>& value) {
#pragma unroll
    for (int i = 0; i < Count; ++i) {
      if (at == i) slot[i] = value;
    }
  }
};

// `operand(k)` reads operand k. Count: how many temporaries the program may use.
template <int V, int Count, class Operand>
__device__ __forceinline__ Vec<V> run_program(const DeviceProgram& program, Vec<V> accumulator,
                                              const Operand& operand) {
  Temporaries<V, Count> temporaries;
  if (Count > 0) {
#pragma unroll
    for (int i = 0; i < Count; ++i) temporaries.slot[i] = splat<V>(0.f);
  }
  const auto source = [&](int which) {
    if (which == kAccumulator) return accumulator;
    if (Count > 0 && is_temporary(which)) return temporaries.get(which - kMaxOperands);
    return operand(which);
  };
#pragma unroll 1
  for (int i = 0; i < program.length; ++i) {
    const DeviceInstruction& instruction = program.code[i];
    const Vec<V> a = source(instruction.a);
    const Vec<V> b = is_binary(instruction.op) ? source(instruction.b) : a;
    accumulator = apply<V>(instruction.op, a, b, instruction.alpha, instruction.beta);
    if (Count > 0 && instruction.keep >= 0) temporaries.set(instruction.keep, accumulator);
  }
  return accumulator;
}

}  // namespace mts::exec::cuda
