// What the families ask of a plan's values.
#pragma once

#include "exec/cpu/iteration.h"
#include "exec/cuda/kernels/float_type.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/scalar_type.h"
#include "exec/geometry.h"
#include "exec/layout.h"
#include "exec/plan.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace mts::exec::cuda {

std::optional<FloatType> float_type_of(DType dtype);
std::optional<ScalarType> scalar_type_of(DType dtype);
// Bytes of an element; nothing for types of less than a byte, strings and the like.
std::optional<int32_t> width_of(DType dtype);

// Static, with less than 2^31 elements (absent values fit).
bool fits(const ExecPlan& plan, ValueIndex v);
bool all_fit(const ExecPlan& plan, const Step& step);
bool all_row_major(const ExecPlan& plan, const Step& step);
// Every given input and output is of one floating-point type; which.
std::optional<FloatType> common_float_type(const ExecPlan& plan, const Step& step);

const Node* node_of(const ExecPlan& plan, const Step& step);
bool has_input(const Step& step, size_t i);  // of the node's own, given
// The content of a constant integer operand; nothing when it is absent or not known.
std::optional<std::vector<int64_t>> known_ints(const ExecPlan& plan, const Step& step, size_t i);
const Tensor* known(const ExecPlan& plan, ValueIndex v);

// Element strides, by ONNX axis, of an operand that is broadcast to `target` dims (0 along broadcast axes).
std::vector<int64_t> strides_in(const PlanValue& value, std::span<const int64_t> target);

// The nest over `dims` with one stride vector an operand, axes merged; nothing when more than kMaxAxes are
// left.
template <int K>
std::optional<Nest<K>> nest_of(std::span<const int64_t> dims, std::span<const std::vector<int64_t>> strides) {
  const std::vector<Axis> axes = merge_axes(dims, strides);
  if (axes.size() > static_cast<size_t>(kMaxAxes)) return std::nullopt;
  Nest<K> nest;
  nest.axes = static_cast<int32_t>(axes.size());
  int64_t count = 1;
  for (size_t a = 0; a < axes.size(); ++a) {
    count *= axes[a].extent;
    nest.extents[a] = Divisor(axes[a].extent);
    for (size_t k = 0; k < strides.size(); ++k) nest.strides[k][a] = axes[a].strides[k];
  }
  if (count > std::numeric_limits<int32_t>::max()) return std::nullopt;
  nest.count = static_cast<uint32_t>(count);
  return nest;
}

}  // namespace mts::exec::cuda
