#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> elementwise_cases() {
  std::vector<RuleCase> cases;
  const std::vector<Expected> everywhere{{"m", "batch: concat(0) -> concat(0)"},
                                         {"m", "batch: interleaved(1) -> interleaved(1)"},
                                         {"m", "batch: concat(1) -> concat(1)"},
                                         {"m", "batch: stacked(0) -> stacked(0)"},
                                         {"m", "batch: stacked(3) -> stacked(3)"}};
  for (const char* op : {"Abs",        "Acos",  "Acosh",          "Asin",        "Asinh",     "Atan",
                         "Atanh",      "Ceil",  "Celu",           "Cos",         "Cosh",      "Elu",
                         "Erf",        "Exp",   "Floor",          "HardSigmoid", "HardSwish", "Identity",
                         "IsInf",      "IsNaN", "LeakyRelu",      "Log",         "Mish",      "Neg",
                         "Reciprocal", "Relu",  "Round",          "Selu",        "Shrink",    "Sigmoid",
                         "Sign",       "Sin",   "Sinh",           "Softplus",    "Softsign",  "Sqrt",
                         "Tan",        "Tanh",  "ThresholdedRelu"})
    cases.push_back({.name = op,
                     .op = op,
                     .slots = {activation("N,4,H")},
                     .exact = true,
                     .ragged = "NH",
                     .legal = everywhere});
  cases.push_back(
      {.name = "Gelu", .op = "Gelu", .slots = {activation("N,4,H")}, .exact = true, .legal = everywhere});
  cases.push_back({.name = "Swish",
                   .op = "Swish",
                   .slots = {activation("N,4,H")},
                   .opset = 24,
                   .exact = true,
                   .legal = everywhere});
  cases.push_back({.name = "Not",
                   .op = "Not",
                   .slots = {activation("N,4,H").as(DType::kBool)},
                   .exact = true,
                   .legal = everywhere});
  cases.push_back({.name = "BitwiseNot",
                   .op = "BitwiseNot",
                   .slots = {activation("N,4,H").as(DType::kInt32)},
                   .exact = true,
                   .legal = everywhere});
  cases.push_back({.name = "Cast",
                   .op = "Cast",
                   .slots = {activation("N,4,H")},
                   .attributes = {{"to", int64_t{7}, {}}},
                   .exact = true,
                   .legal = everywhere});
  cases.push_back({.name = "ReluOfScalar",
                   .op = "Relu",
                   .slots = {activation("")},
                   .exact = true,
                   .legal = {{"m", "batch: stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "ReluOfConstant",
                   .op = "Relu",
                   .slots = {weight("4,5")},
                   .exact = true,
                   .legal = {{"M", "batch: concat(0) -> concat(0)"}}});
  cases.push_back({.name = "Clip",
                   .op = "Clip",
                   .slots = {activation("N,4,H"), optional(any("").in(-1, 0)), optional(any("").in(0.5, 1))},
                   .exact = true,
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"},
                             {"m-o", "batch: stacked(1) absent once -> stacked(1)"}},
                   .refused = {"omO", "mMO", "oOM"}});

  const std::vector<Expected> both{{"mm", "batch: concat(0) concat(0) -> concat(0)"},
                                   {"mm", "batch: concat(1) concat(1) -> concat(1)"},
                                   {"mm", "batch: interleaved(1) interleaved(1) -> interleaved(1)"},
                                   {"mm", "batch: stacked(0) stacked(0) -> stacked(0)"},
                                   {"mo", "batch: stacked(0) once -> stacked(0)"},
                                   {"om", "batch: once stacked(1) -> stacked(1)"}};
  const auto binary = [&](const char* op, DType dtype, double low, double high,
                          std::vector<Attribute> attributes = {}) {
    cases.push_back({.name = op,
                     .op = op,
                     .slots = {any("N,4,H").as(dtype).in(low, high), any("N,4,H").as(dtype).in(low, high)},
                     .attributes = std::move(attributes),
                     .exact = true,
                     .ragged = "N",
                     .legal = both});
  };
  for (const char* op : {"Add", "Sub", "Mul", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
                         "Max", "Min", "Sum", "Mean"})
    binary(op, DType::kFloat32, -2, 2);
  for (const char* op : {"Div", "Pow"}) binary(op, DType::kFloat32, 0.5, 2);
  for (const char* op : {"And", "Or", "Xor"}) binary(op, DType::kBool, 0, 1);
  for (const char* op : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"}) binary(op, DType::kInt32, 0, 9);
  binary("Mod", DType::kInt64, 1, 9);
  binary("BitShift", DType::kUint32, 0, 7, {{"direction", std::string("LEFT"), {}}});
  cases.push_back({.name = "EqualOfIntegers",
                   .op = "Equal",
                   .slots = {activation("N,S").as(DType::kInt64), any("").as(DType::kInt64)},
                   .exact = true,
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"}}});

  // Broadcasting: ranks that differ, axes of size 1, scalars.
  cases.push_back({.name = "AddBias",
                   .op = "Add",
                   .slots = {activation("N,S,5"), any("5")},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: interleaved(1) once -> interleaved(1)"},
                             {"mM", "group: stacked(0) stacked(0) -> stacked(0)"},
                             {"mM", "group: stacked(1) stacked(0) -> stacked(1)"},
                             {"oM", "fan_out: once stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "AddChannels",
                   .op = "Add",
                   .slots = {activation("N,4,H,W"), any("4,1,1")},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: interleaved(1) once -> interleaved(1)"},
                             {"mM", "group: concat(1) concat(0) -> concat(1)"},
                             {"mM", "group: stacked(1) stacked(0) -> stacked(1)"}}});
  cases.push_back({.name = "MulBatchOfOne",
                   .op = "Mul",
                   .slots = {any("1,4,1"), activation("N,4,H")},
                   .exact = true,
                   .legal = {{"Om", "batch: once concat(0) -> concat(0)"},
                             {"mm", "batch: concat(1) concat(1) -> concat(1)"}}});
  cases.push_back({.name = "MulOuter",
                   .op = "Mul",
                   .slots = {activation("N,S,1"), activation("N,1,T")},
                   .exact = true,
                   .legal = {{"mm", "batch: concat(0) concat(0) -> concat(0)"}}});
  cases.push_back({.name = "MulScalar",
                   .op = "Mul",
                   .slots = {activation("N,4"), any("")},
                   .exact = true,
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mM", "group: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "AddOfScalars",
                   .op = "Add",
                   .slots = {any(""), any("")},
                   .exact = true,
                   .legal = {{"mO", "batch: stacked(0) once -> stacked(0)"}}});
  cases.push_back({.name = "MaxOfThree",
                   .op = "Max",
                   .slots = {any("N,4"), any("4"), any("N,1")},
                   .exact = true,
                   .legal = {{"mOm", "batch: concat(0) once concat(0) -> concat(0)"}}});
  cases.push_back({.name = "Where",
                   .op = "Where",
                   .slots = {any("N,1,S").as(DType::kBool), any("N,4,S"), any("")},
                   .exact = true,
                   .legal = {{"mmO", "batch: concat(0) concat(0) once -> concat(0)"},
                             {"omO", "batch: once stacked(0) once -> stacked(0)"}}});
  cases.push_back({.name = "PRelu",
                   .op = "PRelu",
                   .slots = {activation("N,4,H"), any("4,1")},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mM", "group: concat(1) concat(0) -> concat(1)"}}});
  return cases;
}

}  // namespace mts::testing
