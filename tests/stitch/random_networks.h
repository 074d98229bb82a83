// Families of random networks that share weights: one random architecture, per model a few steps of its own,
// per weight a random choice of which models share it.
#pragma once

#include <mts/graph.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mts::testing {

struct Family {
  std::vector<Model> models;
  std::vector<std::string> share_inputs;
  bool symbolic = false;  // the batch is the symbol N; else static
  std::string description;
};

// A function of the seed alone.
Family random_family(uint32_t seed);

}  // namespace mts::testing
