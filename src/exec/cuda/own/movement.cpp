// Steps that only move data, as strided copies: Reorder, Transpose, Expand, Slice, Concat, Split,
// DepthToSpace, SpaceToDepth, Tile, constant Pad and ConstantOfShape.
#include "exec/cuda/kernels/copy.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

#include <cstring>

namespace mts::exec::cuda {
namespace {

// One strided copy, as a nest with elements' starts.
struct Copy {
  ValueIndex source = kAbsent, target = kAbsent;
  int64_t source_start = 0, target_start = 0;  // elements
  Nest<2> nest;
};

struct Movement {
  std::vector<Copy> copies;
  // Pad: written to the whole output first.
  bool fills = false;
  uint64_t fill = 0;
};

class StepCopies {
 public:
  StepCopies(const ExecPlan& plan, const Step& step) : plan_(plan), step_(step), node_(node_of(plan, step)) {}

  // Nothing when the step is not one of these.
  std::optional<Movement> run() {
    if (step_.op == "ConstantOfShape" && node_ != nullptr) return constant();
    if (step_.op == "Reorder") return whole(strides_of(output(0)), strides_of(input(0)), output(0).dims);
    if (node_ == nullptr || !all_row_major(plan_, step_)) return std::nullopt;
    if (step_.op == "Transpose") return transpose();
    if (step_.op == "Expand")
      return whole(row_major(output(0)), broadcast_strides(input(0).dims, output(0).dims), output(0).dims);
    if (step_.op == "Slice") return slice();
    if (step_.op == "Concat") return concat();
    if (step_.op == "Split") return split();
    if (step_.op == "DepthToSpace") return depth_to_space();
    if (step_.op == "SpaceToDepth") return space_to_depth();
    if (step_.op == "Tile") return tile();
    if (step_.op == "Pad") return pad();
    return std::nullopt;
  }

 private:
  const PlanValue& input(size_t i) const { return plan_.value(step_.inputs[i]); }
  const PlanValue& output(size_t i) const { return plan_.value(step_.outputs[i]); }
  static std::vector<int64_t> row_major(const PlanValue& value) { return row_major_strides(value.dims); }

  bool add(Movement& movement, ValueIndex from, ValueIndex to, std::span<const int64_t> dims,
           std::vector<int64_t> to_strides, std::vector<int64_t> from_strides, int64_t to_start = 0,
           int64_t from_start = 0) const {
    if (element_count(dims) == 0) return true;
    const std::vector<int64_t> strides[] = {std::move(to_strides), std::move(from_strides)};
    const auto nest = nest_of<2>(dims, strides);
    if (nest) movement.copies.push_back({from, to, from_start, to_start, *nest});
    return nest.has_value();
  }

  // All of input 0 to all of output 0, in one nest over `dims`.
  std::optional<Movement> whole(std::vector<int64_t> to, std::vector<int64_t> from,
                                std::span<const int64_t> dims, int64_t from_start = 0) const {
    Movement movement;
    if (!add(movement, step_.inputs[0], step_.outputs[0], dims, std::move(to), std::move(from), 0,
             from_start))
      return std::nullopt;
    return movement;
  }

  std::optional<Movement> transpose() const {
    const auto order = permutation_of(*node_, input(0).dims.size());
    if (!order) return std::nullopt;
    const std::vector<int64_t> strides = row_major(input(0));
    std::vector<int64_t> permuted;
    for (size_t axis : *order) permuted.push_back(strides[axis]);
    return whole(row_major(output(0)), permuted, output(0).dims);
  }

  std::optional<Movement> slice() const {
    for (size_t i = 1; i < 5; ++i) {
      if (has_input(step_, i) && !known_ints(plan_, step_, i)) return std::nullopt;
    }
    const auto ranges =
        slice_ranges(*node_, input(0).dims, known_ints(plan_, step_, 1), known_ints(plan_, step_, 2),
                     known_ints(plan_, step_, 3), known_ints(plan_, step_, 4));
    if (!ranges) return std::nullopt;
    std::vector<int64_t> strides = row_major(input(0));
    int64_t start = 0;
    for (size_t i = 0; i < strides.size(); ++i) {
      start += (*ranges)[i].start * strides[i];
      strides[i] *= (*ranges)[i].step;
    }
    return whole(row_major(output(0)), strides, output(0).dims, start);
  }

  std::optional<Movement> concat() const {
    const Dims& dims = output(0).dims;
    const auto axis = normal_axis(node_->int_or("axis", 1), dims.size());
    if (!axis) return std::nullopt;
    const std::vector<int64_t> target = row_major_strides(dims);
    Movement movement;
    int64_t start = 0;
    for (size_t i = 0; i < step_.inputs.size(); ++i) {
      const PlanValue& part = input(i);
      const int64_t at = start * target[*axis];
      // A part whose producer wrote it in place already needs no copy.
      const bool in_place =
          part.root >= 0 && part.root == output(0).root &&
          part.offset == output(0).offset + static_cast<uint64_t>(at * bit_width(part.dtype) / 8);
      if (!in_place && !add(movement, step_.inputs[i], step_.outputs[0], part.dims, target,
                            row_major_strides(part.dims), at))
        return std::nullopt;
      start += part.dims[*axis];
    }
    return movement;
  }

  std::optional<Movement> split() const {
    const auto axis = normal_axis(node_->int_or("axis", 0), input(0).dims.size());
    if (!axis) return std::nullopt;
    const std::vector<int64_t> source = row_major(input(0));
    Movement movement;
    int64_t start = 0;
    for (size_t i = 0; i < step_.outputs.size(); ++i) {
      if (step_.outputs[i] == kAbsent) return std::nullopt;
      const Dims& dims = output(i).dims;
      if (!add(movement, step_.inputs[0], step_.outputs[i], dims, row_major_strides(dims), source, 0,
               start * source[*axis]))
        return std::nullopt;
      start += dims[*axis];
    }
    return movement;
  }

  std::optional<Movement> depth_to_space() const {
    const Dims& from = input(0).dims;
    const int64_t block = node_->int_or("blocksize", 0);
    if (from.size() != 4 || block < 1 || from[1] % (block * block) != 0) return std::nullopt;
    const bool crd = node_->string_or("mode", "DCR") == "CRD";
    const int64_t channels = from[1] / (block * block);
    const std::vector<int64_t> s = row_major_strides(from);
    // Output axes: n, c, h, block row, w, block column.
    const Dims dims = {from[0], channels, from[2], block, from[3], block};
    const int64_t channel = crd ? block * block : 1, row = crd ? block : channels * block,
                  column = crd ? 1 : channels;
    return whole(row_major_strides(dims), {s[0], channel * s[1], s[2], row * s[1], s[3], column * s[1]},
                 dims);
  }

  std::optional<Movement> space_to_depth() const {
    const Dims& from = input(0).dims;
    const int64_t block = node_->int_or("blocksize", 0);
    if (from.size() != 4 || block < 1 || from[2] % block != 0 || from[3] % block != 0) return std::nullopt;
    const std::vector<int64_t> s = row_major_strides(from);
    // Output axes: n, block row, block column, c, h, w.
    const Dims dims = {from[0], block, block, from[1], from[2] / block, from[3] / block};
    return whole(row_major_strides(dims), {s[0], s[2], s[3], s[1], block * s[2], block * s[3]}, dims);
  }

  std::optional<Movement> tile() const {
    const auto repeats = known_ints(plan_, step_, 1);
    const Dims& from = input(0).dims;
    if (!repeats || repeats->size() != from.size()) return std::nullopt;
    // Two axes for each: the repetition (source stride 0), then the axis.
    const std::vector<int64_t> s = row_major_strides(from);
    Dims dims;
    std::vector<int64_t> strides;
    for (size_t i = 0; i < from.size(); ++i) {
      dims.insert(dims.end(), {(*repeats)[i], from[i]});
      strides.insert(strides.end(), {0, s[i]});
    }
    return whole(row_major_strides(dims), strides, dims);
  }

  // Constant: the output is filled, then the inside copied over. Edge and reflect run on the host.
  std::optional<Movement> pad() const {
    if (node_->string_or("mode", "constant") != "constant") return std::nullopt;
    const size_t rank = input(0).dims.size();
    const auto pads =
        has_input(step_, 1) ? known_ints(plan_, step_, 1) : std::optional(node_->ints_or("pads", {}));
    std::optional<std::vector<int64_t>> axes = known_ints(plan_, step_, 3);
    if (has_input(step_, 3) && !axes) return std::nullopt;
    if (!axes) {
      axes.emplace();
      for (size_t i = 0; i < rank; ++i) axes->push_back(static_cast<int64_t>(i));
    }
    if (!pads || pads->size() != 2 * axes->size()) return std::nullopt;
    Movement movement;
    movement.fills = true;
    if (!fill_value(movement.fill)) return std::nullopt;
    Dims inside = input(0).dims;
    const std::vector<int64_t> source = row_major(input(0)), target = row_major(output(0));
    int64_t from = 0, to = 0;
    for (size_t i = 0; i < axes->size(); ++i) {
      const auto axis = normal_axis((*axes)[i], rank);
      if (!axis) return std::nullopt;
      const int64_t begin = (*pads)[i], end = (*pads)[i + axes->size()];  // negative: cropped
      inside[*axis] += std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
      if (inside[*axis] < 0) return std::nullopt;
      from += std::max<int64_t>(-begin, 0) * source[*axis];
      to += std::max<int64_t>(begin, 0) * target[*axis];
    }
    if (!add(movement, step_.inputs[0], step_.outputs[0], inside, target, source, to, from))
      return std::nullopt;
    return movement;
  }

  std::optional<Movement> constant() const {
    Movement movement;
    movement.fills = true;
    const Attribute* const value = node_->find("value");
    if (value == nullptr) return movement;  // float zeros
    const auto* const weight = std::get_if<WeightPtr>(&value->value);
    if (weight == nullptr || *weight == nullptr || (*weight)->dtype() != output(0).dtype) return std::nullopt;
    const std::span<const std::byte> bytes = (*weight)->bytes();
    const auto width = static_cast<size_t>(*width_of(output(0).dtype));
    if (bytes.size() < width) return std::nullopt;
    std::memcpy(&movement.fill, bytes.data(), width);
    return movement;
  }

  bool fill_value(uint64_t& bits) const {
    const auto width = static_cast<size_t>(*width_of(input(0).dtype));
    if (has_input(step_, 2)) {
      const Tensor* const value = known(plan_, step_.inputs[2]);
      if (value == nullptr || value->element_count() != 1) return false;
      std::memcpy(&bits, value->data(), width);
      return true;
    }
    const float attribute = node_->float_or("value", 0.f);
    if (attribute == 0.f) return true;
    if (input(0).dtype != DType::kFloat32) return false;
    std::memcpy(&bits, &attribute, sizeof(attribute));
    return true;
  }

  const ExecPlan& plan_;
  const Step& step_;
  const Node* node_;
};

// Copies of one geometry, which go together.
struct Group {
  CopyArgs args;
  std::vector<Copy> parts;
};

std::vector<int64_t> geometry_of(const Copy& copy) {
  std::vector<int64_t> key;
  for (int axis = 0; axis < copy.nest.axes; ++axis) {
    key.insert(key.end(),
               {copy.nest.extents[axis].value, copy.nest.strides[0][axis], copy.nest.strides[1][axis]});
  }
  return key;
}

std::vector<Group> groups_of(const std::vector<Copy>& copies, int32_t width) {
  std::vector<Group> groups;
  for (const Copy& copy : copies) {
    const auto same = [&](const Group& group) {
      return group.parts.size() < static_cast<size_t>(kMaxParts) &&
             geometry_of(group.parts[0]) == geometry_of(copy);
    };
    auto found = std::find_if(groups.begin(), groups.end(), same);
    if (found == groups.end()) {
      found = groups.insert(groups.end(), Group{});
      found->args.nest = copy.nest;
      found->args.width = width;
    }
    found->parts.push_back(copy);
    found->args.parts = static_cast<int32_t>(found->parts.size());
  }
  return groups;
}

class MovementKernel final : public Kernel {
 public:
  MovementKernel(OwnDevice& device, const PlanValue& output, ValueIndex index, const Movement& movement,
                 int32_t width)
      : device_(device),
        groups_(groups_of(movement.copies, width)),
        fills_(movement.fills),
        fill_(movement.fill),
        width_(width),
        output_(index),
        count_(element_count(output.dims)) {}

  Result<void> launch(const Pointers& pointers) override {
    if (fills_) MTS_TRY(to_result(launch_fill(pointers[output_], count_, width_, fill_, device_.stream())));
    for (Group& group : groups_) {
      for (size_t i = 0; i < group.parts.size(); ++i) {
        group.args.targets[i] = pointers[group.parts[i].target] + group.parts[i].target_start * width_;
        group.args.sources[i] = pointers[group.parts[i].source] + group.parts[i].source_start * width_;
      }
      MTS_TRY(to_result(launch_copy(group.args, device_.stream())));
    }
    return {};
  }

 private:
  OwnDevice& device_;
  std::vector<Group> groups_;
  bool fills_;
  uint64_t fill_;
  int32_t width_;
  ValueIndex output_;
  int64_t count_;
};

}  // namespace

bool accepts_movement(const ExecPlan& plan, const Step& step) {
  if (step.inputs.empty() || step.inputs[0] == kAbsent || step.outputs.empty() || step.outputs[0] == kAbsent)
    return false;
  return all_fit(plan, step) && width_of(plan.value(step.outputs[0]).dtype) && StepCopies(plan, step).run();
}

KernelResult make_movement(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  const std::optional<Movement> movement = StepCopies(plan, step).run();
  if (!movement) return fail(ErrorCode::kInternal, "no copy kernel for " + step.op);
  return std::make_unique<MovementKernel>(device, plan.value(step.outputs[0]), step.outputs[0], *movement,
                                          *width_of(plan.value(step.outputs[0]).dtype));
}

}  // namespace mts::exec::cuda
