// What the cost model knows of a device. The profiles that mts ships lie in src/plan/profiles/ as JSON, one
// file each, and are compiled in; `mts calibrate` writes one for the machine at hand.
// src/plan/profiles/README.md describes the format.
#pragma once

#include <mts/dtype.h>
#include <mts/error.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

// Bytes per second. Convolutions and matrix products come back to what they read, and wait for it: each byte
// of their operands costs more outside the innermost cache than it does a step that streams.
struct Bandwidth {
  double streaming = 0;
  double reuse = 0;
};

// For a work set of at most `bytes`.
struct CacheLevel {
  std::string name;  // "L2"
  double bytes = 0;
  Bandwidth bandwidth = {};
};

// The share of the peak that an operator reaches with this many channels; see efficiency_at().
struct EfficiencyPoint {
  double channels = 0;
  double efficiency = 0;  // in (0, 1]
};
using EfficiencyCurve = std::vector<EfficiencyPoint>;  // ascending in channels, not empty

// Which elementwise steps run inside the step that feeds them.
enum class Fusion : uint8_t {
  kNone,
  kConvolution,  // of images: activations, sums and normalizations behind a convolution; of others: all
  kAny,
};

struct DeviceProfile {
  std::string name;
  bool is_cpu = false;
  std::vector<std::string> sources;     // where the figures come from
  std::map<DType, double> flops = {};   // peak per second; of float32 at least
  std::vector<CacheLevel> caches = {};  // from the smallest to the largest
  Bandwidth memory_bandwidth = {};      // of DRAM
  double cores = 1;                     // cores of a CPU, multiprocessors of a GPU
  double core_elements = 1;             // output elements that keep one of them busy
  double parallel_steps = 1;            // that run side by side where none waits for another
  double dispatch_seconds = 0;          // fixed cost of a step
  double view_seconds = 0;              // of a Reshape
  double copy_efficiency = 1;  // of Concat, Split and Transpose: share of the bandwidth that they reach
  double run_seconds = 0;      // fixed cost of a run of a model
  double overlap = 1;          // share of the lesser of computing and moving bytes hidden behind the other
  Fusion fusion = Fusion::kNone;
  bool joins_in_place = false;  // Concat and Split along the first axis move nothing
  bool channels_last = false;   // of images: a Reshape between their batch and channels moves the bytes
  double skip_normalization_seconds =
      0;  // what LayerNormalization of a sum with three axes costs more, an element
  bool packs_group_weights = false;  // of batched matrix products, at every run; shared ones are packed once
  // Convolutions compute their channels in blocks, the rest of the last one for nothing; inputs that are
  // fewer than a block are no block.
  double input_block = 1, output_block = 1;
  EfficiencyCurve matmul = {{1, 1}};               // by the least of the rows of the weight and its columns
  EfficiencyCurve convolution = {{1, 1}};          // by the least of input and output channels, in blocks
  EfficiencyCurve grouped_convolution = {{1, 1}};  // by the output channels of a group; 1: depthwise
  double strided_groups = 1;             // share of that which grouped convolutions with strides reach
  EfficiencyCurve recurrent = {{1, 1}};  // by the hidden size

  // The channels that a convolution computes for so many.
  double computed_inputs(double channels) const;
  double computed_outputs(double channels) const;
  double flops_of(DType dtype) const;              // of float32 where the type has no figure of its own
  size_t cache_level(double bytes) const;          // the smallest that holds them; their number for DRAM
  const Bandwidth& bandwidth(double bytes) const;  // of that level
};

// Straight lines between the points, level outside of them.
double efficiency_at(const EfficiencyCurve& curve, double channels);

// Of the profiles that mts ships, the default first.
std::span<const std::string_view> profile_names();
// kUsage with the known names when there is none of that name.
Result<DeviceProfile> find_profile(std::string_view name);
// `target` is a name, or a path that ends in ".json". kIo when the file cannot be read; kUsage, with the file
// and the field, when it is malformed.
Result<DeviceProfile> load_profile(const std::string& target);

// `file` is for messages. Every field is required, unknown ones are refused.
Result<DeviceProfile> parse_profile(std::string_view json, const std::string& file);
std::string to_json(const DeviceProfile& profile);  // parse_profile() reads it

}  // namespace mts
