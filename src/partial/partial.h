// Sharing below the tensor: models are rewritten so that what they share inside a weight (rows, blocks) is a
// weight of its own. Everything after this works on whole tensors.
//
// in:  canonical models with inferred types
// out: models with the same interface and the same numbers (up to the order of summation), in which no shared
//      row or block stands inside a bigger weight; unchanged where nothing is shared in part
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/share.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace mts::partial {

struct Report {
  int64_t row_splits = 0;  // aligned sets of layers of which some rows are apart
  int64_t block_splits = 0;
  int64_t tables = 0;    // embedding tables that became one with others
  bool changed = false;  // types have to be inferred again
};

// How far weights are taken apart. In full every shared element is stored once; less is faster.
enum class Depth : uint8_t {
  kFull,
  kBySharers,  // rows and columns by the models that have them, whatever else is shared inside; no parts of
               // heads
  kLarge,      // of these, what is at least a quarter of a layer
};
std::string_view name_of(Depth depth);  // "full", "by_sharers", "large"

Result<Report> split_shared_parts(std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs,
                                  Depth depth = Depth::kFull);

}  // namespace mts::partial
