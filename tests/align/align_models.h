// Runs the steps up to alignment, and asks the result.
#pragma once

#include "src/align/check.h"
#include "tests/share/graph_builder.h"

#include <mts/align.h>

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace mts::testing {

inline Alignment align_models(const std::vector<Model>& models, const std::vector<SharedInput>& shared = {}) {
  for (const Model& model : models) {
    const auto valid = verify_ir(model);
    EXPECT_TRUE(valid.has_value()) << (valid ? "" : valid.error().to_string());
  }
  const WeightClasses classes = classify_weights(models);
  Alignment result = align(models, classes, number_values(models, classes, shared));
  const auto checked = alignment::check_alignment(models, result);
  EXPECT_TRUE(checked.has_value()) << (checked ? "" : checked.error().to_string());
  return result;
}

inline size_t set_index(const Alignment& alignment, size_t m, NodeId node) {
  for (size_t i = 0; i < alignment.sets.size(); ++i)
    if (alignment.sets[i].nodes[m] == node) return i;
  return alignment.sets.size();
}

inline bool together(const Alignment& alignment, NodeId a, NodeId b, size_t model_a = 0, size_t model_b = 1) {
  return set_index(alignment, model_a, a) == set_index(alignment, model_b, b);
}

// Sets with a node of every model.
inline size_t full_sets(const Alignment& alignment) {
  size_t count = 0;
  for (const AlignedSet& set : alignment.sets) {
    bool full = true;
    for (const NodeId id : set.nodes) full = full && id != kNoNode;
    count += full ? 1 : 0;
  }
  return count;
}

}  // namespace mts::testing
