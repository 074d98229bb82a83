#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> indexed_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  const auto indices = [](Slot slot, double size) { return slot.as(DType::kInt64).in(-size, size - 1); };
  std::vector<RuleCase> cases;
  cases.push_back({.name = "GatherElements",
                   .op = "GatherElements",
                   .slots = {any("N,5,4"), indices(any("N,3,4"), 5)},
                   .attributes = {integer("axis", 1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mm", "batch: concat(0) concat(0) -> concat(0)"},
                             {"mm", "batch: interleaved(1) interleaved(1) -> interleaved(1)"},
                             {"mm", "batch: concat(2) concat(2) -> concat(2)"},
                             {"mm", "batch: stacked(2) stacked(2) -> stacked(2)"},
                             {"mo", "batch: stacked(0) stacked(0) -> stacked(0)"},
                             {"om", "batch: once concat(1) -> concat(1)"},
                             {"oM", "fan_out: once interleaved(2) -> interleaved(2)"},
                             {"Om", "batch: once concat(1) -> concat(1)"}}});
  cases.push_back({.name = "GatherElementsNarrow",
                   .op = "GatherElements",
                   .slots = {any("5,6,4"), indices(any("3,2,4"), 4)},
                   .attributes = {integer("axis", -1)},
                   .exact = true,
                   .legal = {{"mm", "batch: stacked(1) stacked(1) -> stacked(1)"},
                             {"mm", "batch: interleaved(2) interleaved(2) -> interleaved(2)"}}});
  cases.push_back({.name = "GatherElementsFirstAxis",
                   .op = "GatherElements",
                   .slots = {any("5,H"), indices(any("S,H"), 5)},
                   .exact = true,
                   .ragged = "HS",
                   .legal = {{"om", "batch: once concat(0) -> concat(0)"}}});
  cases.push_back({.name = "GatherND",
                   .op = "GatherND",
                   .slots = {any("5,4,H"), indices(any("N,S,2"), 4)},
                   .exact = true,
                   .ragged = "NS",
                   .legal = {{"om", "batch: once stacked(2) -> stacked(2)"},
                             {"mo", "batch: stacked(2) once -> stacked(2)"}}});
  cases.push_back({.name = "GatherNDRows",
                   .op = "GatherND",
                   .slots = {any("5,4"), indices(any("N,1"), 5)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"Om", "batch: once concat(0) -> concat(0)"},
                             {"mO", "batch: concat(1) once -> concat(1)"},
                             {"mO", "batch: stacked(2) once -> stacked(2)"},
                             {"mm", "batch: stacked(0) stacked(0) -> stacked(0)"},
                             {"Mm", "group: stacked(0) stacked(0) -> stacked(0)"}}});
  cases.push_back({.name = "GatherNDBatch",
                   .op = "GatherND",
                   .slots = {any("N,5,4"), indices(any("N,3,1"), 5)},
                   .attributes = {integer("batch_dims", 1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mm", "batch: concat(0) concat(0) -> concat(0)"},
                             {"mm", "batch: stacked(1) stacked(1) -> stacked(1)"},
                             {"om", "batch: once concat(1) -> concat(1)"},
                             {"mo", "batch: concat(2) once -> concat(2)"}}});
  cases.push_back({.name = "GatherNDOpset11",
                   .op = "GatherND",
                   .slots = {any("5,4"), indices(any("N,1"), 5)},
                   .opset = 11,
                   .exact = true,
                   .legal = {{"om", "batch: once concat(0) -> concat(0)"}},
                   .refused = {"mm", "Mm"}});
  cases.push_back({.name = "ScatterElements",
                   .op = "ScatterElements",
                   .slots = {any("N,5,4"), indices(any("N,3,4"), 5), activation("N,3,4")},
                   .attributes = {integer("axis", 1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mmm", "batch: concat(0) concat(0) concat(0) -> concat(0)"},
                             {"mmm", "batch: concat(2) concat(2) concat(2) -> concat(2)"},
                             {"mOm", "batch: stacked(3) stacked(3) stacked(3) -> stacked(3)"}},
                   .refused = {"Omm", "OOm"}});
  cases.push_back(
      {.name = "ScatterElementsAdd",
       .op = "ScatterElements",
       .slots = {activation("5,6"), indices(any("3,2"), 5), any("3,2")},
       .attributes = {{"reduction", std::string("add"), {}}},
       .legal = {{"mmm", "batch: stacked(0) stacked(0) stacked(0) -> stacked(0)"},
                 {"mmm", "batch: interleaved(2) interleaved(2) interleaved(2) -> interleaved(2)"}},
       .refused = {"mmO"}});
  cases.push_back({.name = "ScatterND",
                   .op = "ScatterND",
                   .slots = {any("5,4,H"), indices(any("S,2"), 4), activation("S,H")},
                   .exact = true,
                   .ragged = "H",
                   .legal = {{"mom", "batch: stacked(2) once stacked(1) -> stacked(2)"},
                             {"mom", "batch: stacked(0) once stacked(0) -> stacked(0)"},
                             {"oom", "batch: stacked(2) once stacked(1) -> stacked(2)"},
                             {"mmm", "batch: stacked(0) stacked(0) stacked(0) -> stacked(0)"}},
                   .refused = {"OOm", "Omm"}});
  cases.push_back({.name = "ScatterNDMatrix",
                   .op = "ScatterND",
                   .slots = {activation("5,4"), indices(any("N,S,1"), 5), any("N,S,4")},
                   .exact = true,
                   .legal = {{"mom", "batch: concat(1) once concat(2) -> concat(1)"},
                             {"mmm", "batch: stacked(0) stacked(0) stacked(0) -> stacked(0)"}},
                   .refused = {"mmO"}});
  cases.push_back({.name = "ScatterNDMax",
                   .op = "ScatterND",
                   .slots = {activation("5,4"), indices(any("3,2"), 4), any("3")},
                   .attributes = {{"reduction", std::string("max"), {}}},
                   .exact = true,
                   .legal = {{"mmm", "batch: stacked(0) stacked(0) stacked(0) -> stacked(0)"},
                             {"mom", "batch: stacked(2) once stacked(1) -> stacked(2)"}}});
  return cases;
}

}  // namespace mts::testing
