#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> normalization_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  std::vector<RuleCase> cases;
  cases.push_back(
      {.name = "BatchNormalization",
       .op = "BatchNormalization",
       .slots = {activation("N,4,H,W"), weight("4"), weight("4"), weight("4"), weight("4").in(0.1, 2)},
       .ragged = "N",
       .legal = {{"mOOOO", "batch: concat(0) once once once once -> concat(0)"},
                 {"mOOOO", "batch: interleaved(1) once once once once -> interleaved(1)"},
                 {"mMMMM", "group: concat(1) concat(0) concat(0) concat(0) concat(0) -> concat(1)"},
                 {"mMOOO", "group: stacked(1) stacked(0) once once once -> stacked(1)"}}});
  cases.push_back(
      {.name = "BatchNormalizationOfRankTwo",
       .op = "BatchNormalization",
       .slots = {activation("N,4"), weight("4"), weight("4"), weight("4"), weight("4").in(0.1, 2)},
       .ragged = "N",
       .legal = {{"mOOOO", "batch: concat(0) once once once once -> concat(0)"}}});
  const std::vector<Expected> layer_norm{{"mOO", "batch: concat(0) once once -> concat(0)"},
                                         {"mOO", "batch: stacked(1) once once -> stacked(1)"},
                                         {"mMM", "group: stacked(0) stacked(0) stacked(0) -> stacked(0)"},
                                         {"mMM", "group: stacked(1) stacked(0) stacked(0) -> stacked(1)"},
                                         {"mOM", "group: stacked(0) once stacked(0) -> stacked(0)"},
                                         {"mM-", "group: stacked(0) stacked(0) -> stacked(0)"},
                                         {"oMM", "fan_out: once stacked(0) stacked(0) -> stacked(0)"}};
  cases.push_back({.name = "LayerNormalization",
                   .op = "LayerNormalization",
                   .slots = {activation("N,S,6"), weight("6"), optional(weight("6"))},
                   .ragged = "NS",
                   .legal = layer_norm});
  cases.push_back({.name = "LayerNormalizationOfTwoAxes",
                   .op = "LayerNormalization",
                   .slots = {activation("N,S,3,4"), weight("3,4"), optional(weight("3,4"))},
                   .attributes = {integer("axis", 2)},
                   .ragged = "N",
                   .legal = layer_norm});
  cases.push_back({.name = "LayerNormalizationWideScale",
                   .op = "LayerNormalization",
                   .slots = {activation("N,3,4"), weight("3,4"), optional(weight("4"))},
                   .ragged = "N",
                   .refuses_all = true});
  cases.push_back({.name = "RMSNormalization",
                   .op = "RMSNormalization",
                   .slots = {activation("N,S,6"), weight("6")},
                   .opset = 23,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mM", "group: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "InstanceNormalization",
                   .op = "InstanceNormalization",
                   .slots = {activation("N,4,H,W"), weight("4"), weight("4")},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: concat(0) once once -> concat(0)"},
                             {"mMM", "group: concat(1) concat(0) concat(0) -> concat(1)"}},
                   .refused = {"oMM"}});
  cases.push_back({.name = "GroupNormalization",
                   .op = "GroupNormalization",
                   .slots = {activation("N,4,H,W"), weight("4"), weight("4")},
                   .attributes = {integer("num_groups", 2)},
                   .ragged = "N",
                   .legal = {{"mOO", "batch: interleaved(1) once once -> interleaved(1)"},
                             {"mMM", "group: concat(1) concat(0) concat(0) -> concat(1)"}}});
  cases.push_back({.name = "GroupNormalizationScalePerGroup",
                   .op = "GroupNormalization",
                   .slots = {activation("N,4,H,W"), weight("2"), weight("2")},
                   .attributes = {integer("num_groups", 2)},
                   .opset = 18,
                   .ragged = "N",
                   .legal = {{"mOO", "batch: interleaved(1) once once -> interleaved(1)"},
                             {"mMM", "group: concat(1) concat(0) concat(0) -> concat(1)"}}});
  cases.push_back({.name = "LRN",
                   .op = "LRN",
                   .slots = {activation("N,4,H,W")},
                   .attributes = {integer("size", 3)},
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(0)"}}});
  cases.push_back(
      {.name = "LpNormalization",
       .op = "LpNormalization",
       .slots = {activation("N,4,H")},
       .attributes = {integer("axis", 1), integer("p", 2)},
       .ragged = "N",
       .legal = {{"m", "batch: concat(0) -> concat(0)"}, {"m", "batch: stacked(1) -> stacked(1)"}}});
  cases.push_back({.name = "LpNormalizationDefault",
                   .op = "LpNormalization",
                   .slots = {activation("N,4")},
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(0)"}}});
  return cases;
}

}  // namespace mts::testing
