#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> linear_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  const auto real = [](std::string name, float value) { return Attribute{std::move(name), value, {}}; };
  const auto equation = [](std::string text) {
    return std::vector<Attribute>{{"equation", std::move(text), {}}};
  };
  std::vector<RuleCase> cases;
  cases.push_back({.name = "MatMul",
                   .op = "MatMul",
                   .slots = {any("N,4"), any("4,K")},
                   .ragged = "NK",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: interleaved(1) once -> interleaved(1)"},
                             {"oM", "fan_out: once concat(1) -> concat(1)"},
                             {"mM", "group: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "MatMulOfSequences",
                   .op = "MatMul",
                   .slots = {any("N,S,4"), any("4,K")},
                   .ragged = "NK",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: interleaved(1) once -> interleaved(1)"},
                             {"mO", "batch: stacked(2) once -> stacked(2)"},
                             {"oM", "fan_out: once concat(1) -> concat(2)"},
                             {"mM", "group: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "MatMulOfHeads",
                   .op = "MatMul",
                   .slots = {activation("N,2,S,4"), activation("N,2,4,T")},
                   .ragged = "N",
                   .legal = {{"mm", "batch: concat(0) concat(0) -> concat(0)"},
                             {"mm", "batch: interleaved(1) interleaved(1) -> interleaved(1)"},
                             {"mm", "batch: concat(1) concat(1) -> concat(1)"},
                             {"mm", "batch: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "MatMulBroadcast",
                   .op = "MatMul",
                   .slots = {any("S,4"), any("N,4,5")},
                   .legal = {{"Om", "batch: once concat(0) -> concat(0)"},
                             {"mm", "batch: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "MatMulBatchOfOne",
                   .op = "MatMul",
                   .slots = {any("1,S,4"), any("N,4,5")},
                   .legal = {{"Om", "batch: once concat(0) -> concat(0)"}}});
  const std::vector<Expected> gemm{{"mO-", "batch: concat(0) once -> concat(0)"},
                                   {"mOO", "batch: concat(0) once once -> concat(0)"},
                                   {"mOO", "batch: interleaved(1) once once -> interleaved(1)"},
                                   {"mOM", "group: concat(0) once stacked(0) -> stacked(0)"},
                                   {"mMM", "group: stacked(0) stacked(0) stacked(0) -> stacked(0)"},
                                   {"mMO", "group: stacked(0) stacked(0) once -> stacked(0)"}};
  cases.push_back({.name = "Gemm",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("4,K"), optional(any("K"))},
                   .ragged = "NK",
                   .legal = gemm});
  cases.back().legal.push_back({"oMM", "fan_out: once concat(1) concat(0) -> concat(1)"});
  cases.push_back({.name = "GemmTransposed",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("K,4"), optional(any("K"))},
                   .attributes = {integer("transB", 1)},
                   .ragged = "NK",
                   .legal = gemm});
  cases.back().legal.push_back({"oMM", "fan_out: once concat(0) concat(0) -> concat(1)"});
  cases.push_back({.name = "GemmBiasOfRankTwo",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("4,K"), any("1,K")},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "GemmBiasScalar",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("4,K"), any("")},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "GemmBiasOfOne",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("4,K"), any("1")},
                   .ragged = "NK",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "GemmBiasOfOneColumn",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("4,1"), any("1")},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "GemmScaled",
                   .op = "Gemm",
                   .slots = {activation("N,4"), any("4,K"), optional(any("K"))},
                   .attributes = {real("alpha", 0.5F), real("beta", 2)},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"}}});
  cases.push_back({.name = "EinsumMatMul",
                   .op = "Einsum",
                   .slots = {any("N,4"), any("4,K")},
                   .attributes = equation("ij,jk->ik"),
                   .ragged = "N",
                   .legal = {{"mO", "batch: stacked(0) once -> stacked(0)"},
                             {"mM", "group: stacked(0) stacked(0) -> stacked(0)"},
                             {"oM", "fan_out: once stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "EinsumAttention",
                   .op = "Einsum",
                   .slots = {any("N,2,S,4"), any("N,2,T,4")},
                   .attributes = equation("bhsd, bhtd -> bhst"),
                   .ragged = "N",
                   .legal = {{"mm", "batch: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "EinsumSum",
                   .op = "Einsum",
                   .slots = {any("N,4,H")},
                   .attributes = equation("abc->ca"),
                   .ragged = "N",
                   .legal = {{"m", "batch: stacked(0) -> stacked(0)"}}});
  return cases;
}

}  // namespace mts::testing
