// The recurrent kernels through the shim, against the reference evaluator.
#include "tests/exec/cuda/harness.h"
#include "tests/exec/recurrent_cases.h"

#include <array>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

// Units on both sides of a block's four and a warp's 32, sequences on both sides of four.
TEST(CudaRecurrent, Sizes) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (bool linear : {false, true}) {
      for (const auto& [steps, batch, in, hidden] : {std::array<int64_t, 4>{1, 1, 1, 1},
                                                     {5, 1, 12, 20},
                                                     {5, 3, 7, 16},
                                                     {3, 9, 33, 37},
                                                     {4, 5, 64, 65}})
        check_kernel(case_of({op, steps, batch, in, hidden, "forward", linear}));
    }
  }
}

TEST(CudaRecurrent, Directions) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (const char* direction : {"reverse", "bidirectional"}) {
      for (bool linear : {false, true}) check_kernel(case_of({op, 6, 2, 5, 18, direction, linear}));
    }
  }
}

TEST(CudaRecurrent, OptionalOperandsAndOutputs) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (bool linear : {false, true}) {
      Layer layer{op, 4, 2, 3, 5, "bidirectional", linear};
      layer.bias = false;
      check_kernel(case_of(layer));
      layer.initial = false;
      check_kernel(case_of(layer));
      layer.outputs = 1;
      check_kernel(case_of(layer));
      layer.bias = true;
      check_kernel(case_of(layer));
      // Only the last state: the others are nobody's output.
      Case c = case_of(layer);
      c.outputs = 2;
      check_kernel(c);
    }
  }
  Case made = case_of({"LSTM", 3, 2, 4, 5});
  made.operands[1].constant = made.operands[2].constant = false;  // weights that are made at run time
  check_kernel(made);
}

// What is rounded adds up from step to step.
TEST(CudaRecurrent, LayersStayStrictWhereTf32IsAllowed) {
  constexpr ShimPrecision kStrictAllTheSame{DType::kFloat32, true, 1e-4};
  check_kernel(case_of({"LSTM", 12, 4, 40, 24}), kStrictAllTheSame);
  check_kernel(case_of({"GRU", 12, 4, 40, 24, "bidirectional"}), kStrictAllTheSame);
}

TEST(CudaRecurrent, Refusals) {
  const auto refused = [](auto change) {
    Case c = case_of({"LSTM", 3, 2, 4, 5});
    change(c);
    c.on_host = true;
    check_kernel(c);
  };
  refused([](Case& c) { c.attributes.emplace_back("clip", 0.5f); });
  refused([](Case& c) { c.attributes.emplace_back("input_forget", int64_t{1}); });
  refused([](Case& c) {
    c.attributes.emplace_back("activations", std::vector<std::string>{"Sigmoid", "Relu", "Tanh"});
  });
  refused([](Case& c) {
    c.operands[4] = {.dims = {2}, .constant = true, .dtype = DType::kInt32, .values = {3, 2}};
  });
  refused([](Case& c) { c.operands.push_back(weight({1, 15})); });
}

}  // namespace
}  // namespace mts::exec::cuda
