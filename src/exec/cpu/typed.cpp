#include "exec/cpu/typed.h"

#include "exec/cpu/iteration.h"
#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace mts::exec {
namespace {

// One row: the output, three operands (those that an operator does not have repeat the first), their strides.
struct Row {
  std::byte* to;
  std::array<const std::byte*, 3> from;
  std::array<int64_t, 3> strides;  // elements
  int64_t n;
};
using Run = void (*)(const Row& row);

// Calls loop with the strides as constants where they are 0 or 1, so that the loop can use vectors.
template <class Loop>
void with_strides(int64_t a, int64_t b, const Loop& loop) {
  using Zero = std::integral_constant<int64_t, 0>;
  using One = std::integral_constant<int64_t, 1>;
  if (a == 1 && b == 1) return loop(One{}, One{});
  if (a == 1 && b == 0) return loop(One{}, Zero{});
  if (a == 0 && b == 1) return loop(Zero{}, One{});
  loop(a, b);
}

template <class To, class From, class F>
void binary(const Row& row) {
  with_strides(row.strides[0], row.strides[1], [&row](auto a, auto b) {
    // Bytes could be anything, these pointers as well: restrict lets the loop use vectors.
    To* const __restrict to = reinterpret_cast<To*>(row.to);
    const From* const x = reinterpret_cast<const From*>(row.from[0]);
    const From* const y = reinterpret_cast<const From*>(row.from[1]);
    const int64_t n = row.n;
    for (int64_t i = 0; i < n; ++i) to[i] = F{}(x[i * a], y[i * b]);
  });
}

template <class T>
void where(const Row& row) {
  auto* const to = reinterpret_cast<T*>(row.to);
  const auto* const mask = reinterpret_cast<const uint8_t*>(row.from[0]);
  const auto* const x = reinterpret_cast<const T*>(row.from[1]);
  const auto* const y = reinterpret_cast<const T*>(row.from[2]);
  if (row.strides[0] == 0) {  // the row is one of them
    const T* const chosen = *mask != 0 ? x : y;
    const int64_t stride = row.strides[*mask != 0 ? 1 : 2];
    return with_strides(stride, 0, [&](auto a, auto) {
      for (int64_t i = 0; i < row.n; ++i) to[i] = chosen[i * a];
    });
  }
  with_strides(row.strides[1], row.strides[2], [&](auto a, auto b) {
    if (row.strides[0] == 1) {
      for (int64_t i = 0; i < row.n; ++i) {
        const T p = x[i * a], q = y[i * b];  // read both: a select, not a branch
        to[i] = mask[i] != 0 ? p : q;
      }
    } else {
      for (int64_t i = 0; i < row.n; ++i) to[i] = mask[i * row.strides[0]] != 0 ? x[i * a] : y[i * b];
    }
  });
}

struct Equal {
  uint8_t operator()(auto a, auto b) const { return a == b; }
};
struct Less {
  uint8_t operator()(auto a, auto b) const { return a < b; }
};
struct LessOrEqual {
  uint8_t operator()(auto a, auto b) const { return a <= b; }
};
struct Greater {
  uint8_t operator()(auto a, auto b) const { return a > b; }
};
struct GreaterOrEqual {
  uint8_t operator()(auto a, auto b) const { return a >= b; }
};
struct And {
  uint8_t operator()(uint8_t a, uint8_t b) const { return a & b; }
};
struct Or {
  uint8_t operator()(uint8_t a, uint8_t b) const { return a | b; }
};
struct Xor {
  uint8_t operator()(uint8_t a, uint8_t b) const { return a ^ b; }
};
struct Not {
  uint8_t operator()(uint8_t a, uint8_t) const { return a ^ 1; }
};
struct IsNaN {
  uint8_t operator()(auto a, auto) const { return a != a; }
};
// In unsigned numbers, where wrapping around is defined.
struct Sum {
  auto operator()(auto a, auto b) const { return a + b; }
};
struct Difference {
  auto operator()(auto a, auto b) const { return a - b; }
};
struct Product {
  auto operator()(auto a, auto b) const { return a * b; }
};

template <class F>
Run compare(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return binary<uint8_t, float, F>;
    case DType::kInt64:
      return binary<uint8_t, int64_t, F>;
    case DType::kInt32:
      return binary<uint8_t, int32_t, F>;
    case DType::kBool:
    case DType::kUint8:
      return binary<uint8_t, uint8_t, F>;
    default:
      return nullptr;
  }
}
template <class F>
Run wrap(DType dtype) {
  if (dtype == DType::kInt64) return binary<uint64_t, uint64_t, F>;
  return dtype == DType::kInt32 ? binary<uint32_t, uint32_t, F> : nullptr;
}
template <class F>
Run logic(DType dtype) {
  return dtype == DType::kBool ? binary<uint8_t, uint8_t, F> : nullptr;
}
Run choose(DType dtype) {
  switch (bit_width(dtype)) {
    case 8:
      return where<uint8_t>;
    case 16:
      return where<uint16_t>;
    case 32:
      return where<uint32_t>;
    case 64:
      return where<uint64_t>;
    default:
      return nullptr;
  }
}

struct Entry {
  std::string_view op;
  size_t operands;
  Run (*run)(DType);  // by the type of the last operand; null: not here
};
constexpr Entry kEntries[] = {{"Where", 3, choose},
                              {"Equal", 2, compare<Equal>},
                              {"Less", 2, compare<Less>},
                              {"LessOrEqual", 2, compare<LessOrEqual>},
                              {"Greater", 2, compare<Greater>},
                              {"GreaterOrEqual", 2, compare<GreaterOrEqual>},
                              {"And", 2, logic<And>},
                              {"Or", 2, logic<Or>},
                              {"Xor", 2, logic<Xor>},
                              {"Not", 1, logic<Not>},
                              {"IsNaN", 1, compare<IsNaN>},
                              {"Add", 2, wrap<Sum>},
                              {"Sub", 2, wrap<Difference>},
                              {"Mul", 2, wrap<Product>}};

Run run_of(const ExecPlan& plan, const Step& step) {
  for (const Entry& entry : kEntries) {
    if (entry.op != step.op || step.inputs.size() != entry.operands || step.outputs.size() != 1) continue;
    for (ValueIndex v : step.inputs) {
      if (v == kAbsent) return nullptr;
    }
    const DType dtype = plan.value(step.inputs.back()).dtype;
    const bool is_where = entry.operands == 3;
    if (is_where && plan.value(step.inputs[0]).dtype != DType::kBool) return nullptr;
    if (entry.operands > 1 && plan.value(step.inputs[is_where ? 1 : 0]).dtype != dtype) return nullptr;
    return entry.run(dtype);
  }
  return nullptr;
}

class TypedKernel final : public Kernel {
 public:
  TypedKernel(Run run, std::vector<Axis> axes, std::vector<ValueIndex> inputs, ValueIndex output,
              std::vector<int64_t> widths)
      : run_(run),
        axes_(std::move(axes)),
        inputs_(std::move(inputs)),
        output_(output),
        widths_(std::move(widths)),
        outer_(outer_count(axes_)),
        pieces_((axes_.back().extent + kPiece - 1) / kPiece) {}

  Result<void> launch(const Pointers& pointers) override {
    const Axis& inner = axes_.back();
    parallel(outer_ * pieces_, outer_ * inner.extent, [&](int64_t begin, int64_t end) {
      OuterWalk walk(axes_, begin / pieces_);
      int64_t piece = begin % pieces_;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t start = piece * kPiece;
        Row row{};
        row.to = pointers[output_] + (walk.offset(0) + start) * widths_[0];
        for (size_t k = 0; k < row.from.size(); ++k) {
          const size_t operand = k < inputs_.size() ? k : 0;
          row.strides[k] = inner.strides[operand + 1];
          row.from[k] = pointers[inputs_[operand]] +
                        (walk.offset(operand + 1) + start * row.strides[k]) * widths_[operand + 1];
        }
        row.n = std::min(kPiece, inner.extent - start);
        run_(row);
        if (++piece == pieces_) {
          piece = 0;
          walk.next();
        }
      }
    });
    return {};
  }

 private:
  static constexpr int64_t kPiece = 4096;  // elements: a row can be shared by threads
  Run run_;
  std::vector<Axis> axes_;  // operand 0: the output
  std::vector<ValueIndex> inputs_;
  ValueIndex output_;
  std::vector<int64_t> widths_;  // bytes an element
  int64_t outer_, pieces_;
};

}  // namespace

bool accepts_typed(const ExecPlan& plan, const Step& step) {
  if (step.node == kNoNode || run_of(plan, step) == nullptr) return false;
  // Before opset 7 the broadcasting is another one.
  if (plan.graph->node(step.node).int_or("broadcast", 0) != 0) return false;
  const PlanValue& output = plan.value(step.outputs[0]);
  return element_count(output.dims) > 0 && plan.opset >= 7;
}

Result<std::unique_ptr<Kernel>> make_typed(const ExecPlan& plan, const Step& step) {
  const PlanValue& output = plan.value(step.outputs[0]);
  std::vector<std::vector<int64_t>> strides = {row_major_strides(output.dims)};
  std::vector<int64_t> widths = {bit_width(output.dtype) / 8};
  for (ValueIndex input : step.inputs) {
    strides.push_back(broadcast_strides(plan.value(input).dims, output.dims));
    widths.push_back(bit_width(plan.value(input).dtype) / 8);
  }
  return std::make_unique<TypedKernel>(run_of(plan, step), merge_axes(output.dims, strides), step.inputs,
                                       step.outputs[0], std::move(widths));
}

}  // namespace mts::exec
