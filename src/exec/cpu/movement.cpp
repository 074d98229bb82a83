#include "exec/cpu/movement.h"

#include "exec/cpu/iteration.h"
#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"
#include "exec/geometry.h"
#include "exec/layout.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

namespace mts::exec {
namespace {

// One strided copy: elements of `source`, from `source_start` on, to `target`, from `target_start` on.
struct Copy {
  ValueIndex source = kAbsent, target = kAbsent;
  int64_t source_start = 0, target_start = 0;  // elements
  std::vector<Axis> axes;                      // operand 0: target, 1: source
};

template <class T>
void copy_inner(T* to, const T* from, int64_t n, int64_t to_stride, int64_t from_stride) {
  if (to_stride == 1 && from_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  } else if (to_stride == 1 && from_stride == 0) {
    std::fill_n(to, n, *from);
  } else if (to_stride == 1 && from_stride == 2) {  // known, so that the loop can use vectors
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * 2];
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

// The innermost two axes as a tiled transposition when the source is contiguous along the outer of them.
template <class T>
void copy_tiled(T* to, const T* from, const Axis& rows, const Axis& columns) {
  constexpr int64_t kBlock = 16;
  if constexpr (sizeof(T) == sizeof(float)) {
    // Of the 16 x 16 that a step moves; pixels of two or three values have steps of their own.
    const bool is_worth_it = (rows.extent >= 4 && columns.extent >= 4) ||
                             (rows.extent == columns.strides[1] && rows.extent <= 3) ||
                             (columns.extent == rows.strides[0] && columns.extent <= 3);
    if (columns.strides[0] == 1 && rows.strides[1] == 1 && is_worth_it) {
      return tile_ops().transpose(reinterpret_cast<float*>(to), rows.strides[0],
                                  reinterpret_cast<const float*>(from), columns.strides[1], rows.extent,
                                  columns.extent);
    }
  }
  for (int64_t r = 0; r < rows.extent; r += kBlock) {
    const int64_t r_end = std::min(r + kBlock, rows.extent);
    for (int64_t c = 0; c < columns.extent; c += kBlock) {
      const int64_t c_end = std::min(c + kBlock, columns.extent);
      for (int64_t i = r; i < r_end; ++i) {
        for (int64_t j = c; j < c_end; ++j) {
          to[i * rows.strides[0] + j * columns.strides[0]] =
              from[i * rows.strides[1] + j * columns.strides[1]];
        }
      }
    }
  }
}

// Fewer than a call of memcpy is worth; the last block ends with the bytes, over what is copied already.
template <size_t kBlock>
void copy_blocks(std::byte* to, const std::byte* from, size_t bytes) {
  for (size_t done = 0; done + kBlock < bytes; done += kBlock) std::memcpy(to + done, from + done, kBlock);
  std::memcpy(to + bytes - kBlock, from + bytes - kBlock, kBlock);
}

// Contiguous rows, such as the channels of pixels, that are a step apart on either side.
template <class T>
void copy_rows(T* to, const T* from, const Axis& rows, int64_t n) {
  constexpr size_t kLong = 1024, kWide = 64, kNarrow = 16;
  const size_t bytes = static_cast<size_t>(n) * sizeof(T);
  for (int64_t r = 0; r < rows.extent; ++r) {
    T* const target = to + r * rows.strides[0];
    const T* const source = from + r * rows.strides[1];
    if (bytes < kNarrow) {
      for (int64_t i = 0; i < n; ++i) target[i] = source[i];
    } else if (bytes < kWide) {
      copy_blocks<kNarrow>(reinterpret_cast<std::byte*>(target), reinterpret_cast<const std::byte*>(source),
                           bytes);
    } else if (bytes < kLong) {
      copy_blocks<kWide>(reinterpret_cast<std::byte*>(target), reinterpret_cast<const std::byte*>(source),
                         bytes);
    } else {
      std::memcpy(target, source, bytes);
    }
  }
}

template <class T>
void run_copy(const Copy& copy, const Pointers& pointers) {
  const T* const from = reinterpret_cast<const T*>(pointers[copy.source]) + copy.source_start;
  T* const to = reinterpret_cast<T*>(pointers[copy.target]) + copy.target_start;
  const Axis& inner = copy.axes.back();
  const bool tiled =
      copy.axes.size() >= 2 && inner.strides[1] > 1 && copy.axes[copy.axes.size() - 2].strides[1] == 1;
  const bool rows = copy.axes.size() >= 2 && inner.strides[0] == 1 && inner.strides[1] == 1;
  if (rows && copy.axes.size() == 2) {
    const Axis& outer = copy.axes[0];
    return parallel(outer.extent, outer.extent * inner.extent, [&](int64_t begin, int64_t end) {
      copy_rows(to + begin * outer.strides[0], from + begin * outer.strides[1],
                Axis{end - begin, outer.strides}, inner.extent);
    });
  }
  const bool two = tiled || rows;  // innermost axes at once
  const std::span<const Axis> axes = std::span(copy.axes).first(copy.axes.size() - (two ? 1 : 0));
  const int64_t count = outer_count(axes);
  const int64_t work = count * axes.back().extent * (two ? inner.extent : 1);
  parallel(count, work, [&](int64_t begin, int64_t end) {
    OuterWalk walk(axes, begin);
    for (int64_t i = begin; i < end; ++i, walk.next()) {
      if (rows) {
        copy_rows(to + walk.offset(0), from + walk.offset(1), axes.back(), inner.extent);
      } else if (tiled) {
        copy_tiled(to + walk.offset(0), from + walk.offset(1), axes.back(), inner);
      } else {
        copy_inner(to + walk.offset(0), from + walk.offset(1), inner.extent, inner.strides[0],
                   inner.strides[1]);
      }
    }
  });
}

class CopyKernel final : public Kernel {
 public:
  CopyKernel(std::vector<Copy> copies, size_t width) : copies_(std::move(copies)), width_(width) {}
  Result<void> launch(const Pointers& pointers) override {
    for (const Copy& copy : copies_) {
      switch (width_) {
        case 1:
          run_copy<uint8_t>(copy, pointers);
          break;
        case 2:
          run_copy<uint16_t>(copy, pointers);
          break;
        case 4:
          run_copy<uint32_t>(copy, pointers);
          break;
        default:
          run_copy<uint64_t>(copy, pointers);
          break;
      }
    }
    return {};
  }

 private:
  std::vector<Copy> copies_;
  size_t width_;
};

// Rows of the table picked by an index tensor. An index out of range is the model's (or the caller's) error.
class GatherKernel final : public Kernel {
 public:
  GatherKernel(ValueIndex table, ValueIndex indices, ValueIndex output, bool wide, int64_t outer,
               int64_t rows, int64_t count, size_t row_bytes, std::string node)
      : table_(table),
        indices_(indices),
        output_(output),
        wide_(wide),
        outer_(outer),
        rows_(rows),
        count_(count),
        row_bytes_(row_bytes),
        node_(std::move(node)) {}

  Result<void> launch(const Pointers& pointers) override {
    const std::byte* const indices = pointers[indices_];
    const auto index_at = [&](int64_t i) {
      const int64_t index =
          wide_ ? reinterpret_cast<const int64_t*>(indices)[i] : reinterpret_cast<const int32_t*>(indices)[i];
      return index < 0 ? index + rows_ : index;
    };
    for (int64_t i = 0; i < count_; ++i) {
      if (index_at(i) < 0 || index_at(i) >= rows_) {
        return fail(ErrorCode::kModel, "an index is out of range for " + std::to_string(rows_) + " rows",
                    {.file = {}, .node = node_, .value = {}});
      }
    }
    for (int64_t o = 0; o < outer_; ++o) {
      const std::byte* const from = pointers[table_] + static_cast<size_t>(o * rows_) * row_bytes_;
      std::byte* const to = pointers[output_] + static_cast<size_t>(o * count_) * row_bytes_;
      parallel(count_, count_ * static_cast<int64_t>(row_bytes_) / 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          std::memcpy(to + static_cast<size_t>(i) * row_bytes_,
                      from + static_cast<size_t>(index_at(i)) * row_bytes_, row_bytes_);
        }
      });
    }
    return {};
  }

 private:
  ValueIndex table_, indices_, output_;
  bool wide_;
  int64_t outer_, rows_, count_;
  size_t row_bytes_;
  std::string node_;
};

class StepCopies {
 public:
  StepCopies(const ExecPlan& plan, const Step& step)
      : plan_(plan), step_(step), node_(step.node == kNoNode ? nullptr : &plan.graph->node(step.node)) {}

  // Nothing when the step is not one of these.
  std::optional<std::vector<Copy>> run() {
    if (step_.op == "Transpose") return transpose();
    if (step_.op == "Expand") return expand();
    if (step_.op == "Slice") return slice();
    if (step_.op == "Concat") return concat();
    if (step_.op == "Split") return split();
    if (step_.op == "DepthToSpace") return depth_to_space();
    if (step_.op == "SpaceToDepth") return space_to_depth();
    if (step_.op == "Einsum") return einsum();
    return std::nullopt;
  }

 private:
  const PlanValue& input(size_t i) const { return plan_.value(step_.inputs[i]); }
  const PlanValue& output(size_t i) const { return plan_.value(step_.outputs[i]); }

  Copy copy(ValueIndex from, ValueIndex to, std::span<const int64_t> dims, std::vector<int64_t> to_strides,
            std::vector<int64_t> from_strides, int64_t to_start = 0, int64_t from_start = 0) const {
    std::vector<int64_t> extents(dims.begin(), dims.end());
    // Channels-last on both sides: along memory, not across it.
    if (extents.size() > 2 && to_strides[1] == 1 && from_strides[1] == 1) {
      for (std::vector<int64_t>* list : {&extents, &to_strides, &from_strides})
        std::rotate(list->begin() + 1, list->begin() + 2, list->end());
    }
    const std::vector<int64_t> strides[] = {std::move(to_strides), std::move(from_strides)};
    return Copy{from, to, from_start, to_start, merge_axes(extents, strides)};
  }

  std::optional<std::vector<Copy>> transpose() {
    const auto order = permutation_of(*node_, input(0).dims.size());
    return order ? permute(*order) : std::nullopt;
  }
  std::optional<std::vector<Copy>> permute(const std::vector<size_t>& order) const {
    const std::vector<int64_t> strides = row_major_strides(input(0).dims);
    std::vector<int64_t> permuted;
    for (size_t axis : order) permuted.push_back(strides[axis]);
    return {{copy(step_.inputs[0], step_.outputs[0], output(0).dims, row_major_strides(output(0).dims),
                  permuted)}};
  }

  // "bchw->bhwc": of one operand, each letter once on both sides, is a transposition.
  std::optional<std::vector<Copy>> einsum() const {
    std::string equation = node_->string_or("equation", "");
    std::erase(equation, ' ');
    const size_t arrow = equation.find("->"), rank = input(0).dims.size();
    if (arrow != rank || equation.size() != 2 * rank + 2 || step_.inputs.size() != 1) return std::nullopt;
    std::vector<size_t> order;
    for (char letter : std::string_view(equation).substr(rank + 2)) {
      const size_t axis = equation.find(letter);
      const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
      if (!is_letter || axis >= rank || std::find(order.begin(), order.end(), axis) != order.end())
        return std::nullopt;
      order.push_back(axis);
    }
    return permute(order);
  }

  std::optional<std::vector<Copy>> expand() {
    return {{copy(step_.inputs[0], step_.outputs[0], output(0).dims, row_major_strides(output(0).dims),
                  broadcast_strides(input(0).dims, output(0).dims))}};
  }

  std::optional<std::vector<int64_t>> content(size_t i) const {
    if (i >= step_.inputs.size() || step_.inputs[i] == kAbsent) return std::nullopt;
    const PlanValue& value = input(i);
    if (!value.is_constant()) return std::nullopt;
    return to_int64s(*plan_.constants[static_cast<size_t>(value.constant)].tensor());
  }

  std::optional<std::vector<Copy>> slice() {
    const auto ranges = slice_ranges(*node_, input(0).dims, content(1), content(2), content(3), content(4));
    if (!ranges) return std::nullopt;
    std::vector<int64_t> strides = row_major_strides(input(0).dims);
    int64_t start = 0;
    for (size_t i = 0; i < strides.size(); ++i) {
      start += (*ranges)[i].start * strides[i];
      strides[i] *= (*ranges)[i].step;
    }
    return {{copy(step_.inputs[0], step_.outputs[0], output(0).dims, row_major_strides(output(0).dims),
                  strides, 0, start)}};
  }

  std::optional<std::vector<Copy>> concat() {
    const Dims& dims = output(0).dims;
    const auto axis = normal_axis(node_->int_or("axis", 1), dims.size());
    if (!axis) return std::nullopt;
    // The layout chooser gives the parts the layout of the whole; where that is the same bytes for a part,
    // the part is marked row-major.
    const int32_t layout = output(0).layout;
    const std::vector<int64_t> whole = strides_of(dims, layout);
    std::vector<Copy> copies;
    int64_t start = 0;
    for (size_t i = 0; i < step_.inputs.size(); ++i) {
      const PlanValue& part = input(i);
      // A part whose producer wrote it in place already needs no copy.
      const bool in_place =
          part.root >= 0 && part.root == output(0).root &&
          part.offset ==
              output(0).offset + static_cast<uint64_t>(start * whole[*axis] * bit_width(part.dtype) / 8);
      if (!in_place) {
        copies.push_back(copy(step_.inputs[i], step_.outputs[0], part.dims, whole,
                              strides_of(part.dims, layout), start * whole[*axis]));
      }
      start += part.dims[*axis];
    }
    return copies;
  }

  std::optional<std::vector<Copy>> split() {
    const auto axis = normal_axis(node_->int_or("axis", 0), input(0).dims.size());
    if (!axis) return std::nullopt;
    const int32_t layout = input(0).layout;
    const std::vector<int64_t> whole = strides_of(input(0).dims, layout);
    std::vector<Copy> copies;
    int64_t start = 0;
    for (size_t i = 0; i < step_.outputs.size(); ++i) {
      if (step_.outputs[i] == kAbsent) return std::nullopt;
      const Dims& dims = output(i).dims;
      copies.push_back(copy(step_.inputs[0], step_.outputs[i], dims, strides_of(dims, layout), whole, 0,
                            start * whole[*axis]));
      start += dims[*axis];
    }
    return copies;
  }

  std::optional<std::vector<Copy>> depth_to_space() {
    const Dims& from = input(0).dims;
    const int64_t block = node_->int_or("blocksize", 0);
    if (from.size() != 4 || block < 1 || from[1] % (block * block) != 0) return std::nullopt;
    const bool crd = node_->string_or("mode", "DCR") == "CRD";
    const int64_t channels = from[1] / (block * block), height = from[2], width = from[3];
    const std::vector<int64_t> s = row_major_strides(from);
    // Output axes: n, c, h, block row, w, block column.
    const Dims dims = {from[0], channels, height, block, width, block};
    const int64_t channel = crd ? block * block : 1, row = crd ? block : channels * block,
                  column = crd ? 1 : channels;
    return {{copy(step_.inputs[0], step_.outputs[0], dims, row_major_strides(dims),
                  {s[0], channel * s[1], s[2], row * s[1], s[3], column * s[1]})}};
  }

  std::optional<std::vector<Copy>> space_to_depth() {
    const Dims& from = input(0).dims;
    const int64_t block = node_->int_or("blocksize", 0);
    if (from.size() != 4 || block < 1 || from[2] % block != 0 || from[3] % block != 0) return std::nullopt;
    const std::vector<int64_t> s = row_major_strides(from);
    // Output axes: n, block row, block column, c, h, w.
    const Dims dims = {from[0], block, block, from[1], from[2] / block, from[3] / block};
    return {{copy(step_.inputs[0], step_.outputs[0], dims, row_major_strides(dims),
                  {s[0], s[2], s[3], s[1], s[2] * block, s[3] * block})}};
  }

  const ExecPlan& plan_;
  const Step& step_;
  const Node* node_;
};

bool is_gather(const ExecPlan& plan, const Step& step) {
  if (step.op != "Gather") return false;
  const DType indices = plan.value(step.inputs[1]).dtype;
  return indices == DType::kInt64 || indices == DType::kInt32;
}

}  // namespace

bool accepts_movement(const ExecPlan& plan, const Step& step) {
  static constexpr std::string_view kOps[] = {"Transpose", "Expand",       "Slice",        "Concat", "Split",
                                              "Gather",    "DepthToSpace", "SpaceToDepth", "Einsum"};
  if (step.node == kNoNode || std::find(std::begin(kOps), std::end(kOps), step.op) == std::end(kOps))
    return false;
  const int bits = bit_width(plan.value(step.inputs[0]).dtype);
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) return false;
  if (step.op == "Gather")
    return is_gather(plan, step) &&
           normal_axis(plan.graph->node(step.node).int_or("axis", 0), plan.value(step.inputs[0]).dims.size());
  return StepCopies(plan, step).run().has_value();
}

Result<std::unique_ptr<Kernel>> make_movement(const ExecPlan& plan, const Step& step) {
  const PlanValue& first = plan.value(step.inputs[0]);
  const auto width = static_cast<size_t>(bit_width(first.dtype)) / 8;
  if (step.op == "Gather") {
    const Node& node = plan.graph->node(step.node);
    const size_t axis = *normal_axis(node.int_or("axis", 0), first.dims.size());
    const std::span<const int64_t> dims = first.dims;
    return std::make_unique<GatherKernel>(
        step.inputs[0], step.inputs[1], step.outputs[0], plan.value(step.inputs[1]).dtype == DType::kInt64,
        element_count(dims.first(axis)), dims[axis], element_count(plan.value(step.inputs[1]).dims),
        static_cast<size_t>(element_count(dims.subspan(axis + 1))) * width, node.label());
  }
  std::optional<std::vector<Copy>> copies = StepCopies(plan, step).run();
  if (!copies) return fail(ErrorCode::kInternal, "no copy kernel for " + step.op);
  std::erase_if(*copies, [](const Copy& copy) {
    return std::any_of(copy.axes.begin(), copy.axes.end(), [](const Axis& axis) { return axis.extent == 0; });
  });
  return std::make_unique<CopyKernel>(std::move(*copies), width);
}

std::unique_ptr<Kernel> make_permutation(const Dims& dims, const std::vector<int64_t>& strides,
                                         size_t width) {
  const std::vector<int64_t> both[] = {row_major_strides(dims), strides};
  return std::make_unique<CopyKernel>(std::vector<Copy>{{0, 1, 0, 0, merge_axes(dims, both)}}, width);
}

}  // namespace mts::exec
