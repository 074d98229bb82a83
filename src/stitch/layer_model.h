// Layers by themselves, to be measured one by one.
//
// A layer is a node with its attributes and the types of its operands: the nodes of a program that are alike
// are numbered alike (Member::layer). Only nodes whose activations are floating-point tensors of known sizes
// and that have no subgraphs are layers: others cannot be run by themselves on made-up input.
#pragma once

#include "plan/plan.h"
#include "plan/program.h"

#include <mts/error.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace mts {

// `program` with the sizes that `dims` gives to symbols, 1 where it names none, and its layers numbered.
// Returned: a text for each layer that tells it from all others, the same in every program.
std::vector<std::string> number_layers(Program& program, const std::map<std::string, int64_t>& dims);

// Some members of a column as a model: its inputs are the activations in the forms that the lanes want, its
// outputs what they make. `program`: of number_layers; the lanes' nodes are layers.
Result<Model> layer_model(const Program& program, const Column& column, std::span<const LanePlan> lanes);

}  // namespace mts
