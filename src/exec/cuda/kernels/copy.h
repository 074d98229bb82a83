// Copies between strided tensors of any element type: Transpose, Expand, Slice, Concat, Split, Pad's inside
// and changes of layout.
#pragma once

#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

inline constexpr int kMaxParts = 32;

// The same nest for several (source, target) pairs, so that the parts of a Concat take one launch.
struct CopyArgs {
  Nest<2> nest;       // operand 0: target, 1: source; in elements
  int32_t width = 4;  // bytes of an element: 1, 2, 4, 8 or 16
  int32_t parts = 1;
  void* targets[kMaxParts] = {};
  const void* sources[kMaxParts] = {};
};

// Contiguous runs go by 16 bytes, transpositions through block memory (both sides coalesced), the rest
// element by element. Source and target do not overlap.
LaunchError launch_copy(const CopyArgs& args, StreamHandle stream);

// Fills `count` elements of `width` bytes with the element `value` (the first `width` bytes of it).
LaunchError launch_fill(void* target, int64_t count, int32_t width, uint64_t value, StreamHandle stream);

}  // namespace mts::exec::cuda
