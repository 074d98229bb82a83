// Weights that were packed for a library, kept on the device for all plans of a session.
#pragma once

#include "exec/plan.h"
#include "exec/runtime.h"

#include <map>
#include <utility>

namespace mts::exec::cuda {

class Weights {
 public:
  explicit Weights(DeviceRuntime& runtime) : runtime_(runtime) {}

  // The constant [K, C, spatial...] as [K, spatial..., C]. Packed once for each weight of the graph; a
  // constant that was folded for one plan is packed for it.
  Result<DeviceBlock> channels_last(const ExecPlan& plan, ValueIndex constant);
  // At least `bytes` of zeros.
  Result<DeviceBlock> zeros(uint64_t bytes);
  uint64_t bytes() const { return bytes_; }

 private:
  DeviceRuntime& runtime_;
  std::map<std::pair<ValueId, DType>, DeviceBlock> packed_;
  DeviceBlock zeros_;
  uint64_t zero_bytes_ = 0, bytes_ = 0;
};

}  // namespace mts::exec::cuda
