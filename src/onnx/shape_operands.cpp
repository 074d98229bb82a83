#include "onnx/shape_operands.h"

namespace mts::onnxio {

std::optional<Bounds> bounds_of(const Operands& o) {
  Bounds b;
  if (o.node.inputs.size() == 1) {
    for (const int64_t v : o.node.ints_or("starts", {})) b.start.push_back(number(v));
    for (const int64_t v : o.node.ints_or("ends", {})) b.end.push_back(number(v));
    b.axes = o.node.ints_or("axes", {});
  } else {
    if (o.content(1) == nullptr || o.content(2) == nullptr) return std::nullopt;
    b.start.assign(o.content(1)->dim().begin(), o.content(1)->dim().end());
    b.end.assign(o.content(2)->dim().begin(), o.content(2)->dim().end());
    if (o.present(3)) {
      if (o.content(3) == nullptr) return std::nullopt;
      for (const Element& axis : o.content(3)->dim()) {
        if (!axis.has_dim_value()) return std::nullopt;
        b.axes.push_back(axis.dim_value());
      }
    }
    if (o.present(4)) {
      if (o.content(4) == nullptr) return std::nullopt;
      b.step.assign(o.content(4)->dim().begin(), o.content(4)->dim().end());
    }
  }
  if (b.axes.empty())
    for (size_t i = 0; i < b.start.size(); ++i) b.axes.push_back(static_cast<int64_t>(i));
  if (b.step.empty()) b.step.assign(b.start.size(), number(1));
  if (b.end.size() != b.start.size() || b.step.size() != b.start.size() || b.axes.size() != b.start.size())
    return std::nullopt;
  return b;
}

}  // namespace mts::onnxio
