#include "exec/cuda/kernels/gather.h"
#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/number.h"

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;

// The index at `at`, not negative; -1 when it is out of range.
__device__ __forceinline__ int64_t index_at(const Indices& indices, int64_t at, int64_t length) {
  int64_t index = indices.wide ? static_cast<const int64_t*>(indices.data)[at]
                               : static_cast<const int32_t*>(indices.data)[at];
  if (index < 0) index += length;
  if (index >= 0 && index < length) return index;
  if (indices.fault != nullptr) *indices.fault = 1;
  return -1;
}

// One thread an element (of up to 16 bytes); blockIdx.y: the outer positions.
template <class T>
__global__ void __launch_bounds__(kThreads) gather(const __grid_constant__ GatherArgs args, Divisor row) {
  uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= static_cast<uint64_t>(args.count * args.row)) return;
  const uint32_t to = i;
  const int64_t within = row.take_remainder(i);
  const int64_t index = index_at(args.indices, i, args.length);
  if (index < 0) return;
  for (int64_t outer = blockIdx.y; outer < args.outer; outer += gridDim.y) {
    static_cast<T*>(args.output)[outer * args.count * args.row + to] =
        static_cast<const T*>(args.table)[(outer * args.length + index) * args.row + within];
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) move_elements(const __grid_constant__ ElementsArgs args) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.nest.count) return;
  int64_t at;
  args.nest.offsets(i, &at);
  const int64_t index = index_at(args.indices, i, args.axis_length);
  if (index < 0) return;
  at += index * args.axis_stride;
  if (args.scatter) {
    static_cast<T*>(args.target)[at] = static_cast<const T*>(args.source)[i];
  } else {
    static_cast<T*>(args.target)[i] = static_cast<const T*>(args.source)[at];
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    move_slices(const __grid_constant__ SlicesArgs args, Divisor row) {
  uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= static_cast<uint64_t>(args.slices * args.row)) return;
  const uint32_t flat = i;
  int64_t at = row.take_remainder(i);
  at += i / args.slices_a_batch * args.batch_stride;
  for (int k = 0; k < args.tuple; ++k) {
    const int64_t index = index_at(args.indices, static_cast<int64_t>(i) * args.tuple + k, args.lengths[k]);
    if (index < 0) return;
    at += index * args.strides[k];
  }
  if (args.scatter) {
    static_cast<T*>(args.target)[at] = static_cast<const T*>(args.source)[flat];
  } else {
    static_cast<T*>(args.target)[flat] = static_cast<const T*>(args.source)[at];
  }
}

// Calls `start` with an element type of `width` bytes.
template <class F>
LaunchError for_width(int32_t width, const F& start) {
  switch (width) {
    case 1:
      return start(uint8_t{});
    case 2:
      return start(uint16_t{});
    case 4:
      return start(uint32_t{});
    case 8:
      return start(uint64_t{});
    default:
      return start(Pack<uint64_t, 2>{});
  }
}

bool is_aligned(const void* pointer, int32_t to) {
  return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(to) == 0;
}

}  // namespace

LaunchError launch_gather(const GatherArgs& given, StreamHandle stream) {
  if (given.outer * given.count * given.row == 0) return nullptr;
  GatherArgs args = given;
  while (args.width < 16 && args.row % 2 == 0 && is_aligned(args.table, args.width * 2) &&
         is_aligned(args.output, args.width * 2)) {
    args.width *= 2;
    args.row /= 2;
  }
  constexpr int64_t kMostOuter = 65535;
  const LaunchShape shape{{ceil_div(args.count * args.row, kThreads),
                           static_cast<uint32_t>(args.outer < kMostOuter ? args.outer : kMostOuter)},
                          {kThreads}};
  const Divisor row(args.row);
  return for_width(args.width,
                   [&](auto element) { return launch(gather<decltype(element)>, shape, stream, args, row); });
}

LaunchError launch_elements(const ElementsArgs& args, StreamHandle stream) {
  if (args.nest.count == 0) return nullptr;
  const LaunchShape shape{{ceil_div(args.nest.count, kThreads)}, {kThreads}};
  return for_width(args.width, [&](auto element) {
    return launch(move_elements<decltype(element)>, shape, stream, args);
  });
}

LaunchError launch_slices(const SlicesArgs& args, StreamHandle stream) {
  if (args.slices * args.row == 0) return nullptr;
  const LaunchShape shape{{ceil_div(args.slices * args.row, kThreads)}, {kThreads}};
  const Divisor row(args.row);
  return for_width(args.width, [&](auto element) {
    return launch(move_slices<decltype(element)>, shape, stream, args, row);
  });
}

}  // namespace mts::exec::cuda
