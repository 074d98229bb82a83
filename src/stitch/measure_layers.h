// Measures the layers of a program one by one, for a cost model that then prices plans with what they took.
//
// In: an undivided program, the cost model that predicts, a Tuner that measures, and seconds to spend. Each
// kind of layer (operator, attributes, types) runs as tiny models: one of its nodes apart, and 2, 4, ... and
// all of them as plans would stitch them. As many bytes as the models have weights pass through the caches
// before each run: in a network the weights of a layer were used a whole run ago (those of a tiny model that
// runs over and over stay, which made ResNets look as if stitching them did not pay). Layers that make up
// most of the predicted time come first and get most of the seconds; when these are gone the others keep
// their predicted prices. What a step that runs inside another takes is not measured: by itself it is
// something else. Results are kept in the tuner's cache, a file a layer, by device, version and layer: what
// is there is not measured again, so that a second run prices alike. Errors: those of the device. A layer
// that it cannot run by itself is left out.
#pragma once

#include "plan/cost.h"
#include "plan/program.h"

#include <mts/error.h>
#include <mts/stitch.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mts {

struct LayerMeasurement {
  uint32_t layer = kNoLayer;  // Member::layer
  Strategy strategy = Strategy::kApart;
  size_t members = 1;
  double predicted = 0, measured = 0;  // seconds of the tiny model
};

struct MeasuredLayers {
  std::vector<std::string> layers;  // what they are, by Member::layer
  std::vector<LayerMeasurement> measurements;
  double covered = 0;  // of the predicted time of everything apart: what measured layers take of it
  LayerFigures figures(LayerFigures::Scale scale) const;
};

// Numbers the layers of `program`.
Result<MeasuredLayers> measure_layers(Program& program, const CostModel& cost, const Tuner& tuner,
                                      double seconds);

}  // namespace mts
