// What a model stores: every constant of its graph and subgraphs, wherever it is written (initializers,
// Constant nodes and other tensor attributes), and how much of it is the same content.
#pragma once

#include <mts/graph.h>
#include <mts/weight.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mts::check {

struct Stored {
  std::string name;  // of the initializer, or label of the node with the attribute
  DType dtype = DType::kUndefined;
  Dims dims;
  uint64_t bytes = 0;
  Digest digest;
};
std::vector<Stored> stored_in(const Graph& graph);

// Content -> bytes, over all of them.
using Contents = std::map<Digest, uint64_t>;
Contents contents_of(const std::vector<Stored>& stored);  // weights only (is_weight)
uint64_t total(const Contents& contents);

int64_t node_count(const Graph& graph);  // nodes of subgraphs included

}  // namespace mts::check
