// Index outputs (ArgMax, ArgMin, TopK): an index may differ from the original's where the values that it
// selects tie.
#pragma once

#include <mts/graph.h>
#include <mts/tensor.h>

#include <optional>

namespace mts::check {

struct IndexOutput {
  size_t position = 0;      // among the graph's outputs
  ValueId data = kNoValue;  // what is indexed
  int64_t axis = 0;
};

// The output at `position` when it is the indices of an ArgMax, ArgMin or TopK, possibly reshaped or cast.
std::optional<IndexOutput> index_output(const Graph& graph, size_t position);

// Whether all indices are in range and those that differ select elements of `data` that tie within `relative`
// of the largest magnitude of data.
bool ties(const IndexOutput& output, const Tensor& data, const Tensor& reference, const Tensor& fused,
          double relative);

}  // namespace mts::check
