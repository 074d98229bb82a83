#include "exec/cpu/rows.h"

#include "exec/cpu/iteration.h"
#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"
#include "exec/geometry.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace mts::exec {
namespace {

const float* floats(const Pointers& pointers, ValueIndex v) {
  return v == kAbsent ? nullptr : reinterpret_cast<const float*>(pointers[v]);
}
float* mutable_floats(const Pointers& pointers, ValueIndex v) {
  return reinterpret_cast<float*>(pointers[v]);
}

class SoftmaxKernel final : public Kernel {
 public:
  SoftmaxKernel(ValueIndex input, ValueIndex output, int64_t rows, int64_t length, bool logarithm)
      : input_(input), output_(output), rows_(rows), length_(length), logarithm_(logarithm) {}
  Result<void> launch(const Pointers& pointers) override {
    const TileOps& ops = tile_ops();
    const float* const from = floats(pointers, input_);
    float* const to = mutable_floats(pointers, output_);
    parallel(rows_, rows_ * length_ * 8, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float* const x = from + r * length_;
        float* const y = to + r * length_;
        if (!logarithm_) {
          ops.softmax(y, x, length_);
          continue;
        }
        const float top = ops.max(x, length_);
        ops.elementwise[static_cast<size_t>(ElementOp::kLinear)](y, x, x, length_, 1.f, -top);
        ops.elementwise[static_cast<size_t>(ElementOp::kExp)](y, y, y, length_, 0.f, 0.f);
        const float shift = -top - std::log(ops.sum(y, length_));
        ops.elementwise[static_cast<size_t>(ElementOp::kLinear)](y, x, x, length_, 1.f, shift);
      }
    });
    return {};
  }

 private:
  ValueIndex input_, output_;
  int64_t rows_, length_;
  bool logarithm_;
};

// Softmax and LogSoftmax along an axis that is not the last: pieces of the `inner` columns at a time, element
// by element over whole rows of them.
class ColumnSoftmaxKernel final : public Kernel {
 public:
  ColumnSoftmaxKernel(ValueIndex input, ValueIndex output, int64_t outer, int64_t length, int64_t inner,
                      bool logarithm)
      : input_(input),
        output_(output),
        outer_(outer),
        length_(length),
        inner_(inner),
        logarithm_(logarithm) {}

  Result<void> launch(const Pointers& pointers) override {
    const float* const from = floats(pointers, input_);
    float* const to = mutable_floats(pointers, output_);
    const int64_t pieces = (inner_ + kPiece - 1) / kPiece;
    parallel(outer_ * pieces, outer_ * length_ * inner_ * 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i % pieces * kPiece, offset = i / pieces * length_ * inner_ + first;
        columns(to + offset, from + offset, std::min(kPiece, inner_ - first));
      }
    });
    return {};
  }

 private:
  static constexpr int64_t kPiece = 256;

  void columns(float* y, const float* x, int64_t n) const {
    const TileOps& ops = tile_ops();
    const auto run = [&](ElementOp op, float* out, const float* a, const float* b) {
      ops.elementwise[static_cast<size_t>(op)](out, a, b, n, 0.f, 0.f);
    };
    alignas(64) float top[kPiece], sum[kPiece], piece[kPiece];
    std::copy_n(x, n, top);
    for (int64_t r = 1; r < length_; ++r) run(ElementOp::kMax, top, top, x + r * inner_);
    std::fill_n(sum, n, 0.f);
    for (int64_t r = 0; r < length_; ++r) {
      float* const out = logarithm_ ? piece : y + r * inner_;
      run(ElementOp::kSub, out, x + r * inner_, top);
      run(ElementOp::kExp, out, out, out);
      run(ElementOp::kAdd, sum, sum, out);
    }
    if (logarithm_) {
      run(ElementOp::kLog, sum, sum, sum);
      run(ElementOp::kAdd, top, top, sum);
    } else {
      run(ElementOp::kReciprocal, sum, sum, sum);
    }
    for (int64_t r = 0; r < length_; ++r) {
      float* const out = y + r * inner_;
      if (logarithm_) {
        run(ElementOp::kSub, out, x + r * inner_, top);
      } else {
        run(ElementOp::kMul, out, out, sum);
      }
    }
  }

  ValueIndex input_, output_;
  int64_t outer_, length_, inner_;
  bool logarithm_;
};

// LayerNormalization and RMSNormalization: scale and bias along the row. Instance- and GroupNormalization:
// rows are (sample, group), scale and bias one a channel of `run` elements.
class NormaliseKernel final : public Kernel {
 public:
  struct Shape {
    int64_t rows = 0, length = 0;
    int64_t run = 1;     // 1: scale along the row; else elements a channel
    int64_t groups = 1;  // rows with different channels follow each other
    float epsilon = 0.f;
    bool centred = true;  // RMSNormalization is not
  };
  NormaliseKernel(ValueIndex input, ValueIndex scale, ValueIndex bias, ValueIndex output, Shape shape,
                  bool along_row)
      : input_(input), scale_(scale), bias_(bias), output_(output), shape_(shape), along_row_(along_row) {}

  Result<void> launch(const Pointers& pointers) override {
    const TileOps& ops = tile_ops();
    const float* const from = floats(pointers, input_);
    const float* const scale = floats(pointers, scale_);
    const float* const bias = floats(pointers, bias_);
    float* const to = mutable_floats(pointers, output_);
    const int64_t length = shape_.length;
    parallel(shape_.rows, shape_.rows * length * 2, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float* const x = from + r * length;
        float* const y = to + r * length;
        const auto n = static_cast<float>(length);
        const float mean = shape_.centred ? ops.sum(x, length) / n : 0.f;
        const float inverse = 1.f / std::sqrt(ops.sum_of_squares(x, length, mean) / n + shape_.epsilon);
        if (along_row_) {
          ops.normalise(y, x, scale, bias, length, mean, inverse);
          continue;
        }
        const int64_t channels = length / shape_.run, first = r % shape_.groups * channels;
        for (int64_t c = 0; c < channels; ++c) {
          const float slope = inverse * (scale == nullptr ? 1.f : scale[first + c]);
          const float shift = (bias == nullptr ? 0.f : bias[first + c]) - mean * slope;
          ops.elementwise[static_cast<size_t>(ElementOp::kLinear)](y + c * shape_.run, x + c * shape_.run, x,
                                                                   shape_.run, slope, shift);
        }
      }
    });
    return {};
  }

 private:
  ValueIndex input_, scale_, bias_, output_;
  Shape shape_;
  bool along_row_;
};

enum class Reduction { kSum, kMean, kMax, kMin, kSumSquare, kL2, kL1 };

// The output's elements are the outer loops; the reduced axes are walked for each, contiguous ones in one go.
// When the innermost axis is kept, whole rows are combined instead.
class ReduceKernel final : public Kernel {
 public:
  ReduceKernel(Reduction reduction, ValueIndex input, ValueIndex output, std::vector<Axis> kept,
               std::vector<Axis> reduced)
      : reduction_(reduction),
        input_(input),
        output_(output),
        kept_(std::move(kept)),
        reduced_(std::move(reduced)) {
    for (const Axis& axis : reduced_) count_ *= axis.extent;
    rows_together_ =
        kept_.back().strides[1] == 1 && reduced_.back().strides[0] != 1 && kept_.back().extent > 1;
  }

  Result<void> launch(const Pointers& pointers) override {
    const float* const from = floats(pointers, input_);
    float* const to = mutable_floats(pointers, output_);
    const int64_t outer = outer_count(kept_), inner = kept_.back().extent;
    parallel(outer, outer * inner * count_, [&](int64_t begin, int64_t end) {
      OuterWalk walk(kept_, begin);
      for (int64_t i = begin; i < end; ++i, walk.next()) {
        if (rows_together_) {
          reduce_rows(to + walk.offset(0), from + walk.offset(1), inner);
          continue;
        }
        for (int64_t j = 0; j < inner; ++j) {
          to[walk.offset(0) + j * kept_.back().strides[0]] =
              finish(reduce_one(from + walk.offset(1) + j * kept_.back().strides[1]));
        }
      }
    });
    return {};
  }

 private:
  float start() const {
    return reduction_ == Reduction::kMax   ? -std::numeric_limits<float>::infinity()
           : reduction_ == Reduction::kMin ? std::numeric_limits<float>::infinity()
                                           : 0.f;
  }
  float combine(float total, float x) const {
    switch (reduction_) {
      case Reduction::kMax:
        return x > total || std::isnan(x) ? x : total;
      case Reduction::kMin:
        return x < total || std::isnan(x) ? x : total;
      default:
        return total + x;
    }
  }
  float term(float x) const {
    switch (reduction_) {
      case Reduction::kSumSquare:
      case Reduction::kL2:
        return x * x;
      case Reduction::kL1:
        return std::abs(x);
      default:
        return x;
    }
  }
  float finish(float total) const {
    if (reduction_ == Reduction::kMean) return total / static_cast<float>(count_);
    return reduction_ == Reduction::kL2 ? std::sqrt(total) : total;
  }

  float reduce_one(const float* from) const {
    if (reduced_.size() == 1) return reduce_run(start(), from);
    float total = start();
    OuterWalk walk(reduced_, 0);
    const int64_t outer = outer_count(reduced_);
    for (int64_t i = 0; i < outer; ++i, walk.next()) total = reduce_run(total, from + walk.offset(0));
    return total;
  }

  // The innermost reduced axis.
  float reduce_run(float total, const float* x) const {
    const int64_t length = reduced_.back().extent, stride = reduced_.back().strides[0];
    if (stride == 1) {
      switch (reduction_) {
        case Reduction::kSum:
        case Reduction::kMean:
          return total + ops_.sum(x, length);
        case Reduction::kMax:
          return combine(total, ops_.max(x, length));
        case Reduction::kMin:
          return combine(total, ops_.min(x, length));
        case Reduction::kSumSquare:
        case Reduction::kL2:
          return total + ops_.sum_of_squares(x, length, 0.f);
        case Reduction::kL1:
          break;
      }
    }
    for (int64_t j = 0; j < length; ++j) total = combine(total, term(x[j * stride]));
    return total;
  }

  void reduce_rows(float* to, const float* from, int64_t n) const {
    constexpr int64_t kPiece = 256;
    for (int64_t first = 0; first < n; first += kPiece) {
      const int64_t length = std::min(kPiece, n - first);
      float totals[kPiece];
      std::fill_n(totals, length, start());
      OuterWalk walk(reduced_, 0);
      const int64_t outer = outer_count(reduced_), rows = reduced_.back().extent,
                    stride = reduced_.back().strides[0];
      for (int64_t i = 0; i < outer; ++i, walk.next()) {
        for (int64_t r = 0; r < rows; ++r) {
          const float* const x = from + walk.offset(0) + r * stride + first;
          switch (reduction_) {
            case Reduction::kSum:
            case Reduction::kMean:
              for (int64_t j = 0; j < length; ++j) totals[j] += x[j];
              break;
            case Reduction::kMax:
              ops_.elementwise[static_cast<size_t>(ElementOp::kMax)](totals, totals, x, length, 0.f, 0.f);
              break;
            case Reduction::kMin:
              ops_.elementwise[static_cast<size_t>(ElementOp::kMin)](totals, totals, x, length, 0.f, 0.f);
              break;
            case Reduction::kL1:
              for (int64_t j = 0; j < length; ++j) totals[j] += std::abs(x[j]);
              break;
            case Reduction::kSumSquare:
            case Reduction::kL2:
              for (int64_t j = 0; j < length; ++j) totals[j] += x[j] * x[j];
              break;
          }
        }
      }
      for (int64_t j = 0; j < length; ++j) to[(first + j) * kept_.back().strides[0]] = finish(totals[j]);
    }
  }

  Reduction reduction_;
  ValueIndex input_, output_;
  const TileOps& ops_ = tile_ops();
  std::vector<Axis> kept_, reduced_;  // kept_: operands output, input; reduced_: input
  int64_t count_ = 1;
  bool rows_together_ = false;
};

std::optional<Reduction> reduction_of(const Step& step) {
  static constexpr std::pair<std::string_view, Reduction> kReductions[] = {
      {"ReduceSum", Reduction::kSum},
      {"ReduceMean", Reduction::kMean},
      {"ReduceMax", Reduction::kMax},
      {"ReduceMin", Reduction::kMin},
      {"ReduceSumSquare", Reduction::kSumSquare},
      {"ReduceL2", Reduction::kL2},
      {"ReduceL1", Reduction::kL1}};
  for (const auto& [name, reduction] : kReductions) {
    if (name == step.op) return reduction;
  }
  return std::nullopt;
}

// From opset 13 on one axis (default: the last); before, all axes from `axis` (default 1) on.
struct Rows {
  int64_t rows, length, inner;
};
std::optional<Rows> softmax_rows(const ExecPlan& plan, const Step& step) {
  const Node& node = plan.graph->node(step.node);
  const Dims& dims = plan.value(step.inputs[0]).dims;
  const bool flat = plan.opset < 13;
  const auto axis = normal_axis(node.int_or("axis", flat ? 1 : -1), dims.size());
  if (!axis) return std::nullopt;
  const std::span<const int64_t> all = dims;
  if (flat) return Rows{element_count(all.first(*axis)), element_count(all.subspan(*axis)), 1};
  return Rows{element_count(all.first(*axis)), dims[*axis], element_count(all.subspan(*axis + 1))};
}

std::optional<std::pair<NormaliseKernel::Shape, bool>> normalise_shape(const ExecPlan& plan,
                                                                       const Step& step) {
  const Node& node = plan.graph->node(step.node);
  const Dims& dims = plan.value(step.inputs[0]).dims;
  const std::span<const int64_t> all = dims;
  NormaliseKernel::Shape shape;
  shape.epsilon = node.float_or("epsilon", 1e-5f);
  const auto count = [&](size_t i) {
    return static_cast<int32_t>(i) < step.node_inputs && step.inputs[i] != kAbsent
               ? element_count(plan.value(step.inputs[i]).dims)
               : -1;
  };
  if (step.op == "LayerNormalization" || step.op == "RMSNormalization") {
    const auto axis = normal_axis(node.int_or("axis", -1), dims.size());
    if (!axis || step.outputs.size() != 1) return std::nullopt;
    shape.centred = step.op == "LayerNormalization";
    shape.rows = element_count(all.first(*axis));
    shape.length = element_count(all.subspan(*axis));
    if (count(1) != shape.length || (count(2) != -1 && count(2) != shape.length)) return std::nullopt;
    return std::pair(shape, true);
  }
  if (dims.size() < 3) return std::nullopt;
  const int64_t groups = step.op == "GroupNormalization" ? node.int_or("num_groups", 0) : dims[1];
  if (groups < 1 || dims[1] % groups != 0 || count(1) != dims[1] || count(2) != dims[1]) return std::nullopt;
  shape.run = element_count(all.subspan(2));
  shape.groups = groups;
  shape.rows = dims[0] * groups;
  shape.length = dims[1] / groups * shape.run;
  return std::pair(shape, false);
}

}  // namespace

bool accepts_rows(const ExecPlan& plan, const Step& step) {
  for (const std::vector<ValueIndex>* list : {&step.inputs, &step.outputs}) {
    for (ValueIndex v : *list) {
      const bool is_axes = reduction_of(step) && v != step.inputs[0] && list == &step.inputs;
      if (v != kAbsent && !is_axes &&
          (plan.value(v).dtype != DType::kFloat32 || element_count(plan.value(v).dims) == 0))
        return false;
    }
  }
  if (step.op == "Softmax" || step.op == "LogSoftmax") return softmax_rows(plan, step).has_value();
  if (step.op == "LayerNormalization" || step.op == "RMSNormalization" ||
      step.op == "InstanceNormalization" || step.op == "GroupNormalization") {
    return normalise_shape(plan, step).has_value();
  }
  return reduction_of(step).has_value() && plan.graph->node(step.node).int_or("noop_with_empty_axes", 0) == 0;
}

Result<std::unique_ptr<Kernel>> make_rows(const ExecPlan& plan, const Step& step) {
  const PlanValue& input = plan.value(step.inputs[0]);
  if (step.op == "Softmax" || step.op == "LogSoftmax") {
    const Rows rows = *softmax_rows(plan, step);
    if (rows.inner != 1) {
      return std::make_unique<ColumnSoftmaxKernel>(step.inputs[0], step.outputs[0], rows.rows, rows.length,
                                                   rows.inner, step.op == "LogSoftmax");
    }
    return std::make_unique<SoftmaxKernel>(step.inputs[0], step.outputs[0], rows.rows, rows.length,
                                           step.op == "LogSoftmax");
  }
  const auto reduction = reduction_of(step);
  if (!reduction) {
    const auto [shape, along_row] = *normalise_shape(plan, step);
    const ValueIndex bias = step.node_inputs > 2 ? step.inputs[2] : kAbsent;
    return std::make_unique<NormaliseKernel>(step.inputs[0], step.inputs[1], bias, step.outputs[0], shape,
                                             along_row);
  }
  const Node& node = plan.graph->node(step.node);
  std::optional<std::vector<int64_t>> axes;
  if (step.node_inputs > 1 && step.inputs[1] != kAbsent) {
    axes = to_int64s(*plan.constants[static_cast<size_t>(plan.value(step.inputs[1]).constant)].tensor());
  }
  const std::vector<bool> reduced = *reduced_axes(node, input.dims.size(), axes);
  // Strides of the input in its own layout; the output is row-major over the kept axes.
  std::vector<int64_t> strides = row_major_strides(input.dims);
  if (input.layout != 0) {
    int64_t stride = input.dims[1];
    strides[1] = 1;
    for (size_t i = input.dims.size(); i-- > 2;) {
      strides[i] = stride;
      stride *= input.dims[i];
    }
    strides[0] = stride;
  }
  std::vector<int64_t> kept_dims, kept_strides, reduced_dims, reduced_strides;
  for (size_t i = 0; i < reduced.size(); ++i) {
    (reduced[i] ? reduced_dims : kept_dims).push_back(input.dims[i]);
    (reduced[i] ? reduced_strides : kept_strides).push_back(strides[i]);
  }
  const std::vector<int64_t> kept[] = {row_major_strides(kept_dims), kept_strides};
  const std::vector<int64_t> inner[] = {reduced_strides};
  return std::make_unique<ReduceKernel>(*reduction, step.inputs[0], step.outputs[0],
                                        merge_axes(kept_dims, kept), merge_axes(reduced_dims, inner));
}

}  // namespace mts::exec
