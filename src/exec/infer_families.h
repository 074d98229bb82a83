// Shape functions by family (see bind.h): infer_compute.cpp and infer_movement.cpp; the table is in
// infer.cpp.
#pragma once

#include "exec/bind.h"
#include "exec/geometry.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mts::exec::infer {

using Facts = std::span<const Fact* const>;
// False: not enough is known (or the attributes ask for something unusual).
using Infer = Result<bool> (*)(const Node&, Facts, std::vector<Fact>&);

inline const Fact* at(Facts inputs, size_t i) { return i < inputs.size() ? inputs[i] : nullptr; }
inline bool shaped(Facts inputs, size_t i) { return at(inputs, i) != nullptr && inputs[i]->is_shaped(); }

inline std::optional<std::vector<int64_t>> ints(Facts inputs, size_t i) {
  if (at(inputs, i) == nullptr || inputs[i]->tensor() == nullptr) return std::nullopt;
  return to_int64s(*inputs[i]->tensor());
}

inline Result<bool> mismatch(const Node& node, std::string what) {
  return fail(ErrorCode::kModel, std::move(what), {.file = {}, .node = node.label(), .value = {}});
}

Result<bool> same(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> same_bool(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> cast(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> broadcasting(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> comparing(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> where(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> conv(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> pool(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> global_pool(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> matmul(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> gemm(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> reduce(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> arg_reduce(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> layer_norm(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> reshape(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> flatten(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> squeeze(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> unsqueeze(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> transpose(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> concat(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> split(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> gather(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> expand(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> constant_of_shape(const Node& node, Facts inputs, std::vector<Fact>& outputs);
Result<bool> slice(const Node& node, Facts inputs, std::vector<Fact>& outputs);

}  // namespace mts::exec::infer
