// Families of random graphs: a random DAG and mutated copies of it.
#pragma once

#include "tests/share/graph_builder.h"

#include <cstdint>
#include <random>
#include <vector>

namespace mts::testing {

// A graph as a list, so that it can be mutated and laid out in any topological order.
struct Recipe {
  struct Step {
    int id = 0;  // survives mutation: equal ids in two copies are the same node
    int op = 0;
    std::vector<int> operands;  // ids; -1 - i: the i-th input
    int weight = 0;             // 0: none
    int64_t width = 4;
  };
  int inputs = 1;
  std::vector<Step> steps;
};

struct RandomModel {
  Model model;
  std::vector<NodeId> node_of;  // by step id; kNoNode: not in this copy
};

class RandomModels {
 public:
  explicit RandomModels(uint32_t seed) : random_(seed) {}

  Recipe recipe(int size);
  Recipe mutate(Recipe recipe, int mutations);
  // Laid out in a random topological order when `shuffled`, else in the recipe's.
  RandomModel build(const Recipe& recipe, bool shuffled);
  int below(int bound) { return static_cast<int>(random_() % static_cast<uint32_t>(bound)); }

 private:
  Recipe::Step step(const std::vector<int>& available);

  std::mt19937 random_;
  int next_id_ = 0;
  int next_weight_ = 1;
};

}  // namespace mts::testing
