// Random tensors, their comparison, and an exit to other engines.
#pragma once

#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <string>

namespace mts::testing {

// Drawn from [low, high]; a function of the arguments alone.
Tensor random_tensor(DType dtype, const Dims& dims, double low, double high, uint32_t seed);
WeightPtr weight_of(const Tensor& tensor);

// Empty when equal within `tolerance` of the largest magnitude (0: bit for bit, NaNs alike); else what
// differs.
std::string compare(const Tensor& actual, const Tensor& expected, double tolerance);

// With MTS_DUMP_RULES=DIR in the environment, writes the model into the folder, so that another engine can
// load it.
void dump_model(Model& model, const std::string& name, int64_t opset);

}  // namespace mts::testing
