// Layouts that backends share, for images [N, C, spatial...]:
//   row-major       as they are
//   channels-last   [N, spatial..., C]
//   models-first    [M, N, spatial..., C/M] of a value that holds M models side by side in its channels. Its
//                   pieces of one model are dense channels-last images, and the whole is the same bytes as
//                   the models one after another in the batch, [M*N, C/M, spatial...] channels-last: bringing
//                   models from the channels into the batch and back costs nothing, for any N.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mts::exec {

// PlanValue::layout. Models-first of M models is M itself: channels-last is that of one model.
inline constexpr int32_t kRowMajor = 0, kChannelsLast = 1;
inline bool is_models_first(int32_t layout) { return layout > kChannelsLast; }
std::string layout_name(int32_t layout);

// The layout and row-major are the same bytes: one channel, one pixel, no spatial axes, or no elements. Such
// values are marked row-major.
bool is_ambiguous(const Dims& dims, int32_t layout = kChannelsLast);
// Element strides of the logical axes. Precondition: not models-first.
std::vector<int64_t> strides_of(const Dims& dims, int32_t layout);
inline std::vector<int64_t> strides_of(const PlanValue& value) {
  return strides_of(value.dims, value.layout);
}

// [M, N, C/M, spatial...] of dims [N, C, spatial...], and how the elements lie: axes for every layout of at
// least two axes. Precondition: `models` divides the channels, and is that of a models-first layout.
Dims split_models(const Dims& dims, int64_t models);
std::vector<int64_t> split_strides(const Dims& dims, int32_t layout, int64_t models);

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
