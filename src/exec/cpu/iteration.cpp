#include "exec/cpu/iteration.h"

namespace mts::exec {

std::vector<Axis> merge_axes(std::span<const int64_t> dims, std::span<const std::vector<int64_t>> strides) {
  std::vector<Axis> axes;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    Axis axis{dims[d], {}};
    for (const std::vector<int64_t>& operand : strides) axis.strides.push_back(operand[d]);
    if (!axes.empty()) {
      bool merges = true;
      for (size_t k = 0; k < strides.size(); ++k) {
        merges = merges && axes.back().strides[k] == axis.strides[k] * axis.extent;
      }
      if (merges) {
        axis.extent *= axes.back().extent;
        axes.back() = std::move(axis);
        continue;
      }
    }
    axes.push_back(std::move(axis));
  }
  if (axes.empty()) axes.push_back(Axis{1, std::vector<int64_t>(strides.size(), 0)});
  return axes;
}

int64_t outer_count(std::span<const Axis> axes) {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < axes.size(); ++i) count *= axes[i].extent;
  return count;
}

OuterWalk::OuterWalk(std::span<const Axis> axes, int64_t begin) : outer_(axes.first(axes.size() - 1)) {
  position_.assign(outer_.size(), 0);
  offsets_.assign(axes[0].strides.size(), 0);
  for (size_t i = outer_.size(); i-- > 0;) {
    position_[i] = begin % outer_[i].extent;
    begin /= outer_[i].extent;
    for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += position_[i] * outer_[i].strides[k];
  }
}

void OuterWalk::next() {
  for (size_t i = outer_.size(); i-- > 0;) {
    const Axis& axis = outer_[i];
    if (++position_[i] < axis.extent) {
      for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] += axis.strides[k];
      return;
    }
    position_[i] = 0;
    for (size_t k = 0; k < offsets_.size(); ++k) offsets_[k] -= (axis.extent - 1) * axis.strides[k];
  }
}

}  // namespace mts::exec
