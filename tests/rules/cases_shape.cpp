// Reshape and its relatives.
#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> shape_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  std::vector<RuleCase> cases;
  cases.push_back({.name = "ReshapeFlattens",
                   .op = "Reshape",
                   .slots = {any("N,4,3,2"), numbers({0, -1})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: interleaved(1) absent -> interleaved(1)"},
                             {"mO", "batch: concat(1) absent -> concat(1)"},
                             {"mO", "batch: stacked(0) absent -> stacked(0)"},
                             {"mO", "batch: concat(0) absent -> stacked(0)"}}});
  cases.push_back({.name = "ReshapeBakedBatch",
                   .op = "Reshape",
                   .slots = {any("1,4,3,2"), numbers({1, -1})},
                   .exact = true,
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: concat(1) absent -> concat(0)"},
                             {"mO", "batch: concat(1) absent -> concat(1)"}}});
  cases.push_back({.name = "ReshapeIntoHeads",
                   .op = "Reshape",
                   .slots = {activation("N,S,8"), numbers({0, 0, 2, 4})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: stacked(2) absent -> stacked(2)"},
                             {"mO", "batch: concat(2) absent -> concat(2)"},
                             {"mO", "batch: interleaved(2) absent -> interleaved(2)"}}});
  cases.push_back({.name = "ReshapeMergesBatch",
                   .op = "Reshape",
                   .slots = {activation("N,S,4"), numbers({-1, 4})},
                   .exact = true,
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: stacked(0) absent -> concat(0)"}}});
  cases.push_back({.name = "ReshapeMovesBatch",
                   .op = "Reshape",
                   .slots = {activation("N,4"), numbers({2, 2, -1})},
                   .exact = true,
                   .legal = {{"mO", "batch: concat(0) absent -> stacked(0)"}}});
  cases.push_back({.name = "ReshapeScalar",
                   .op = "Reshape",
                   .slots = {activation(""), numbers({1})},
                   .exact = true,
                   .legal = {{"mO", "batch: stacked(0) absent -> concat(0)"}}});
  cases.push_back(
      {.name = "Flatten",
       .op = "Flatten",
       .slots = {activation("N,4,H,2")},
       .exact = true,
       .ragged = "N",
       .legal = {{"m", "batch: concat(0) -> concat(0)"}, {"m", "batch: interleaved(1) -> interleaved(1)"}}});
  cases.push_back({.name = "FlattenAtTwo",
                   .op = "Flatten",
                   .slots = {activation("N,4,H")},
                   .attributes = {integer("axis", 2)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(0)"}}});
  cases.push_back({.name = "Squeeze",
                   .op = "Squeeze",
                   .slots = {activation("N,4,1,1"), numbers({2, 3})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: concat(1) absent -> concat(1)"}}});
  cases.push_back({.name = "Unsqueeze",
                   .op = "Unsqueeze",
                   .slots = {activation("N,S"), numbers({1, 2})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: stacked(1) absent -> stacked(3)"}}});
  cases.push_back({.name = "UnsqueezeInFront",
                   .op = "Unsqueeze",
                   .slots = {activation("N,S"), numbers({0})},
                   .exact = true,
                   .legal = {{"mO", "batch: concat(0) absent -> concat(1)"}}});
  cases.push_back({.name = "Expand",
                   .op = "Expand",
                   .slots = {activation("N,1,H"), numbers({1, 4, 1})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) absent -> concat(0)"},
                             {"mO", "batch: stacked(1) absent -> stacked(1)"}}});
  cases.push_back({.name = "ExpandRank",
                   .op = "Expand",
                   .slots = {activation("1,S"), numbers({2, 3, 1})},
                   .exact = true,
                   .legal = {{"mO", "batch: stacked(0) absent -> stacked(1)"}}});
  return cases;
}

}  // namespace mts::testing
