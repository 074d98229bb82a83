// Reading and writing at positions that an index tensor names. An index below 0 counts from the end; one that
// is out of range sets *fault (where it is given) and moves nothing.
#pragma once

#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

struct Indices {
  const void* data = nullptr;
  bool wide = true;  // int64, else int32
  int32_t* fault = nullptr;
};

// Rows of the table: output [outer, count, row] = table [outer, length, row] at indices [count].
struct GatherArgs {
  Indices indices;
  const void* table = nullptr;
  void* output = nullptr;
  int64_t outer = 0;
  int64_t length = 0, count = 0, row = 0;
  int32_t width = 4;  // bytes of an element
};
LaunchError launch_gather(const GatherArgs& args, StreamHandle stream);

// GatherElements and ScatterElements: the element at position p of `indices` belongs to the one of `data` at
// p with the index instead of p's coordinate along the axis.
struct ElementsArgs {
  Indices indices;
  const void* source = nullptr;
  void* target = nullptr;
  Nest<1> nest;             // positions of `indices`; operand 0: data without the axis' share
  int64_t axis_length = 0;  // of data
  int64_t axis_stride = 0;
  int32_t width = 4;
  bool scatter = false;  // data is the target, else the source; the other side is contiguous
};
LaunchError launch_elements(const ElementsArgs& args, StreamHandle stream);

// GatherND and ScatterND: slice s of `row` elements lies at the tuple s of indices in `data`; the other side
// is contiguous. With batch_dims, tuple s belongs to batch s / slices_a_batch.
inline constexpr int kMaxTuple = 8;
struct SlicesArgs {
  Indices indices;
  const void* source = nullptr;
  void* target = nullptr;
  int64_t slices = 0, row = 0;
  int64_t slices_a_batch = 1, batch_stride = 0;
  int32_t tuple = 0;
  int64_t lengths[kMaxTuple] = {}, strides[kMaxTuple] = {};
  int32_t width = 4;
  bool scatter = false;
};
LaunchError launch_slices(const SlicesArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
