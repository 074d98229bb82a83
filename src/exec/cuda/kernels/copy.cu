#include "exec/cuda/kernels/copy.h"
#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/number.h"

#include <algorithm>

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32, kTileRows = 8;

// One thread an element, neighbours in the target next to each other.
template <class T, int R>
__global__ void __launch_bounds__(kThreads) copy_elements(const __grid_constant__ CopyArgs args) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.nest.count) return;
  int64_t at[2];
  args.nest.offsets<R>(i, at);
  static_cast<T*>(args.targets[blockIdx.y])[at[0]] = static_cast<const T*>(args.sources[blockIdx.y])[at[1]];
}

// The last two axes are transposed: rows (target stride 1 along the last, source stride 1 along the one
// before). blockIdx.x: tiles along the last axis, .y: along the one before, .z: the outer axes and the parts.
template <class T>
__global__ void __launch_bounds__(kTile* kTileRows)
    copy_transposed(const __grid_constant__ CopyArgs args, uint32_t outer) {
  T* const tile = shared_memory<T>();  // [kTile][kTile + 1]: columns fall into different banks
  const int last = args.nest.axes - 1;
  const uint32_t columns = args.nest.extents[last].value, rows = args.nest.extents[last - 1].value;
  uint32_t rest = blockIdx.z % outer;
  int64_t to = 0, from = 0;
  for (int axis = last - 2; axis >= 0; --axis) {
    const int64_t at = args.nest.extents[axis].take_remainder(rest);
    to += at * args.nest.strides[0][axis];
    from += at * args.nest.strides[1][axis];
  }
  const uint32_t part = blockIdx.z / outer;
  T* const target = static_cast<T*>(args.targets[part]) + to;
  const T* const source = static_cast<const T*>(args.sources[part]) + from;
  const uint32_t column = blockIdx.x * kTile, row = blockIdx.y * kTile;
  for (uint32_t j = threadIdx.y; j < kTile; j += kTileRows) {
    // Source: contiguous along the rows' axis.
    const uint32_t r = row + threadIdx.x, c = column + j;
    if (r < rows && c < columns)
      tile[j * (kTile + 1) + threadIdx.x] =
          source[r * args.nest.strides[1][last - 1] + c * args.nest.strides[1][last]];
  }
  sync_block();
  for (uint32_t j = threadIdx.y; j < kTile; j += kTileRows) {
    const uint32_t r = row + j, c = column + threadIdx.x;
    if (r < rows && c < columns)
      target[r * args.nest.strides[0][last - 1] + c * args.nest.strides[0][last]] =
          tile[threadIdx.x * (kTile + 1) + j];
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) fill(T* target, uint32_t count, T value) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) target[i] = value;
}

bool is_transposition(const Nest<2>& nest, int32_t parts) {
  const int last = nest.axes - 1;
  if (last < 1) return false;
  const uint32_t outer = nest.count / (nest.extents[last].value * nest.extents[last - 1].value);
  return nest.strides[0][last] == 1 && nest.strides[1][last - 1] == 1 && nest.strides[1][last] > 1 &&
         nest.extents[last].value >= 8 && nest.extents[last - 1].value >= 8 &&
         uint64_t{outer} * static_cast<uint32_t>(parts) <= 65535 &&
         nest.extents[last - 1].value <= uint32_t{65535} * kTile;
}

template <class T>
LaunchError copy_as(const CopyArgs& args, StreamHandle stream) {
  const int last = args.nest.axes - 1;
  if (is_transposition(args.nest, args.parts)) {
    const uint32_t columns = args.nest.extents[last].value, rows = args.nest.extents[last - 1].value;
    const uint32_t outer = args.nest.count / (rows * columns);
    const LaunchShape shape{
        {ceil_div(columns, kTile), ceil_div(rows, kTile), outer * static_cast<uint32_t>(args.parts)},
        {kTile, kTileRows},
        sizeof(T) * kTile * (kTile + 1),
        Sync::kTogether};
    return launch(copy_transposed<T>, shape, stream, args, outer);
  }
  const LaunchShape shape{{ceil_div(args.nest.count, kThreads), static_cast<uint32_t>(args.parts)},
                          {kThreads}};
  if (args.nest.axes <= 3) return launch(copy_elements<T, 3>, shape, stream, args);
  return launch(copy_elements<T, kMaxAxes>, shape, stream, args);
}

// The same copy with elements twice as wide, while everything is aligned to them.
bool widen(CopyArgs& args) {
  const int last = args.nest.axes - 1;
  if (args.width >= 16 || args.nest.extents[last].value % 2 != 0) return false;
  for (auto& strides : args.nest.strides) {
    if (strides[last] != 1) return false;
    for (int axis = 0; axis < last; ++axis) {
      if (strides[axis] % 2 != 0) return false;
    }
  }
  const auto wide = static_cast<uintptr_t>(args.width) * 2;
  for (int part = 0; part < args.parts; ++part) {
    if (reinterpret_cast<uintptr_t>(args.targets[part]) % wide != 0 ||
        reinterpret_cast<uintptr_t>(args.sources[part]) % wide != 0)
      return false;
  }
  args.width *= 2;
  args.nest.count /= 2;
  args.nest.extents[last] = Divisor(args.nest.extents[last].value / 2);
  for (auto& strides : args.nest.strides) {
    for (int axis = 0; axis < last; ++axis) strides[axis] /= 2;
  }
  return true;
}

template <class T>
LaunchError fill_as(void* target, int64_t count, uint64_t value, StreamHandle stream) {
  const LaunchShape shape{{ceil_div(count, kThreads)}, {kThreads}};
  return launch(fill<T>, shape, stream, static_cast<T*>(target), static_cast<uint32_t>(count),
                static_cast<T>(value));
}

}  // namespace

LaunchError launch_copy(const CopyArgs& given, StreamHandle stream) {
  if (given.nest.count == 0 || given.parts == 0) return nullptr;
  CopyArgs args = given;
  while (widen(args)) {
  }
  switch (args.width) {
    case 1:
      return copy_as<uint8_t>(args, stream);
    case 2:
      return copy_as<uint16_t>(args, stream);
    case 4:
      return copy_as<uint32_t>(args, stream);
    case 8:
      return copy_as<uint64_t>(args, stream);
    default:
      return copy_as<Pack<uint64_t, 2>>(args, stream);
  }
}

LaunchError launch_fill(void* target, int64_t count, int32_t width, uint64_t value, StreamHandle stream) {
  if (count == 0) return nullptr;
  switch (width) {
    case 1:
      return fill_as<uint8_t>(target, count, value, stream);
    case 2:
      return fill_as<uint16_t>(target, count, value, stream);
    case 4:
      return fill_as<uint32_t>(target, count, value, stream);
    default:
      return fill_as<uint64_t>(target, count, value, stream);
  }
}

}  // namespace mts::exec::cuda
