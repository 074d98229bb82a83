#include "exec/cpu/resize.h"

#include "exec/cpu/dnnl.h"
#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mts::exec {
namespace {

// Which two input positions make an output position, and how much of the second.
struct Tap {
  int64_t first = 0, second = 0;
  float weight = 0.f;
};

struct Plane {  // the input as [outer, height, width, inner]
  int64_t outer = 1, height = 1, width = 1, inner = 1;
  std::vector<Tap> rows, columns;  // one an output position
  bool linear = false;
};

double source_position(int64_t x, int64_t in, int64_t out, double scale, const std::string& mode) {
  const auto position = static_cast<double>(x);
  if (mode == "asymmetric") return position / scale;
  // ONNX's reference counts with the unrounded length, scale * in, here.
  const double length = scale * static_cast<double>(in);
  if (mode == "align_corners") return length == 1 ? 0 : position * static_cast<double>(in - 1) / (length - 1);
  if (mode == "pytorch_half_pixel" && length == 1) return 0;
  double offset = 0;
  if (mode == "half_pixel_symmetric") {
    const double adjustment = static_cast<double>(out) / length;
    offset = static_cast<double>(in) / 2 * (1 - adjustment);
  }
  return offset + (position + 0.5) / scale - 0.5;
}

std::vector<Tap> taps_of(int64_t in, int64_t out, double scale, bool linear, const std::string& mode,
                         const std::string& nearest) {
  std::vector<Tap> taps(static_cast<size_t>(out));
  for (int64_t x = 0; x < out; ++x) {
    const double source =
        in == out && scale == 1 ? static_cast<double>(x) : source_position(x, in, out, scale, mode);
    Tap& tap = taps[static_cast<size_t>(x)];
    if (linear) {
      const double clamped = std::clamp(source, 0.0, static_cast<double>(in - 1));
      tap.first = static_cast<int64_t>(std::floor(clamped));
      tap.second = std::min(tap.first + 1, in - 1);
      tap.weight = static_cast<float>(clamped - std::floor(clamped));
      continue;
    }
    const double rounded = nearest == "floor"               ? std::floor(source)
                           : nearest == "ceil"              ? std::ceil(source)
                           : nearest == "round_prefer_ceil" ? std::floor(source + 0.5)
                                                            : std::ceil(source - 0.5);
    tap.first = tap.second = std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, in - 1);
  }
  return taps;
}

std::optional<std::vector<double>> doubles(const ExecPlan& plan, const Step& step, size_t i) {
  if (static_cast<int32_t>(i) >= step.node_inputs || step.inputs[i] == kAbsent) return std::nullopt;
  const PlanValue& value = plan.value(step.inputs[i]);
  if (!value.is_constant() || value.dtype != DType::kFloat32) return std::nullopt;
  const Tensor& tensor = *plan.constants[static_cast<size_t>(value.constant)].tensor();
  const float* const data = tensor.as<float>();
  return std::vector<double>(data, data + tensor.element_count());
}

std::optional<Plane> plane_of(const ExecPlan& plan, const Step& step) {
  const Node& node = plan.graph->node(step.node);
  const PlanValue &input = plan.value(step.inputs[0]), &output = plan.value(step.outputs[0]);
  const Dims &from = input.dims, &to = output.dims;
  if (from.size() < 3 || from.size() > 4 || to.size() != from.size() || element_count(from) == 0 ||
      element_count(to) == 0)
    return std::nullopt;
  if (from[0] != to[0] || from[1] != to[1]) return std::nullopt;
  const std::string mode = node.string_or("mode", "nearest");
  if (mode != "nearest" && mode != "linear") return std::nullopt;
  const bool old = plan.opset < 11;
  if (node.int_or("antialias", 0) != 0 || node.find("axes") != nullptr) return std::nullopt;
  if (node.string_or("keep_aspect_ratio_policy", "stretch") != "stretch") return std::nullopt;
  const std::string transform =
      old ? "asymmetric" : node.string_or("coordinate_transformation_mode", "half_pixel");
  static constexpr std::string_view kKnown[] = {"half_pixel", "asymmetric", "align_corners",
                                                "pytorch_half_pixel", "half_pixel_symmetric"};
  if (std::find(std::begin(kKnown), std::end(kKnown), transform) == std::end(kKnown)) return std::nullopt;
  const std::string nearest = old ? "floor" : node.string_or("nearest_mode", "round_prefer_floor");
  std::optional<std::vector<double>> scales = doubles(plan, step, old ? 1 : 2);
  if (!scales || scales->size() != from.size()) {
    // Given as sizes. (Scales that are not known would have left the output's dims unknown.)
    if (scales && !scales->empty()) return std::nullopt;
    if (old) return std::nullopt;
    scales.emplace();
    for (size_t i = 0; i < from.size(); ++i)
      scales->push_back(static_cast<double>(to[i]) / static_cast<double>(from[i]));
  }
  Plane plane;
  plane.linear = mode == "linear";
  const bool image = from.size() == 4, last = layout_between(input, output) == kChannelsLast;
  plane.outer = last ? from[0] : from[0] * from[1];
  plane.inner = last ? from[1] : 1;
  plane.height = image ? from[2] : 1;
  plane.width = from.back();
  plane.rows =
      image ? taps_of(from[2], to[2], (*scales)[2], plane.linear, transform, nearest) : std::vector<Tap>(1);
  plane.columns = taps_of(from.back(), to.back(), scales->back(), plane.linear, transform, nearest);
  return plane;
}

class ResizeKernel final : public Kernel {
 public:
  ResizeKernel(ValueIndex input, ValueIndex output, Plane plane)
      : input_(input), output_(output), plane_(std::move(plane)) {}

  Result<void> launch(const Pointers& pointers) override {
    const auto* const from = reinterpret_cast<const float*>(pointers[input_]);
    auto* const to = reinterpret_cast<float*>(pointers[output_]);
    const auto height = static_cast<int64_t>(plane_.rows.size()),
               width = static_cast<int64_t>(plane_.columns.size());
    const int64_t row = plane_.width * plane_.inner;
    parallel(plane_.outer * height, plane_.outer * height * width * plane_.inner * 4,
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; ++i) {
                 const Tap& tap = plane_.rows[static_cast<size_t>(i % height)];
                 const float* const image = from + i / height * plane_.height * row;
                 resize_row(to + i * width * plane_.inner, image + tap.first * row, image + tap.second * row,
                            tap.weight);
               }
             });
    return {};
  }

 private:
  void resize_row(float* to, const float* upper, const float* lower, float down) const {
    const int64_t inner = plane_.inner;
    for (const Tap& tap : plane_.columns) {
      const int64_t left = tap.first * inner, right = tap.second * inner;
      if (!plane_.linear) {
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
