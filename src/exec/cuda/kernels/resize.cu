#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/number.h"
#include "exec/cuda/kernels/resize.h"

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    resize(const __grid_constant__ ResizeArgs args, Divisor rows, Divisor columns, uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  uint32_t rest = i;
  const ResizeTap column = args.column_taps[columns.take_remainder(rest)];
  const ResizeTap row = args.row_taps[rows.take_remainder(rest)];
  const T* const plane =
      static_cast<const T*>(args.input) + static_cast<int64_t>(rest) * args.height * args.width;
  T* const to = static_cast<T*>(args.output) + i;
  const T* const upper = plane + static_cast<int64_t>(row.first) * args.width;
  if (!args.linear) {
    *to = upper[column.first];
    return;
  }
  const T* const lower = plane + static_cast<int64_t>(row.second) * args.width;
  const auto along = [&](const T* line) {
    const float left = to_float(line[column.first]);
    return left + column.weight * (to_float(line[column.second]) - left);
  };
  const float top = along(upper);
  *to = from_float<T>(top + row.weight * (along(lower) - top));
}

template <class T>
LaunchError resize_as(const ResizeArgs& args, StreamHandle stream) {
  const int64_t count = args.planes * args.rows * args.columns;
  const LaunchShape shape{{ceil_div(count, kThreads)}, {kThreads}};
  return launch(resize<T>, shape, stream, args, Divisor(args.rows), Divisor(args.columns),
                static_cast<uint32_t>(count));
}

}  // namespace

LaunchError launch_resize(const ResizeArgs& args, StreamHandle stream) {
  if (args.planes * args.rows * args.columns == 0) return nullptr;
  switch (args.type) {
    case FloatType::kFloat16:
      return resize_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return resize_as<Bfloat16>(args, stream);
    default:
      return resize_as<float>(args, stream);
  }
}

}  // namespace mts::exec::cuda
