#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/map.h"
#include "exec/cuda/kernels/scalar.cuh"

#include <cmath>

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;

// The same arithmetic for the three accumulators: functions of the standard library by type, integers
// wrapping.
__device__ __forceinline__ float add(float a, float b) { return a + b; }
__device__ __forceinline__ double add(double a, double b) { return a + b; }
__device__ __forceinline__ int64_t add(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
__device__ __forceinline__ float subtract(float a, float b) { return a - b; }
__device__ __forceinline__ double subtract(double a, double b) { return a - b; }
__device__ __forceinline__ int64_t subtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
__device__ __forceinline__ float multiply(float a, float b) { return a * b; }
__device__ __forceinline__ double multiply(double a, double b) { return a * b; }
__device__ __forceinline__ int64_t multiply(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
__device__ __forceinline__ float divide(float a, float b) { return a / b; }
__device__ __forceinline__ double divide(double a, double b) { return a / b; }
__device__ __forceinline__ int64_t divide(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? subtract(int64_t{0}, a) : a / b;
}

__device__ __forceinline__ float rest(float a, float b) { return fmodf(a, b); }
__device__ __forceinline__ double rest(double a, double b) { return fmod(a, b); }
__device__ __forceinline__ int64_t rest(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
template <class A>
__device__ __forceinline__ A modulo(A a, A b) {
  const A r = rest(a, b);
  return r != static_cast<A>(0) && (r < static_cast<A>(0)) != (b < static_cast<A>(0)) ? add(r, b) : r;
}

// Functions of one float.
__device__ __forceinline__ float function(MapOp op, float x, float alpha, float beta) {
  switch (op) {
    case MapOp::kSqrt:
      return sqrtf(x);
    case MapOp::kExp:
      return expf(x);
    case MapOp::kLog:
      return logf(x);
    case MapOp::kSin:
      return sinf(x);
    case MapOp::kCos:
      return cosf(x);
    case MapOp::kRound:
      return rintf(x);
    case MapOp::kFloor:
      return floorf(x);
    case MapOp::kCeil:
      return ceilf(x);
    case MapOp::kTanh:
      return tanhf(x);
    case MapOp::kSigmoid:
      return 1.f / (1.f + expf(-x));
    case MapOp::kErf:
      return erff(x);
    case MapOp::kSoftsign:
      return x / (1.f + fabsf(x));
    case MapOp::kMish:
      return x * tanhf(x > 20.f ? x : log1pf(expf(x)));
    case MapOp::kSelu:
      return beta * (x > 0.f ? x : alpha * expm1f(x));
    case MapOp::kCelu:
      return x > 0.f ? x : alpha * expm1f(x / alpha);
    default:
      return x > alpha ? x : 0.f;  // kThresholdedRelu
  }
}
__device__ __forceinline__ double function(MapOp op, double x, float alpha, float beta) {
  switch (op) {
    case MapOp::kSqrt:
      return sqrt(x);
    case MapOp::kExp:
      return exp(x);
    case MapOp::kLog:
      return log(x);
    case MapOp::kSin:
      return sin(x);
    case MapOp::kCos:
      return cos(x);
    case MapOp::kRound:
      return rint(x);
    case MapOp::kFloor:
      return floor(x);
    case MapOp::kCeil:
      return ceil(x);
    case MapOp::kTanh:
      return tanh(x);
    case MapOp::kSigmoid:
      return 1. / (1. + exp(-x));
    case MapOp::kErf:
      return erf(x);
    case MapOp::kSoftsign:
      return x / (1. + fabs(x));
    case MapOp::kMish:
      return x * tanh(x > 20. ? x : log1p(exp(x)));
    case MapOp::kSelu:
      return beta * (x > 0. ? x : alpha * expm1(x));
    case MapOp::kCelu:
      return x > 0. ? x : alpha * expm1(x / alpha);
    default:
      return x > alpha ? x : 0.;
  }
}
__device__ __forceinline__ int64_t function(MapOp, int64_t x, float, float) { return x; }  // rounding

__device__ __forceinline__ float power(float a, float b) { return powf(a, b); }
__device__ __forceinline__ double power(double a, double b) { return pow(a, b); }
__device__ __forceinline__ int64_t power(int64_t a, int64_t) { return a; }  // not offered

__device__ __forceinline__ int64_t bitwise(MapOp op, int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  switch (op) {
    case MapOp::kBitwiseNot:
      return ~a;
    case MapOp::kBitwiseAnd:
      return a & b;
    case MapOp::kBitwiseOr:
      return a | b;
    case MapOp::kBitwiseXor:
      return a ^ b;
    case MapOp::kShiftLeft:
      return static_cast<int64_t>(y < 64 ? x << y : 0);
    default:
      return static_cast<int64_t>(y < 64 ? x >> y : 0);
  }
}
template <class A>
__device__ __forceinline__ A bitwise(MapOp, A a, A) {
  return a;  // not offered
}

// The result as the operands' arithmetic, or as 0 and 1.
template <class A>
__device__ __forceinline__ A evaluate(const MapArgs& args, A a, A b) {
  const A zero = static_cast<A>(0), one = static_cast<A>(1);
  const auto truth = [&](bool x) { return x ? one : zero; };
  switch (args.op) {
    case MapOp::kCast:
      return a;
    case MapOp::kNot:
      return truth(a == zero);
    case MapOp::kNeg:
      return multiply(a, static_cast<A>(-1));
    case MapOp::kAbs:
      return a < zero ? multiply(a, static_cast<A>(-1)) : (a == zero ? zero : a);
    case MapOp::kSign:
      return a > zero ? one : (a < zero ? static_cast<A>(-1) : zero);
    case MapOp::kRelu:
      return a < zero ? zero : a;
    case MapOp::kReciprocal:
      return divide(one, a);
    case MapOp::kIsNaN:
      return truth(a != a);
    case MapOp::kIsInf: {
      const A infinity = static_cast<A>(float_of_bits(0x7f800000u));
      return truth((args.alpha != 0.f && a == infinity) || (args.beta != 0.f && a == -infinity));
    }
    case MapOp::kAdd:
      return add(a, b);
    case MapOp::kSub:
      return subtract(a, b);
    case MapOp::kMul:
      return multiply(a, b);
    case MapOp::kDiv:
      return divide(a, b);
    case MapOp::kPow:
      return power(a, b);
    case MapOp::kMax:
      return a != a || a > b ? a : b;
    case MapOp::kMin:
      return a != a || a < b ? a : b;
    case MapOp::kMod:
      return modulo(a, b);
    case MapOp::kFmod:
      return rest(a, b);
    case MapOp::kAnd:
      return truth(a != zero && b != zero);
    case MapOp::kOr:
      return truth(a != zero || b != zero);
    case MapOp::kXor:
      return truth((a != zero) != (b != zero));
    case MapOp::kEqual:
      return truth(a == b);
    case MapOp::kLess:
      return truth(a < b);
    case MapOp::kLessOrEqual:
      return truth(a <= b);
    case MapOp::kGreater:
      return truth(a > b);
    case MapOp::kGreaterOrEqual:
      return truth(a >= b);
    case MapOp::kBitwiseNot:
    case MapOp::kBitwiseAnd:
    case MapOp::kBitwiseOr:
    case MapOp::kBitwiseXor:
    case MapOp::kShiftLeft:
    case MapOp::kShiftRight:
      return bitwise(args.op, a, b);
    default:
      return function(args.op, a, args.alpha, args.beta);
  }
}

template <class A>
__global__ void __launch_bounds__(kThreads) map(const __grid_constant__ MapArgs args) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.nest.count) return;
  int64_t at[4];
  args.nest.offsets(i, at);
  if (args.op == MapOp::kWhere) {
    const bool then = static_cast<const uint8_t*>(args.inputs[0])[at[1]] != 0;
    const int which = then ? 1 : 2;
    write_scalar(args.output, at[0], args.output_type,
                 read_scalar<A>(args.inputs[which], then ? at[2] : at[3], args.types[which]));
    return;
  }
  const A a = read_scalar<A>(args.inputs[0], at[1], args.types[0]);
  if (args.op > MapOp::kWhere) {
    const A scale = read_scalar<A>(args.inputs[1], at[2], args.types[1]);
    const A zero =
        args.operands > 2 ? read_scalar<A>(args.inputs[2], at[3], args.types[2]) : static_cast<A>(0);
    const A result = args.op == MapOp::kQuantize
                         ? add(function(MapOp::kRound, divide(a, scale), 0.f, 0.f), zero)
                         : multiply(subtract(a, zero), scale);
    write_scalar(args.output, at[0], args.output_type, result);
    return;
  }
  const A b = args.operands > 1 ? read_scalar<A>(args.inputs[1], at[2], args.types[1]) : a;
  write_scalar(args.output, at[0], args.output_type, evaluate(args, a, b));
}

}  // namespace

LaunchError launch_map(const MapArgs& args, StreamHandle stream) {
  if (args.nest.count == 0) return nullptr;
  const LaunchShape shape{{ceil_div(args.nest.count, kThreads)}, {kThreads}};
  switch (args.arithmetic) {
    case Arithmetic::kFloat:
      return launch(map<float>, shape, stream, args);
    case Arithmetic::kDouble:
      return launch(map<double>, shape, stream, args);
    default:
      return launch(map<int64_t>, shape, stream, args);
  }
}

}  // namespace mts::exec::cuda
