#include "exec/resize_plan.h"

#include "exec/geometry.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

namespace mts::exec {
namespace {

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

std::vector<ResizePlan::Tap> taps_of(int64_t in, int64_t out, double scale, bool linear,
                                     const std::string& mode, const std::string& nearest) {
  std::vector<ResizePlan::Tap> taps(static_cast<size_t>(out));
  for (int64_t x = 0; x < out; ++x) {
    const double source =
        in == out && scale == 1 ? static_cast<double>(x) : source_position(x, in, out, scale, mode);
    ResizePlan::Tap& tap = taps[static_cast<size_t>(x)];
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

}  // namespace

std::optional<ResizePlan> resize_plan_of(const ExecPlan& plan, const Step& step) {
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
  ResizePlan result;
  result.linear = mode == "linear";
  const bool image = from.size() == 4;
  result.height = image ? from[2] : 1;
  result.width = from.back();
  result.rows = image ? taps_of(from[2], to[2], (*scales)[2], result.linear, transform, nearest)
                      : std::vector<ResizePlan::Tap>(1);
  result.columns = taps_of(from.back(), to.back(), scales->back(), result.linear, transform, nearest);
  return result;
}

}  // namespace mts::exec
