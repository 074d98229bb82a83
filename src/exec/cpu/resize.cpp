#include "exec/cpu/resize.h"

#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/resize_plan.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace mts::exec {
namespace {

// The taps along rows and columns, over the input as [outer, height, width, inner].
struct Plane {
  ResizePlan taps;
  int64_t outer = 1, inner = 1;
};

std::optional<Plane> plane_of(const ExecPlan& plan, const Step& step) {
  std::optional<ResizePlan> taps = resize_plan_of(plan, step);
  if (!taps) return std::nullopt;
  const PlanValue& input = plan.value(step.inputs[0]);
  const bool last = layout_between(input, plan.value(step.outputs[0])) == kChannelsLast;
  return Plane{std::move(*taps), last ? input.dims[0] : input.dims[0] * input.dims[1],
               last ? input.dims[1] : 1};
}

class ResizeKernel final : public Kernel {
 public:
  ResizeKernel(ValueIndex input, ValueIndex output, Plane plane)
      : input_(input), output_(output), plane_(std::move(plane)) {
    for (const ResizePlan::Tap& tap : plane_.taps.columns) {
      first_.push_back(static_cast<int32_t>(tap.first));
      second_.push_back(static_cast<int32_t>(tap.second));
      weight_.push_back(tap.weight);
    }
  }

  Result<void> launch(const Pointers& pointers) override {
    const auto* const from = reinterpret_cast<const float*>(pointers[input_]);
    auto* const to = reinterpret_cast<float*>(pointers[output_]);
    const auto height = static_cast<int64_t>(plane_.taps.rows.size()),
               width = static_cast<int64_t>(plane_.taps.columns.size());
    const int64_t row = plane_.taps.width * plane_.inner;
    parallel(plane_.outer * height, plane_.outer * height * width * plane_.inner * 4,
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const ResizePlan::Tap& tap = plane_.taps.rows[static_cast<size_t>(i % height)];
                 const float* const image = from + i / height * plane_.taps.height * row;
                 float* const target = to + i * width * plane_.inner;
                 if (i > begin && i % height != 0 && !plane_.taps.linear &&
                     tap.first == plane_.taps.rows[static_cast<size_t>(i % height) - 1].first) {
                   // The row before once more.
                   std::copy_n(target - width * plane_.inner, width * plane_.inner, target);
                   continue;
                 }
                 if (plane_.inner == 1 && plane_.taps.width <= kWidest) {
                   resize_line(target, image + tap.first * row, image + tap.second * row, tap.weight);
                   continue;
                 }
                 resize_row(to + i * width * plane_.inner, image + tap.first * row, image + tap.second * row,
                            tap.weight);
               }
             });
    return {};
  }

 private:
  static constexpr int64_t kWidest = 2048;

  // One channel: rows first, then columns.
  void resize_line(float* to, const float* upper, const float* lower, float down) const {
    const size_t width = first_.size();
    if (!plane_.taps.linear) {
      for (size_t j = 0; j < width; ++j) to[j] = upper[first_[j]];
      return;
    }
    float between[kWidest];
    for (int64_t x = 0; x < plane_.taps.width; ++x) between[x] = upper[x] + down * (lower[x] - upper[x]);
    for (size_t j = 0; j < width; ++j) {
      const float left = between[first_[j]];
      to[j] = left + weight_[j] * (between[second_[j]] - left);
    }
  }

  void resize_row(float* to, const float* upper, const float* lower, float down) const {
    const int64_t inner = plane_.inner;
    for (const ResizePlan::Tap& tap : plane_.taps.columns) {
      const int64_t left = tap.first * inner, right = tap.second * inner;
      if (!plane_.taps.linear) {
        std::memcpy(to, upper + left, static_cast<size_t>(inner) * sizeof(float));
      } else {
        const float w = tap.weight;
        for (int64_t c = 0; c < inner; ++c) {
          const float top = upper[left + c] + w * (upper[right + c] - upper[left + c]);
          const float bottom = lower[left + c] + w * (lower[right + c] - lower[left + c]);
          to[c] = top + down * (bottom - top);
        }
      }
      to += inner;
    }
  }

  ValueIndex input_, output_;
  Plane plane_;
  std::vector<int32_t> first_, second_;  // the taps of the columns
  std::vector<float> weight_;
};

}  // namespace

bool accepts_resize(const ExecPlan& plan, const Step& step) {
  if (step.op != "Resize" && step.op != "Upsample") return false;
  return plan.value(step.inputs[0]).dtype == DType::kFloat32 && plane_of(plan, step).has_value();
}

Result<std::unique_ptr<Kernel>> make_resize(const ExecPlan& plan, const Step& step) {
  return std::make_unique<ResizeKernel>(step.inputs[0], step.outputs[0], *plane_of(plan, step));
}

}  // namespace mts::exec
