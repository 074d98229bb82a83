// LSTM and GRU on the CPU against the reference: directions, optional operands, sizes on both sides of whole
// vectors and of small products.
#include "tests/exec/recurrent_cases.h"

#include <array>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

TEST(Recurrent, Sizes) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (bool linear : {false, true}) {
      for (const auto& [steps, batch, in, hidden] : {std::array<int64_t, 4>{1, 1, 1, 1},
                                                     {5, 1, 12, 20},
                                                     {5, 3, 7, 16},
                                                     {3, 8, 33, 37},
                                                     {4, 5, 64, 130}})
        check(case_of({op, steps, batch, in, hidden, "forward", linear}));
    }
  }
}

TEST(Recurrent, Directions) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (const char* direction : {"reverse", "bidirectional"}) {
      for (bool linear : {false, true}) check(case_of({op, 6, 2, 5, 18, direction, linear}));
    }
  }
}

TEST(Recurrent, OptionalOperandsAndOutputs) {
  for (const char* op : {"LSTM", "GRU"}) {
    for (bool linear : {false, true}) {
      Layer layer{op, 4, 2, 3, 5, "bidirectional", linear};
      layer.bias = false;
      check(case_of(layer));
      layer.initial = false;
      check(case_of(layer));
      layer.outputs = 1;
      check(case_of(layer));
    }
  }
}

// What the kernel does not compute stays with the reference.
TEST(Recurrent, Refusals) {
  const auto refused = [](auto change) {
    Case c = case_of({"LSTM", 3, 2, 4, 5});
    change(c);
    c.on_host = true;
    check(c);
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
  refused([](Case& c) { c.operands[1].constant = false; });
}

}  // namespace
}  // namespace mts::exec
