// LSTM and GRU layers as cases of one node.
#pragma once

#include "tests/exec/harness.h"

#include <algorithm>
#include <string>

namespace mts::exec {

struct Layer {
  std::string op;
  int64_t steps, batch, input, hidden;
  std::string direction = "forward";
  bool linear_before_reset = false;
  bool bias = true, initial = true;
  int outputs = 3;
};

inline Case case_of(const Layer& layer) {
  const int64_t directions = layer.direction == "bidirectional" ? 2 : 1, gates = layer.op == "LSTM" ? 4 : 3;
  const int64_t columns = gates * layer.hidden;
  Case c;
  c.op = layer.op;
  c.attributes = {{"hidden_size", layer.hidden}, {"direction", layer.direction}};
  if (layer.linear_before_reset) c.attributes.emplace_back("linear_before_reset", int64_t{1});
  c.operands = {input({layer.steps, layer.batch, layer.input}), weight({directions, columns, layer.input}),
                weight({directions, columns, layer.hidden}),
                layer.bias ? weight({directions, 2 * columns}) : absent(), absent()};
  const Dims state = {directions, layer.batch, layer.hidden};
  if (layer.initial) c.operands.push_back(input(state));
  if (layer.initial && layer.op == "LSTM") c.operands.push_back(input(state));
  c.outputs = layer.op == "LSTM" ? layer.outputs : std::min(layer.outputs, 2);
  return c;
}

}  // namespace mts::exec
