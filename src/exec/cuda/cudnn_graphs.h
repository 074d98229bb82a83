// Calls as cuDNN graphs with a plan chosen. The only header for cudnn-frontend's source file, and free of it.
//
// In: a call, and the properties of a device: those of the one at hand, or of any from a file, with no GPU
// and no driver anywhere. So every graph that the executor would build can be checked on any machine that has
// cuDNN's libraries. Errors: kDevice where cuDNN has no plan.
#pragma once

#include "exec/cuda/library_calls.h"

#include <memory>
#include <string>
#include <vector>

namespace mts::exec::cuda {

class CudnnPlan : public PreparedCall {
 public:
  virtual std::string name() const = 0;  // cuDNN's name of the engine and its knobs
};

class CudnnGraphs {
 public:
  virtual ~CudnnGraphs() = default;
  using Plans = std::vector<std::shared_ptr<CudnnPlan>>;
  // The first `most` plans that can be built, in the order of cuDNN's heuristics; at least one.
  virtual Result<Plans> build(const ConvCall& call, size_t most) = 0;
  virtual Result<Plans> build(const PoolCall& call, size_t most) = 0;
};

// For the current device; plans can be enqueued.
Result<std::unique_ptr<CudnnGraphs>> cudnn_graphs();
// For the device that `properties_json` describes (cudnn-frontend's DeviceProperties); plans cannot be
// enqueued.
Result<std::unique_ptr<CudnnGraphs>> cudnn_graphs_without_device(const std::string& properties_json);
std::string cudnn_version();

}  // namespace mts::exec::cuda
