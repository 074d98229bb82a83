// Reductions, pooling, softmax: operators that work along axes.
#include "tests/rules/harness.h"

namespace mts::testing {

std::vector<RuleCase> axis_cases() {
  const auto integer = [](std::string name, int64_t value) { return Attribute{std::move(name), value, {}}; };
  const auto integers = [](std::string name, std::vector<int64_t> values) {
    return Attribute{std::move(name), std::move(values), {}};
  };
  const auto reals = [](std::string name, std::vector<float> values) {
    return Attribute{std::move(name), std::move(values), {}};
  };
  std::vector<RuleCase> cases;
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}) {
    const std::string name = op;
    const Slot x = activation("N,4,H").in(0.1, 2);
    cases.push_back({.name = name,
                     .op = op,
                     .slots = {x, numbers({-1})},
                     .ragged = "N",
                     .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                               {"mO", "batch: stacked(1) once -> stacked(1)"}}});
    cases.push_back({.name = name + "Dropped",
                     .op = op,
                     .slots = {x, numbers({1})},
                     .attributes = {integer("keepdims", 0)},
                     .ragged = "NH",
                     .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                               {"mO", "batch: stacked(2) once -> stacked(1)"}}});
    cases.push_back({.name = name + "BatchAxis",
                     .op = op,
                     .slots = {x, numbers({0})},
                     .attributes = {integer("keepdims", 0)},
                     .legal = {{"mO", "batch: stacked(0) once -> stacked(0)"}}});
    cases.push_back({.name = name + "AllAxes",
                     .op = op,
                     .slots = {x},
                     .attributes = {integer("keepdims", 0)},
                     .legal = {{"m", "batch: stacked(0) -> stacked(0)"}}});
    cases.push_back({.name = name + "Opset12",
                     .op = op,
                     .slots = {activation("N,4,H,W").in(0.1, 2)},
                     .attributes = {integers("axes", {-1, 2})},
                     .opset = 12,
                     .ragged = "N",
                     .legal = {{"m", "batch: interleaved(1) -> interleaved(1)"},
                               {"m", "batch: concat(1) -> concat(1)"}}});
  }
  cases.push_back({.name = "ReduceSumNothing",
                   .op = "ReduceSum",
                   .slots = {activation("N,4")},
                   .attributes = {integer("noop_with_empty_axes", 1)},
                   .legal = {{"m", "batch: concat(0) -> concat(0)"}}});
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    const std::string name = op;
    cases.push_back({.name = name,
                     .op = op,
                     .slots = {activation("N,4,S")},
                     .ragged = "N",
                     .legal = {{"m", "batch: concat(0) -> concat(0)"},
                               {"m", "batch: concat(1) -> concat(1)"},
                               {"m", "batch: stacked(3) -> stacked(3)"}}});
    cases.push_back(
        {.name = name + "BatchAxis",
         .op = op,
         .slots = {activation("N,4")},
         .attributes = {integer("axis", 0)},
         .legal = {{"m", "batch: stacked(0) -> stacked(0)"}, {"m", "batch: concat(1) -> concat(1)"}}});
    cases.push_back(
        {.name = name + "Opset11",
         .op = op,
         .slots = {activation("N,4,S")},
         .opset = 11,
         .ragged = "N",
         .legal = {{"m", "batch: concat(0) -> concat(0)"}, {"m", "batch: stacked(1) -> stacked(1)"}}});
    cases.push_back({.name = name + "Opset11LastAxis",
                     .op = op,
                     .slots = {activation("N,4,S")},
                     .attributes = {integer("axis", 2)},
                     .opset = 11,
                     .ragged = "N",
                     .legal = {{"m", "batch: concat(0) -> concat(0)"},
                               {"m", "batch: interleaved(1) -> interleaved(1)"}}});
  }
  for (const char* op : {"ArgMax", "ArgMin"}) {
    const std::string name = op;
    cases.push_back(
        {.name = name,
         .op = op,
         .slots = {activation("N,4,S")},
         .attributes = {integer("axis", 1), integer("keepdims", 0)},
         .exact = true,
         .ragged = "N",
         .legal = {{"m", "batch: concat(0) -> concat(0)"}, {"m", "batch: stacked(2) -> stacked(1)"}}});
    cases.push_back(
        {.name = name + "Default",
         .op = op,
         .slots = {activation("N,4")},
         .exact = true,
         .legal = {{"m", "batch: stacked(0) -> stacked(0)"}, {"m", "batch: concat(1) -> concat(1)"}}});
  }
  cases.push_back({.name = "TopK",
                   .op = "TopK",
                   .slots = {activation("N,4,5"), numbers({2})},
                   .outputs = 2,
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0) concat(0)"}}});
  cases.push_back({.name = "TopKBatchAxis",
                   .op = "TopK",
                   .slots = {activation("N,4"), numbers({1})},
                   .attributes = {integer("axis", 0)},
                   .outputs = 2,
                   .exact = true,
                   .legal = {{"mO", "batch: stacked(0) once -> stacked(0) stacked(0)"}}});
  cases.push_back({.name = "CumSum",
                   .op = "CumSum",
                   .slots = {activation("N,S,4"), number(1)},
                   .attributes = {integer("reverse", 1)},
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"},
                             {"mO", "batch: stacked(1) once -> stacked(1)"}}});

  const std::vector<Expected> planes{{"m", "batch: concat(0) -> concat(0)"},
                                     {"m", "batch: interleaved(1) -> interleaved(1)"},
                                     {"m", "batch: concat(1) -> concat(1)"}};
  const Slot image = activation("N,4,H,W");
  for (const char* op : {"GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"})
    cases.push_back({.name = op, .op = op, .slots = {image}, .ragged = "N", .legal = planes});
  for (const char* op : {"AveragePool", "LpPool", "MaxPool"}) {
    const std::string name = op;
    cases.push_back({.name = name,
                     .op = op,
                     .slots = {image},
                     .attributes = {integers("kernel_shape", {2, 3}), integers("strides", {2, 1}),
                                    integers("pads", {1, 0, 1, 1})},
                     .ragged = "N",
                     .legal = planes});
    cases.push_back({.name = name + "1D",
                     .op = op,
                     .slots = {activation("N,4,H")},
                     .attributes = {integers("kernel_shape", {2}), integer("ceil_mode", 1)},
                     .ragged = "N",
                     .legal = planes});
  }
  cases.push_back({.name = "DepthToSpace",
                   .op = "DepthToSpace",
                   .slots = {activation("N,8,H,W")},
                   .attributes = {integer("blocksize", 2)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(0)"}}});
  cases.push_back({.name = "SpaceToDepth",
                   .op = "SpaceToDepth",
                   .slots = {activation("N,2,4,6")},
                   .attributes = {integer("blocksize", 2)},
                   .exact = true,
                   .ragged = "N",
                   .legal = {{"m", "batch: concat(0) -> concat(0)"}}});
  cases.push_back({.name = "ResizeScales",
                   .op = "Resize",
                   .slots = {image, absent(), fixed_floats({1, 1, 2, 2})},
                   .ragged = "N",
                   .legal = {{"m-O", "batch: concat(0) absent once -> concat(0)"},
                             {"m-O", "batch: interleaved(1) absent once -> interleaved(1)"}}});
  cases.push_back({.name = "ResizeLinear",
                   .op = "Resize",
                   .slots = {image, absent(), fixed_floats({1, 1, 2, 1.5F})},
                   .attributes = {{"mode", std::string("linear"), {}}},
                   .ragged = "N",
                   .legal = {{"m-O", "batch: concat(0) absent once -> concat(0)"}}});
  cases.push_back({.name = "ResizeSizes",
                   .op = "Resize",
                   .slots = {activation("2,4,H,W"), absent(), absent(), numbers({2, 4, 9, 8})},
                   .legal = {{"m--O", "batch: concat(0) absent absent once -> concat(0)"},
                             {"m--O", "batch: concat(1) absent absent once -> concat(1)"}}});
  cases.push_back({.name = "ResizeAxes",
                   .op = "Resize",
                   .slots = {image, absent(), absent(), numbers({9, 8})},
                   .attributes = {integers("axes", {2, 3})},
                   .ragged = "N",
                   .legal = {{"m--O", "batch: concat(0) absent absent once -> concat(0)"}}});
  cases.push_back({.name = "Upsample",
                   .op = "Upsample",
                   .slots = {image, fixed_floats({1, 1, 2, 3})},
                   .opset = 9,
                   .ragged = "N",
                   .legal = {{"mO", "batch: concat(0) once -> concat(0)"}}});
  (void)reals;
  return cases;
}

}  // namespace mts::testing
