// Layouts that backends share: row-major, and channels-last for images.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace mts::exec {

inline constexpr int32_t kRowMajor = 0, kChannelsLast = 1;  // PlanValue::layout

// Both layouts are the same bytes: one channel, one pixel, no spatial axes, or no elements. Such values are
// marked row-major.
bool is_ambiguous(const Dims& dims);
// Element strides of the logical axes.
std::vector<int64_t> strides_of(const Dims& dims, int32_t layout);
inline std::vector<int64_t> strides_of(const PlanValue& value) {
  return strides_of(value.dims, value.layout);
}

// Values of a plan in the layout that a step wants, while its steps are being written.
class LayoutCopies {
 public:
  explicit LayoutCopies(ExecPlan& plan) : plan_(plan) {}
  // The value itself, or a copy (one for all who ask) that a Reorder at the end of the steps so far makes.
  ValueIndex as(ValueIndex value, int32_t wanted);

 private:
  ExecPlan& plan_;
  std::map<std::pair<ValueIndex, int32_t>, ValueIndex> copies_;
};

}  // namespace mts::exec
