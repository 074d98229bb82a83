#include "exec/cpu/resize.h"

#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/resize_plan.h"

#include <cstring>
#include <optional>
#include <utility>

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
      : input_(input), output_(output), plane_(std::move(plane)) {}

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
                 resize_row(to + i * width * plane_.inner, image + tap.first * row, image + tap.second * row,
                            tap.weight);
               }
             });
    return {};
  }

 private:
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
