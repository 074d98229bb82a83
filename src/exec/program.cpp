#include "exec/program.h"

#include <algorithm>
#include <array>
#include <limits>

namespace mts::exec {
namespace {

constexpr std::array<std::string_view, 41> kNames = {
    "add",          "sub",        "mul",        "div",       "pow",     "max",      "min",
    "prelu",        "relu",       "leaky_relu", "elu",       "sigmoid", "tanh",     "exp",
    "log",          "sqrt",       "reciprocal", "abs",       "neg",     "erf",      "clip",
    "hard_sigmoid", "hard_swish", "gelu_erf",   "gelu_tanh", "silu",    "softplus", "square",
    "floor",        "ceil",       "round",      "linear",    "selu",    "celu",     "softsign",
    "mish",         "swish",      "sin",        "cos",       "atan",    "sign"};
static_assert(kNames.size() == static_cast<size_t>(ElementOp::kSign) + 1);

struct Entry {
  std::string_view op;
  ElementOp element;
};
constexpr Entry kBinary[] = {
    {"Add", ElementOp::kAdd}, {"Sub", ElementOp::kSub},     {"Mul", ElementOp::kMul},
    {"Div", ElementOp::kDiv}, {"Pow", ElementOp::kPow},     {"Max", ElementOp::kMax},
    {"Min", ElementOp::kMin}, {"PRelu", ElementOp::kPrelu}, {"Sum", ElementOp::kAdd}};
constexpr Entry kUnary[] = {{"Relu", ElementOp::kRelu},
                            {"Sigmoid", ElementOp::kSigmoid},
                            {"Tanh", ElementOp::kTanh},
                            {"Exp", ElementOp::kExp},
                            {"Log", ElementOp::kLog},
                            {"Sqrt", ElementOp::kSqrt},
                            {"Reciprocal", ElementOp::kReciprocal},
                            {"Abs", ElementOp::kAbs},
                            {"Neg", ElementOp::kNeg},
                            {"Erf", ElementOp::kErf},
                            {"HardSwish", ElementOp::kHardSwish},
                            {"Softplus", ElementOp::kSoftplus},
                            {"Floor", ElementOp::kFloor},
                            {"Ceil", ElementOp::kCeil},
                            {"Round", ElementOp::kRound},
                            {"Softsign", ElementOp::kSoftsign},
                            {"Mish", ElementOp::kMish},
                            {"Sin", ElementOp::kSin},
                            {"Cos", ElementOp::kCos},
                            {"Atan", ElementOp::kAtan},
                            {"Sign", ElementOp::kSign}};

}  // namespace

std::string_view name_of(ElementOp op) { return kNames[static_cast<size_t>(op)]; }

std::string Program::to_string() const {
  std::string text;
  for (const Instruction& i : code) {
    if (!text.empty()) text += ' ';
    text += std::string(name_of(i.op)) + "(r" + std::to_string(i.a);
    if (is_binary(i.op)) text += ",r" + std::to_string(i.b);
    text += ")";
  }
  return text;
}

std::optional<Instruction> instruction_of(const Node& node, std::span<const std::optional<float>> bounds) {
  if (!node.domain.empty() || node.outputs.size() != 1) return std::nullopt;
  for (const Entry& entry : kBinary) {
    if (entry.op == node.op_type && node.inputs.size() == 2 && node.int_or("broadcast", 0) == 0) {
      return Instruction{.op = entry.element};
    }
  }
  for (const Entry& entry : kUnary) {
    if (entry.op == node.op_type) return Instruction{.op = entry.element};
  }
  if (node.op_type == "LeakyRelu")
    return Instruction{.op = ElementOp::kLeakyRelu, .alpha = node.float_or("alpha", 0.01f)};
  if (node.op_type == "Elu") return Instruction{.op = ElementOp::kElu, .alpha = node.float_or("alpha", 1.f)};
  if (node.op_type == "Selu") {
    return Instruction{.op = ElementOp::kSelu,
                       .alpha = node.float_or("alpha", 1.67326319217681884765625f),
                       .beta = node.float_or("gamma", 1.05070102214813232421875f)};
  }
  if (node.op_type == "Celu") {
    const float alpha = node.float_or("alpha", 1.f);
    if (!(alpha > 0.f)) return std::nullopt;
    return Instruction{.op = alpha == 1.f ? ElementOp::kElu : ElementOp::kCelu, .alpha = alpha};
  }
  if (node.op_type == "Swish")
    return Instruction{.op = ElementOp::kSwish, .alpha = node.float_or("alpha", 1.f)};
  if (node.op_type == "HardSigmoid") {
    return Instruction{.op = ElementOp::kHardSigmoid,
                       .alpha = node.float_or("alpha", 0.2f),
                       .beta = node.float_or("beta", 0.5f)};
  }
  if (node.op_type == "Gelu") {
    return Instruction{.op = node.string_or("approximate", "none") == "tanh" ? ElementOp::kGeluTanh
                                                                             : ElementOp::kGeluErf};
  }
  if (node.op_type == "Clip") {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    Instruction clip{.op = ElementOp::kClip,
                     .alpha = node.float_or("min", -kInfinity),
                     .beta = node.float_or("max", kInfinity)};
    for (size_t i = 1; i < node.inputs.size() && i < 3; ++i) {
      if (node.inputs[i] == kNoValue) continue;
      if (i - 1 >= bounds.size() || !bounds[i - 1]) return std::nullopt;
      (i == 1 ? clip.alpha : clip.beta) = *bounds[i - 1];
    }
    return clip;
  }
  return std::nullopt;
}

}  // namespace mts::exec
