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
#include <optional>
#include <string>
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
  kLayers,     // as by sharers, in some layers; the weights of others stay whole
};
struct Splitting {
  Depth depth = Depth::kFull;
  std::vector<uint32_t> layers = {};  // kLayers: LayerSplit::set of those that are taken apart
};
std::string name_of(const Splitting& splitting);               // "full", "by_sharers", "large", "layers 3 7"
std::optional<Splitting> splitting_of(std::string_view name);  // none: it is no such name

// A part of the weight of corresponding layers.
struct LayerPart {
  double rows = 1, columns = 1;  // shares of the whole layer's
  uint32_t models = 1;           // that have this very content
};
// What corresponding layers would come apart into, so that a planner can say which ones pay.
struct LayerSplit {
  uint32_t set = 0;  // the same for models of the same structure
  uint32_t model = 0;
  NodeId node = kNoNode;              // the layer, in `model`
  uint32_t layers = 0;                // that correspond: of so many models
  size_t row_groups = 1;              // of the model with the most: outputs that are put together again
  size_t column_groups = 1;           // inputs that are read apart
  std::vector<LayerPart> parts = {};  // each content once
};
// By sharers. Only layers whose weights are shared in part; in order of `set`.
std::vector<LayerSplit> possible_splits(const std::vector<Model>& models,
                                        const std::vector<SharedInput>& shared_inputs);

Result<Report> split_shared_parts(std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs,
                                  const Splitting& splitting = {});

}  // namespace mts::partial
