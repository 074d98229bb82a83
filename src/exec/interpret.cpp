#include "exec/interpret.h"

#include <algorithm>
#include <cmath>

namespace mts::exec {

float apply(const Instruction& instruction, float a, float b) {
  const float alpha = instruction.alpha, beta = instruction.beta;
  const auto sigmoid = [](float x) { return 1.f / (1.f + std::exp(-x)); };
  switch (instruction.op) {
    case ElementOp::kAdd:
      return a + b;
    case ElementOp::kSub:
      return a - b;
    case ElementOp::kMul:
      return a * b;
    case ElementOp::kDiv:
      return a / b;
    case ElementOp::kPow:
      return std::pow(a, b);
    case ElementOp::kMax:
      return std::isnan(a) || a > b ? a : b;
    case ElementOp::kMin:
      return std::isnan(a) || a < b ? a : b;
    case ElementOp::kPrelu:
      return a < 0.f ? a * b : a;
    case ElementOp::kRelu:
      return a < 0.f ? 0.f : a;
    case ElementOp::kLeakyRelu:
      return a < 0.f ? alpha * a : a;
    case ElementOp::kElu:
      return a < 0.f ? alpha * std::expm1(a) : a;
    case ElementOp::kSigmoid:
      return sigmoid(a);
    case ElementOp::kTanh:
      return std::tanh(a);
    case ElementOp::kExp:
      return std::exp(a);
    case ElementOp::kLog:
      return std::log(a);
    case ElementOp::kSqrt:
      return std::sqrt(a);
    case ElementOp::kReciprocal:
      return 1.f / a;
    case ElementOp::kAbs:
      return std::abs(a);
    case ElementOp::kNeg:
      return -a;
    case ElementOp::kErf:
      return std::erf(a);
    // A lower bound above the upper one gives the upper one, as in ONNX.
    case ElementOp::kClip:
      return a < alpha ? std::min(alpha, beta) : a > beta ? beta : a;
    case ElementOp::kHardSigmoid:
      return std::clamp(alpha * a + beta, 0.f, 1.f);
    case ElementOp::kHardSwish:
      return a * std::clamp(a / 6.f + 0.5f, 0.f, 1.f);
    case ElementOp::kGeluErf:
      return 0.5f * a * (1.f + std::erf(a * 0.70710678f));
    case ElementOp::kGeluTanh:
      return 0.5f * a * (1.f + std::tanh(0.7978845608f * (a + 0.044715f * a * a * a)));
    case ElementOp::kSilu:
      return a * sigmoid(a);
    case ElementOp::kSoftplus:
      return a > 20.f ? a : std::log1p(std::exp(a));
    case ElementOp::kSquare:
      return a * a;
    case ElementOp::kFloor:
      return std::floor(a);
    case ElementOp::kCeil:
      return std::ceil(a);
    case ElementOp::kRound:
      return std::nearbyint(a);  // the rounding mode is never changed
    case ElementOp::kLinear:
      return alpha * a + beta;
    case ElementOp::kSelu:
      return beta * (a < 0.f ? alpha * std::expm1(a) : a);
    case ElementOp::kCelu:
      return a < 0.f ? alpha * std::expm1(a / alpha) : a;
    case ElementOp::kSoftsign:
      return a / (1.f + std::abs(a));
    case ElementOp::kMish:
      return a * std::tanh(a > 20.f ? a : std::log1p(std::exp(a)));
    case ElementOp::kSwish:
      return a * sigmoid(alpha * a);
    case ElementOp::kSin:
      return std::sin(a);
    case ElementOp::kCos:
      return std::cos(a);
    case ElementOp::kAtan:
      return std::atan(a);
    case ElementOp::kSign:
      return a > 0.f ? 1.f : (a < 0.f ? -1.f : 0.f);
  }
  return a;
}

}  // namespace mts::exec
