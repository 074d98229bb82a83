// The picture of `mts inspect`: models x layers, how much of each layer another model has too.
#pragma once

#include "share/layer_sharing.h"

#include <mts/error.h>
#include <mts/graph.h>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace mts::tool {

// Canonicalises and aligns the models; the layers in their order.
Result<std::vector<share::LayerSharing>> layers_of(std::vector<Model> models);

// One line a model, one column a layer: percentages where they fit, else shades; neighbouring layers share a
// column where there are too many for `width` (0: 80). Columns stand together as the layers' names do. Below,
// where the bytes lie. Empty when no layer has weights. `colour`: with the escapes of a terminal.
std::string matrix_text(const std::vector<std::string>& models,
                        const std::vector<share::LayerSharing>& layers, size_t width, bool colour);
nlohmann::ordered_json matrix_json(const std::vector<std::string>& models,
                                   const std::vector<share::LayerSharing>& layers);

}  // namespace mts::tool
