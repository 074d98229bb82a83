#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> movement_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  const auto integers = [](std::string name, std::vector<int64_t> values) {
    return Attribute{std::move(name), std::move(values), {}};
  };
  std::vector<RuleCase> cases;
  cases.push_back({.name = "Concat",
                   .op = "Concat",
                   .slots = {any("N,4,H"), any("N,3,H")},
                   .attributes = {integer("axis", 1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mm", "batch: concat(0) concat(0) -> concat(0)"},
                             {"mm", "batch: interleaved(1) interleaved(1) -> interleaved(1)"},
                             {"mo", "batch: concat(0) concat(0) -> concat(0)"},
                             {"mm", "batch: stacked(1) stacked(1) -> stacked(1)"}}});
  cases.push_back({.name = "ConcatLastAxis",
                   .op = "Concat",
                   .slots = {any("1,H"), activation("1,4")},
                   .attributes = {integer("axis", -1)},
                   .exact = true,
                   .legal = {{"Om", "batch: concat(0) concat(0) -> concat(0)"}}});
  cases.push_back({.name = "ConcatBatchAxis",
                   .op = "Concat",
                   .slots = {activation("N,4"), activation("2,4")},
                   .attributes = {integer("axis", 0)},
                   .exact = true,
                   .legal = {{"mm", "batch: stacked(0) stacked(0) -> stacked(0)"},
                             {"mm", "batch: concat(1) concat(1) -> concat(1)"}}});
  cases.push_back({.name = "Split",
                   .op = "Split",
                   .slots = {activation("N,6,H"), numbers({2, 4})},
                   .attributes = {integer("axis", 1)},
                   .outputs = 2,
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0) concat(0)"},
                             {"mO", "batch: stacked(1) once -> stacked(1) stacked(1)"}}});
  cases.push_back({.name = "SplitEqually",
                   .op = "Split",
                   .slots = {activation("4,H")},
                   .attributes = {integer("num_outputs", 2)},
                   .outputs = 2,
                   .exact = true,
                   .legal = {{"m", "batch: stacked(0) -> stacked(0) stacked(0)"},
                             {"m", "batch: concat(1) -> concat(1) concat(1)"}}});
  cases.push_back({.name = "SplitOpset11",
                   .op = "Split",
                   .slots = {activation("N,6")},
                   .attributes = {integer("axis", -1), integers("split", {1, 5})},
                   .outputs = 2,
                   .opset = 11,
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(0) concat(0)"}}});
  cases.push_back({.name = "Slice",
                   .op = "Slice",
                   .slots = {activation("N,S,6"), numbers({1}), numbers({100}), numbers({-1}), numbers({2})},
                   .exact = true,
                   .ragged = "NS",
                   .legal = {{"mOOOO", "batch: concat(0) once once once once -> concat(0)"},
                             {"mOOOO", "batch: stacked(2) once once once once -> stacked(2)"}}});
  cases.push_back({.name = "SliceDefault",
                   .op = "Slice",
                   .slots = {activation("5,6"), numbers({1}), numbers({-1})},
                   .exact = true,
                   .legal = {{"mOO", "batch: stacked(0) once once -> stacked(0)"},
                             {"mOO", "batch: concat(1) once once -> concat(1)"}}});
  cases.push_back({.name = "SliceBackwards",
                   .op = "Slice",
                   .slots = {activation("N,6"), numbers({-1}), numbers({-100}), numbers({1}), numbers({-1})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mOOOO", "batch: concat(0) once once once once -> concat(0)"}}});
  cases.push_back({.name = "SliceOpset9",
                   .op = "Slice",
                   .slots = {activation("N,6")},
                   .attributes = {integers("starts", {1}), integers("ends", {3}), integers("axes", {1})},
                   .opset = 9,
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: stacked(0) -> stacked(0)"}}});
  const Slot indices = any("N,S").as(DType::kInt64).in(-5, 4);
  cases.push_back({.name = "GatherRows",
                   .op = "Gather",
                   .slots = {any("5,4"), indices},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"Om", "batch: once concat(0) -> concat(0)"},
                             {"Om", "batch: once interleaved(1) -> interleaved(1)"},
                             {"Mm", "group: concat(0) stacked(0) -> stacked(0)"},
                             {"Mo", "fan_out: stacked(0) once -> stacked(0)"}}});
  cases.push_back({.name = "GatherRowsInt32",
                   .op = "Gather",
                   .slots = {any("5,4"), activation("N,S").as(DType::kInt32).in(-5, 4)},
                   .exact = true,
                   .legal = {{"Mm", "group: concat(0) stacked(1) -> stacked(1)"}}});
  cases.push_back({.name = "GatherColumns",
                   .op = "Gather",
                   .slots = {any("N,5,H"), any("2").as(DType::kInt64).in(-5, 4)},
                   .attributes = {integer("axis", 1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: stacked(2) once -> stacked(2)"}}});
  cases.push_back({.name = "GatherOne",
                   .op = "Gather",
                   .slots = {activation("N,S,4"), number(0)},
                   .attributes = {integer("axis", 1)},
                   .exact = true,
                   .ragged = "NS",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: stacked(2) once -> stacked(1)"}}});
  cases.push_back({.name = "GatherMatrix",
                   .op = "Gather",
                   .slots = {activation("N,5,4"), any("2,3").as(DType::kInt64).in(0, 4)},
                   .attributes = {integer("axis", 1)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(2) once -> concat(3)"}}});
  cases.push_back({.name = "Pad",
                   .op = "Pad",
                   .slots = {activation("N,4,H,W"), numbers({0, 0, 1, 2, 0, 0, 3, 4}), optional(any(""))},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO-", "batch: concat(0) once absent -> concat(0)"},
                             {"mOO", "batch: stacked(1) once once -> stacked(1)"}},
                   .refused = {"mOM", "oOM"}});
  cases.back().legal[0] = {"mO-", "batch: concat(0) once -> concat(0)"};
  cases.push_back({.name = "PadReflect",
                   .op = "Pad",
                   .slots = {activation("N,4,H,W"), numbers({0, 0, 1, 2, 0, 0, 3, 1})},
                   .attributes = {{"mode", std::string("reflect"), {}}},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: concat(1) once -> concat(1)"}}});
  cases.push_back({.name = "PadAxes",
                   .op = "Pad",
                   .slots = {activation("N,4,H"), numbers({1, 2}), absent(), numbers({-1})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO-O", "batch: concat(0) once absent once -> concat(0)"},
                             {"mO-O", "batch: stacked(0) once absent once -> stacked(0)"}}});
  cases.push_back({.name = "PadOpset10",
                   .op = "Pad",
                   .slots = {activation("N,4,H")},
                   .attributes = {integers("pads", {0, 0, 1, 0, 0, 1})},
                   .opset = 10,
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: stacked(1) -> stacked(1)"}}});
  cases.push_back({.name = "Transpose",
                   .op = "Transpose",
                   .slots = {any("N,S,2,4")},
                   .attributes = {integers("perm", {0, 2, 1, 3})},
                   .exact = true,
                   .ragged = "NS",
                   .legal = {{"m", "batch: concat(0) -> concat(0)"},
                             {"m", "batch: interleaved(1) -> interleaved(1)"},
                             {"m", "batch: concat(1) -> concat(2)"},
                             {"m", "batch: stacked(1) -> stacked(0)"},
                             {"m", "batch: stacked(0) -> stacked(4)"}}});
  cases.push_back({.name = "TransposeDefault",
                   .op = "Transpose",
                   .slots = {any("N,S,4")},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(2)"}}});
  cases.push_back(
      {.name = "Trilu",
       .op = "Trilu",
       .slots = {activation("N,S,T"), optional(number(1))},
       .exact = true,
       .ragged = "N",
       .legal = {{"m-", "batch: concat(0) -> concat(0)"}, {"mO", "batch: stacked(1) once -> stacked(1)"}}});
  cases.push_back({.name = "Tile",
                   .op = "Tile",
                   .slots = {activation("N,4,H"), numbers({1, 2, 1})},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: concat(2) once -> concat(2)"},
                             {"mO", "batch: stacked(1) once -> stacked(1)"}}});
  return cases;
}

}  // namespace mts::testing
