#include "exec/cpu/fill.h"

#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mts::exec {
namespace {

std::optional<std::vector<int64_t>> content(const ExecPlan& plan, const Step& step, size_t i) {
  if (i >= step.inputs.size() || step.inputs[i] == kAbsent) return std::nullopt;
  const PlanValue& value = plan.value(step.inputs[i]);
  if (!value.is_constant()) return std::nullopt;
  const Tensor* const tensor = plan.constants[static_cast<size_t>(value.constant)].tensor();
  const bool is_index =
      tensor != nullptr && (tensor->dtype() == DType::kInt64 || tensor->dtype() == DType::kInt32);
  return is_index ? std::optional(to_int64s(*tensor)) : std::nullopt;
}
bool is_given(const Step& step, size_t i) { return i < step.inputs.size() && step.inputs[i] != kAbsent; }

// Where a position of a padded axis of `length` elements reads from; -1: it is filled.
int64_t source_of(int64_t at, int64_t length, std::string_view mode) {
  if (at >= 0 && at < length) return at;
  if (mode == "constant") return -1;
  if (mode == "edge") return at < 0 ? 0 : length - 1;
  if (mode == "wrap") return (at % length + length) % length;
  if (length == 1) return 0;  // reflect
  const int64_t period = 2 * (length - 1), phase = (at % period + period) % period;
  return phase < length ? phase : period - phase;
}

// The axes up to the last padded one; those after it are one unit.
struct Padding {
  std::vector<std::vector<int64_t>> sources;  // by axis and position
  std::vector<int64_t> strides;               // of the source, in units
  int64_t unit = 1;                           // elements
};

std::optional<Padding> padding_of(const ExecPlan& plan, const Step& step) {
  const Node& node = plan.graph->node(step.node);
  const Dims &from = plan.value(step.inputs[0]).dims, &to = plan.value(step.outputs[0]).dims;
  const std::string mode = node.string_or("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap") return std::nullopt;
  // Before opset 11 the pads are attributes, and so is the value: these are rare and stay on the reference.
  const auto pads = content(plan, step, 1);
  if (plan.opset < 11 || !pads || element_count(from) == 0) return std::nullopt;
  std::vector<int64_t> axes(from.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (is_given(step, 3)) {
    const auto given = content(plan, step, 3);
    if (!given) return std::nullopt;
    axes = *given;
  }
  if (pads->size() != 2 * axes.size()) return std::nullopt;
  std::vector<int64_t> begin(from.size(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normal_axis(axes[i], from.size());
    if (!axis || to[*axis] != from[*axis] + (*pads)[i] + (*pads)[axes.size() + i]) return std::nullopt;
    begin[*axis] = (*pads)[i];
  }
  size_t last = from.size();
  while (last > 0 && begin[last - 1] == 0 && from[last - 1] == to[last - 1]) --last;
  Padding padding;
  padding.unit = element_count(std::span(from).subspan(last));
  padding.strides.assign(last, 1);
  for (size_t axis = last; axis-- > 1;) padding.strides[axis - 1] = padding.strides[axis] * from[axis];
  for (size_t axis = 0; axis < last; ++axis) {
    std::vector<int64_t>& sources = padding.sources.emplace_back(static_cast<size_t>(to[axis]));
    for (int64_t i = 0; i < to[axis]; ++i)
      sources[static_cast<size_t>(i)] = source_of(i - begin[axis], from[axis], mode);
  }
  return padding;
}

template <class T>
class PadKernel final : public Kernel {
 public:
  PadKernel(ValueIndex input, ValueIndex value, ValueIndex output, Padding padding)
      : input_(input), value_(value), output_(output), padding_(std::move(padding)) {
    if (padding_.sources.empty()) {  // nothing is padded
      padding_.sources = {{0}};
      padding_.strides = {1};
    }
    for (size_t axis = 0; axis + 1 < padding_.sources.size(); ++axis)
      rows_ *= static_cast<int64_t>(padding_.sources[axis].size());
    // The longest piece of a row that is one copy.
    const std::vector<int64_t>& row = padding_.sources.back();
    for (size_t i = 0; i < row.size();) {
      size_t end = i + 1;
      while (end < row.size() && row[i] >= 0 && row[end] == row[end - 1] + 1) ++end;
      if (row[i] >= 0 && end - i > middle_end_ - middle_) middle_ = i, middle_end_ = end;
      i = end;
    }
  }

  Result<void> launch(const Pointers& pointers) override {
    const T* const from = reinterpret_cast<const T*>(pointers[input_]);
    T* const to = reinterpret_cast<T*>(pointers[output_]);
    const T value = value_ == kAbsent ? T{0} : *reinterpret_cast<const T*>(pointers[value_]);
    const std::vector<int64_t>& row = padding_.sources.back();
    const int64_t unit = padding_.unit, length = static_cast<int64_t>(row.size()) * unit;
    parallel(rows_, rows_ * length, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        T* const target = to + r * length;
        const int64_t start = row_start(r);
        if (start < 0) {
          std::fill_n(target, length, value);
          continue;
        }
        const T* const source = from + start * unit;
        const auto edge = [&](size_t first, size_t last) {
          for (size_t i = first; i < last; ++i) {
            T* const at = target + static_cast<int64_t>(i) * unit;
            if (row[i] < 0) {
              std::fill_n(at, unit, value);
            } else {
              std::copy_n(source + row[i] * unit, unit, at);
            }
          }
        };
        edge(0, middle_);
        if (middle_end_ > middle_) {
          std::memcpy(target + static_cast<int64_t>(middle_) * unit, source + row[middle_] * unit,
                      (middle_end_ - middle_) * static_cast<size_t>(unit) * sizeof(T));
        }
        edge(middle_end_, row.size());
      }
    });
    return {};
  }

 private:
  // In units of the source; -1: the row is filled.
  int64_t row_start(int64_t r) const {
    int64_t start = 0;
    for (size_t axis = padding_.sources.size() - 1; axis-- > 0;) {
      const auto extent = static_cast<int64_t>(padding_.sources[axis].size());
      const int64_t source = padding_.sources[axis][static_cast<size_t>(r % extent)];
      if (source < 0) return -1;
      start += source * padding_.strides[axis];
      r /= extent;
    }
    return start;
  }

  ValueIndex input_, value_, output_;
  Padding padding_;
  int64_t rows_ = 1;
  size_t middle_ = 0, middle_end_ = 0;
};

// What a row keeps begins (upper) or ends (lower) at row + k.
template <class T>
class TriluKernel final : public Kernel {
 public:
  TriluKernel(ValueIndex input, ValueIndex output, const Dims& dims, int64_t k, bool upper)
      : input_(input),
        output_(output),
        rows_(dims[dims.size() - 2]),
        columns_(dims.back()),
        count_(element_count(dims)),
        k_(std::clamp(k, -rows_ - columns_, rows_ + columns_)),
        upper_(upper) {}

  Result<void> launch(const Pointers& pointers) override {
    if (count_ == 0) return {};
    parallel(count_ / columns_, count_, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* const from = reinterpret_cast<const T*>(pointers[input_]) + r * columns_;
        T* const to = reinterpret_cast<T*>(pointers[output_]) + r * columns_;
        const int64_t edge = std::clamp<int64_t>(r % rows_ + k_ + (upper_ ? 0 : 1), 0, columns_);
        const int64_t first = upper_ ? edge : 0, last = upper_ ? columns_ : edge;
        std::fill(to, to + first, T{0});
        std::copy(from + first, from + last, to + first);
        std::fill(to + last, to + columns_, T{0});
      }
    });
    return {};
  }

 private:
  ValueIndex input_, output_;
  int64_t rows_, columns_, count_, k_;
  bool upper_;
};

template <class T>
std::unique_ptr<Kernel> make(const ExecPlan& plan, const Step& step) {
  if (step.op == "Trilu") {
    const auto k = content(plan, step, 1);
    return std::make_unique<TriluKernel<T>>(step.inputs[0], step.outputs[0], plan.value(step.inputs[0]).dims,
                                            k ? k->at(0) : 0,
                                            plan.graph->node(step.node).int_or("upper", 1) != 0);
  }
  const bool has_value = is_given(step, 2) && element_count(plan.value(step.inputs[2]).dims) == 1;
  return std::make_unique<PadKernel<T>>(step.inputs[0], has_value ? step.inputs[2] : kAbsent, step.outputs[0],
                                        *padding_of(plan, step));
}

}  // namespace

bool accepts_fill(const ExecPlan& plan, const Step& step) {
  if (step.node == kNoNode || (step.op != "Pad" && step.op != "Trilu")) return false;
  const PlanValue& input = plan.value(step.inputs[0]);
  const int bits = bit_width(input.dtype);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) return false;
  if (step.op == "Trilu") {
    const auto k = content(plan, step, 1);
    return input.dims.size() >= 2 && (!is_given(step, 1) || (k && k->size() == 1));
  }
  if (is_given(step, 2)) {
    const PlanValue& value = plan.value(step.inputs[2]);
    if (value.dtype != input.dtype || element_count(value.dims) > 1) return false;
  }
  return padding_of(plan, step).has_value();
}

Result<std::unique_ptr<Kernel>> make_fill(const ExecPlan& plan, const Step& step) {
  switch (bit_width(plan.value(step.inputs[0]).dtype)) {
    case 8:
      return make<uint8_t>(plan, step);
    case 16:
      return make<uint16_t>(plan, step);
    case 32:
      return make<uint32_t>(plan, step);
    default:
      return make<uint64_t>(plan, step);
  }
}

}  // namespace mts::exec
