// Steps that only move data: Transpose (also as Einsum writes it), Expand, Slice, Concat, Split, Gather,
// DepthToSpace, SpaceToDepth and plain copies. Any element type of whole bytes.
#pragma once

#include "exec/backend.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mts::exec {

bool accepts_movement(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_movement(const ExecPlan& plan, const Step& step);

// Copies value 0 to value 1, row-major over `dims`: `strides` are those of value 0, `width` the bytes of an
// element.
std::unique_ptr<Kernel> make_permutation(const Dims& dims, const std::vector<int64_t>& strides, size_t width);

}  // namespace mts::exec
