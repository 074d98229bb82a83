// Predicted time of nodes and of changes of placement: roofline plus launch. Integer nanoseconds, so that
// plans do not depend on the machine that makes them.
#pragma once

#include "plan/layer_figures.h"
#include "plan/profile.h"
#include "rules/lane.h"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace mts {

using Nanoseconds = int64_t;

// Which efficiency curve of the profile counts.
enum class Kernel : uint8_t { kOther, kMatMul, kConvolution, kGroupedConvolution, kRecurrent };

struct Work {
  double flops = 0;
  double activation_bytes = 0;  // read and written
  double weight_bytes = 0;      // read
  double output_elements = 0;
  Kernel kernel = Kernel::kOther;
  double inputs = 1, outputs = 1;  // channels, columns or units, of a group: see DeviceProfile::matmul
  bool strided = false;            // a convolution that steps over pixels
  DType dtype = DType::kFloat32;
};

class CostModel {
 public:
  explicit CostModel(const DeviceProfile& profile) : profile_(profile) {}
  // Where a run reads so many bytes of weights in all: before one is read again, all others have been.
  CostModel with_weights(double bytes) const;

  // The same device with the prices of some layers as they were measured.
  CostModel with(std::shared_ptr<const LayerFigures> figures) const {
    CostModel corrected = *this;
    corrected.figures_ = std::move(figures);
    return corrected;
  }
  const LayerFigures* figures() const { return figures_.get(); }  // null: everything is predicted

  // Sizes with a symbol count as `kAssumedBatch` on the first axis and `kAssumedSize` elsewhere.
  static double element_count(const Type& type);
  static double bytes(const Type& type);
  // One member's node by itself.
  static Work work_of(const Node& node, std::span<const Type* const> operands, std::span<const bool> constant,
                      std::span<const Type* const> outputs);

  Nanoseconds node(const Work& work) const;
  double occupancy(const Work& work) const;  // the share of the device that it uses while it runs
  // Steps of which none waits for another, each with its cost alone and its occupancy.
  Nanoseconds side_by_side(std::span<const std::pair<Nanoseconds, double>> steps) const;
  // An elementwise node that runs inside the step that feeds it: no dispatch, and the bytes that it reads
  // beside that step's output and writes instead of it are `others`.
  Nanoseconds inside(double others, double flops) const;
  Fusion fusion() const { return profile_.fusion; }
  // What a batched matrix product costs beside its work: its weights are put in another order, which takes
  // twice what a copy does (ONNX Runtime 1.32: 0.04 us a kB in L2, 0.1 beyond it). One row reads them as they
  // are.
  Nanoseconds packing(const Work& product) const;
  // Several members as one, each with a weight of its own; `total`: the sums of their work.
  Nanoseconds group(Work total) const;
  // What LayerNormalization of a sum costs more where the device runs both as one slower step.
  Nanoseconds skip_normalization(double elements) const;
  bool joins_in_place() const { return profile_.joins_in_place; }
  Nanoseconds launch() const;
  Nanoseconds copy(double bytes, int launches) const;  // Concat, Split, Transpose: reads and writes
  size_t cache_level(double bytes) const { return profile_.cache_level(bytes); }
  double at_peak(const Work& work) const;     // seconds of its arithmetic
  double through_memory(double bytes) const;  // seconds from or to DRAM
  Nanoseconds run() const;                    // the fixed cost of a run of a model
  // A Reshape of a value of this type, `bytes` in all members; with channels last, one of an image moves
  // them.
  Nanoseconds view(const Type& type, double bytes) const;
  // A Reshape, a Transpose and a Reshape back: one step where joins are in place; else the first of them
  // moves an image with channels last too.
  Nanoseconds transpose(const Type& type, double bytes) const;

 private:
  double efficiency(const Work& work) const;  // of the peak, for what was asked for
  // Of an image that fills no block of channels: nothing reads it as it lies.
  Nanoseconds reorder(const Work& work) const;
  double together(double compute, double moving) const;  // seconds, by how far the device overlaps them

  DeviceProfile profile_;
  double all_weights_ = 0;
  std::shared_ptr<const LayerFigures> figures_;
};

}  // namespace mts
