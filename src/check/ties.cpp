#include "check/ties.h"

#include "check/compare.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mts::check {

std::optional<IndexOutput> index_output(const Graph& graph, size_t position) {
  static constexpr std::array kPassing = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};
  ValueId value = graph.outputs()[position];
  while (graph.value(value).producer != kNoNode) {
    const Node& node = graph.node(graph.value(value).producer);
    if (!node.domain.empty()) return std::nullopt;
    if (node.is("ArgMax") || node.is("ArgMin"))
      return IndexOutput{position, node.inputs[0], node.int_or("axis", 0)};
    if (node.is("TopK") && graph.value(value).output == 1) {
      return IndexOutput{position, node.inputs[0], node.int_or("axis", -1)};
    }
    if (std::ranges::find(kPassing, node.op_type) == kPassing.end()) return std::nullopt;
    value = node.inputs[0];
  }
  return std::nullopt;
}

bool ties(const IndexOutput& output, const Tensor& data, const Tensor& reference, const Tensor& fused,
          double relative) {
  if (!is_integer(reference.dtype()) || reference.dtype() != fused.dtype() ||
      reference.dims() != fused.dims()) {
    return false;
  }
  const auto rank = static_cast<int64_t>(data.dims().size());
  const int64_t axis = output.axis < 0 ? output.axis + rank : output.axis;
  if (axis < 0 || axis >= rank) return false;
  const auto split = data.dims().begin() + axis;
  const int64_t outer = element_count({data.dims().begin(), split});
  const int64_t size = *split;
  const int64_t inner = element_count({split + 1, data.dims().end()});
  const std::vector<double> values = doubles_of(data);
  const std::vector<double> expected = doubles_of(reference);
  const std::vector<double> actual = doubles_of(fused);
  const auto count = static_cast<int64_t>(expected.size());
  if (outer * inner == 0 || count % (outer * inner) != 0) return false;
  const int64_t selected = count / (outer * inner);  // 1, or TopK's k

  double scale = 0;
  for (const double x : values) {
    if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
  }
  const auto at = [&](int64_t element, double index) {
    const int64_t block = element / (selected * inner);
    return values[static_cast<size_t>((block * size + static_cast<int64_t>(index)) * inner +
                                      element % inner)];
  };
  for (int64_t i = 0; i < count; ++i) {
    const double want = expected[static_cast<size_t>(i)];
    const double got = actual[static_cast<size_t>(i)];
    if (want < 0 || got < 0 || want >= static_cast<double>(size) || got >= static_cast<double>(size))
      return false;
    if (want == got) continue;
    const double x = at(i, want);
    const double y = at(i, got);
    if (x != y && !(std::abs(x - y) <= relative * scale)) return false;
  }
  return true;
}

}  // namespace mts::check
