// Equality of attributes, for whoever asks whether two nodes are the same operator.
#pragma once

#include <mts/graph.h>

namespace mts {

// Same kind and same value: tensors by dims and content, floats by their bits (a NaN equals itself, -0 is not
// 0). Subgraphs are never equal: share/encode.h compares those.
bool same_value(const AttributeValue& a, const AttributeValue& b);

}  // namespace mts
