#include "exec/cpu/scan.h"

#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>

namespace mts::exec {
namespace {

// [outer, length, inner] around the axis.
struct Axes {
  int64_t outer = 1, length = 1, inner = 1;
};
Axes around(std::span<const int64_t> dims, size_t axis) {
  return {element_count(dims.first(axis)), dims[axis], element_count(dims.subspan(axis + 1))};
}

std::optional<Axes> cum_sum_axes(const ExecPlan& plan, const Step& step) {
  const PlanValue& axis = plan.value(step.inputs[1]);
  if (!axis.is_constant() || element_count(axis.dims) != 1) return std::nullopt;
  const Tensor* const tensor = plan.constants[static_cast<size_t>(axis.constant)].tensor();
  if (tensor->dtype() != DType::kInt64 && tensor->dtype() != DType::kInt32) return std::nullopt;
  const Dims& dims = plan.value(step.inputs[0]).dims;
  const auto normal = normal_axis(to_int64s(*tensor)[0], dims.size());
  return normal ? std::optional(around(dims, *normal)) : std::nullopt;
}

template <class T>
class CumSumKernel final : public Kernel {
 public:
  CumSumKernel(ValueIndex input, ValueIndex output, Axes axes, bool exclusive, bool reverse)
      : input_(input), output_(output), axes_(axes), exclusive_(exclusive), reverse_(reverse) {}

  Result<void> launch(const Pointers& pointers) override {
    const T* const from = reinterpret_cast<const T*>(pointers[input_]);
    T* const to = reinterpret_cast<T*>(pointers[output_]);
    const int64_t length = axes_.length, inner = axes_.inner, slice = length * inner;
    const int64_t first = reverse_ ? slice - inner : 0, step = reverse_ ? -inner : inner;
    parallel(axes_.outer, axes_.outer * slice, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const T* const x = from + o * slice + first;
        T* const y = to + o * slice + first;
        if (inner == 1) {
          T sum{0};
          for (int64_t k = 0; k < length; ++k) {
            const T value = x[k * step];
            y[k * step] = exclusive_ ? sum : static_cast<T>(sum + value);
            sum = static_cast<T>(sum + value);
          }
          continue;
        }
        // Row by row: each is the one before plus a row of the input.
        for (int64_t k = 0; k < length; ++k) {
          T* const row = y + k * step;
          if (k == 0 && exclusive_) {
            std::fill_n(row, inner, T{0});
          } else if (k == 0) {
            std::copy_n(x, inner, row);
          } else {
            const T* const before = row - step;
            const T* const value = x + (exclusive_ ? k - 1 : k) * step;
            for (int64_t i = 0; i < inner; ++i) row[i] = static_cast<T>(before[i] + value[i]);
          }
        }
      }
    });
    return {};
  }

 private:
  ValueIndex input_, output_;
  Axes axes_;
  bool exclusive_, reverse_;
};

// to[.., i, ..] = from[.., index[.., i, ..], ..]. An index out of range is the model's (or the caller's)
// error.
template <class T, class Index>
class GatherElementsKernel final : public Kernel {
 public:
  GatherElementsKernel(ValueIndex table, ValueIndex indices, ValueIndex output, Dims from, Dims to,
                       size_t axis, std::string node)
      : table_(table),
        indices_(indices),
        output_(output),
        to_(std::move(to)),
        strides_(row_major_strides(from)),
        axis_(axis),
        rows_(from[axis]),
        node_(std::move(node)) {}

  Result<void> launch(const Pointers& pointers) override {
    const T* const from = reinterpret_cast<const T*>(pointers[table_]);
    const Index* const indices = reinterpret_cast<const Index*>(pointers[indices_]);
    T* const to = reinterpret_cast<T*>(pointers[output_]);
    const int64_t n = to_.back(), count = element_count(to_);
    if (count == 0) return {};
    const int64_t stride = strides_[axis_], along = axis_ + 1 == to_.size() ? 0 : 1;
    std::atomic<bool> in_range = true;
    parallel(count / n, count, [&](int64_t begin, int64_t end) {
      bool inside = true;
      for (int64_t r = begin; r < end; ++r) {
        const T* const source = from + row_start(r);
        const Index* const index = indices + r * n;
        T* const target = to + r * n;
        for (int64_t i = 0; i < n; ++i) {
          int64_t at = index[i];
          at += at < 0 ? rows_ : 0;
          const bool fits = at >= 0 && at < rows_;
          inside = inside && fits;
          target[i] = source[(fits ? at : 0) * stride + i * along];
        }
      }
      if (!inside) in_range = false;
    });
    if (in_range) return {};
    return fail(ErrorCode::kModel, "an index is out of range for " + std::to_string(rows_) + " rows",
                {.file = {}, .node = node_, .value = {}});
  }

 private:
  // Of the source, without the gathered and the last axis.
  int64_t row_start(int64_t r) const {
    int64_t start = 0;
    for (size_t axis = to_.size() - 1; axis-- > 0;) {
      if (axis != axis_) start += r % to_[axis] * strides_[axis];
      r /= to_[axis];
    }
    return start;
  }

  ValueIndex table_, indices_, output_;
  Dims to_;
  std::vector<int64_t> strides_;
  size_t axis_;
  int64_t rows_;
  std::string node_;
};

template <class T>
std::unique_ptr<Kernel> make_cum_sum(const ExecPlan& plan, const Step& step) {
  const Node& node = plan.graph->node(step.node);
  return std::make_unique<CumSumKernel<T>>(step.inputs[0], step.outputs[0], *cum_sum_axes(plan, step),
                                           node.int_or("exclusive", 0) != 0, node.int_or("reverse", 0) != 0);
}

template <class T>
std::unique_ptr<Kernel> make_gather_elements(const ExecPlan& plan, const Step& step) {
  const Node& node = plan.graph->node(step.node);
  const PlanValue &table = plan.value(step.inputs[0]), &indices = plan.value(step.inputs[1]);
  const size_t axis = *normal_axis(node.int_or("axis", 0), table.dims.size());
  if (indices.dtype == DType::kInt64) {
    return std::make_unique<GatherElementsKernel<T, int64_t>>(step.inputs[0], step.inputs[1], step.outputs[0],
                                                              table.dims, indices.dims, axis, node.label());
  }
  return std::make_unique<GatherElementsKernel<T, int32_t>>(step.inputs[0], step.inputs[1], step.outputs[0],
                                                            table.dims, indices.dims, axis, node.label());
}

bool accepts_gather_elements(const ExecPlan& plan, const Step& step) {
  const PlanValue &table = plan.value(step.inputs[0]), &indices = plan.value(step.inputs[1]);
  const auto axis = normal_axis(plan.graph->node(step.node).int_or("axis", 0), table.dims.size());
  const int bits = bit_width(table.dtype);
  if (!axis || table.dims.size() != indices.dims.size() || element_count(table.dims) == 0) return false;
  for (size_t i = 0; i < table.dims.size(); ++i) {
    if (i != *axis && indices.dims[i] > table.dims[i]) return false;
  }
  return (indices.dtype == DType::kInt64 || indices.dtype == DType::kInt32) &&
         (bits == 8 || bits == 16 || bits == 32 || bits == 64);
}

}  // namespace

bool accepts_scan(const ExecPlan& plan, const Step& step) {
  if (step.node == kNoNode) return false;
  if (step.op == "GatherElements") return accepts_gather_elements(plan, step);
  if (step.op != "CumSum") return false;
  const DType dtype = plan.value(step.inputs[0]).dtype;
  const bool is_known = dtype == DType::kFloat32 || dtype == DType::kInt32 || dtype == DType::kInt64;
  return is_known && element_count(plan.value(step.inputs[0]).dims) > 0 &&
         cum_sum_axes(plan, step).has_value();
}

Result<std::unique_ptr<Kernel>> make_scan(const ExecPlan& plan, const Step& step) {
  const DType dtype = plan.value(step.inputs[0]).dtype;
  if (step.op == "CumSum") {
    if (dtype == DType::kFloat32) return make_cum_sum<float>(plan, step);
    // Unsigned, where wrapping around is defined.
    return dtype == DType::kInt32 ? make_cum_sum<uint32_t>(plan, step) : make_cum_sum<uint64_t>(plan, step);
  }
  switch (bit_width(dtype)) {
    case 8:
      return make_gather_elements<uint8_t>(plan, step);
    case 16:
      return make_gather_elements<uint16_t>(plan, step);
    case 32:
      return make_gather_elements<uint32_t>(plan, step);
    default:
      return make_gather_elements<uint64_t>(plan, step);
  }
}

}  // namespace mts::exec
