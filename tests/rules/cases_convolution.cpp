#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> convolution_cases() {
  const auto integers = [](std::string name, std::vector<int64_t> values) {
    return Attribute{std::move(name), std::move(values), {}};
  };
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  const std::vector<Expected> table{{"mO-", "batch: concat(0) once -> concat(0)"},
                                    {"mO-", "batch: interleaved(1) once -> interleaved(1)"},
                                    {"mOO", "batch: concat(0) once once -> concat(0)"},
                                    {"mOM", "group: interleaved(1) once concat(0) -> concat(1)"},
                                    {"mOM", "group: concat(0) once stacked(0) -> stacked(0)"},
                                    {"mM-", "group: concat(1) concat(0) -> concat(1)"},
                                    {"mMM", "group: concat(1) concat(0) concat(0) -> concat(1)"},
                                    {"mMO", "group: concat(1) concat(0) once -> interleaved(1)"}};
  const std::vector<Expected> fan_out{{"oM-", "fan_out: once concat(0) -> concat(1)"},
                                      {"oMM", "fan_out: once concat(0) concat(0) -> concat(1)"},
                                      {"oMO", "fan_out: once concat(0) once -> stacked(1)"},
                                      {"oOM", "fan_out: once once stacked(0) -> stacked(1)"}};
  std::vector<RuleCase> cases;
  const auto add = [&](RuleCase rule_case, bool dense) {
    rule_case.legal = table;
    if (dense) rule_case.legal.insert(rule_case.legal.end(), fan_out.begin(), fan_out.end());
    cases.push_back(std::move(rule_case));
  };
  add({.name = "Conv",
       .op = "Conv",
       .slots = {activation("N,4,H,W"), weight("K,4,3,3"), optional(weight("K"))},
       .attributes = {integers("pads", {1, 1, 1, 1}), integers("strides", {2, 1})},
       .ragged = "NK"},
      true);
  add({.name = "Conv1D",
       .op = "Conv",
       .slots = {activation("N,4,S"), weight("K,4,1"), optional(weight("K"))},
       .ragged = "NK"},
      true);
  add({.name = "Conv3D",
       .op = "Conv",
       .slots = {activation("N,2,3,H,W"), weight("K,2,2,2,2"), optional(weight("K"))},
       .ragged = "N"},
      true);
  add({.name = "ConvGrouped",
       .op = "Conv",
       .slots = {activation("N,4,H,W"), weight("6,2,3,3"), optional(weight("6"))},
       .attributes = {integer("group", 2)},
       .ragged = "N"},
      false);
  add({.name = "ConvDepthwise",
       .op = "Conv",
       .slots = {activation("N,4,H,W"), weight("4,1,3,3"), optional(weight("4"))},
       .attributes = {integer("group", 4), integers("dilations", {1, 1})},
       .ragged = "N"},
      false);
  add({.name = "ConvSame",
       .op = "Conv",
       .slots = {activation("N,4,H,W"), weight("K,4,3,3"), optional(weight("K"))},
       .attributes = {Attribute{"auto_pad", std::string("SAME_UPPER"), {}}, integers("strides", {2, 2})},
       .ragged = "N"},
      true);
  add({.name = "ConvTranspose",
       .op = "ConvTranspose",
       .slots = {activation("N,4,H,W"), weight("4,K,2,2"), optional(weight("K"))},
       .attributes = {integers("strides", {2, 2})},
       .ragged = "N"},
      false);
  cases.back().legal.push_back({"oMM", "fan_out: once concat(1) concat(0) -> concat(1)"});
  add({.name = "ConvTransposeGrouped",
       .op = "ConvTranspose",
       .slots = {activation("N,4,H,W"), weight("4,3,2,2"), optional(weight("6"))},
       .attributes = {integer("group", 2), integers("strides", {2, 2}), integers("output_padding", {1, 1})},
       .ragged = "N"},
      false);
  return cases;
}

}  // namespace mts::testing
