// `--share-input`: which inputs of the models become one graph input.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/share.h>

#include <string>
#include <vector>

namespace mts {

// Each specification is "NAME" (the inputs of that name, in every model that has one) or "name=a:x,b:y".
// Intersects the shapes ([N,3] and [1,3] give [1,3]) and writes the result back to the inputs and, for sizes
// that became fixed, to every type of the model. kUsage for an unknown name, a name that one model only has,
// different types, an empty intersection, or an input that is named twice.
Result<std::vector<SharedInput>> resolve_shared_inputs(std::vector<Model>& models,
                                                       const std::vector<std::string>& specifications);

}  // namespace mts
