// The two views of `mts inspect`: of several models that could be stitched, and of one file.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <vector>

#include <nlohmann/json.hpp>

namespace mts::tool {

struct View {
  nlohmann::ordered_json json;
  std::string text;
};

// What models share: bytes that also occur in another one.
struct Sharing {
  struct One {
    std::string name;
    int64_t nodes = 0;
    uint64_t weight_bytes = 0;  // stored
    uint64_t shared_bytes = 0;  // of these, content that another model has too
  };
  std::vector<One> models;
  uint64_t total_bytes = 0;
  uint64_t unique_bytes = 0;
  std::vector<uint64_t> bytes_in;  // [k]: content that k models have, counted once
};
Sharing sharing_of(const std::vector<Model>& models);

// A fused model (with the metadata of mts) or any other. `nodes`: lists every node with its origin.
Result<View> view_file(const Model& model, bool nodes, size_t width);

}  // namespace mts::tool
