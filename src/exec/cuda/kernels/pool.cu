#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/pool.h"
#include "exec/cuda/kernels/scalar.cuh"

#include <cmath>

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;

struct OutputDivisors {
  Divisor width, height, depth;
};

// The part of the window at output position `o` that lies in [low, high): kernel positions [first, last).
__device__ __forceinline__ void clip_window(const WindowShape& w, int axis, int32_t o, int32_t low,
                                            int32_t high, int32_t& first, int32_t& last) {
  const int32_t start = o * w.stride[axis] - w.pad_begin[axis], step = w.dilation[axis];
  first = start < low ? (low - start + step - 1) / step : 0;
  last = start >= high ? 0 : (high - start + step - 1) / step;
  last = last < w.kernel[axis] ? last : w.kernel[axis];
  last = last > first ? last : first;
}

template <class A>
__global__ void __launch_bounds__(kThreads)
    pool(const __grid_constant__ PoolArgs args, OutputDivisors out, uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const WindowShape& w = args.window;
  uint32_t rest = i;
  int32_t o[3];
  o[2] = static_cast<int32_t>(out.width.take_remainder(rest));
  o[1] = static_cast<int32_t>(out.height.take_remainder(rest));
  o[0] = static_cast<int32_t>(out.depth.take_remainder(rest));
  int32_t first[3], last[3];
  int32_t padded = 1;
#pragma unroll
  for (int axis = 0; axis < 3; ++axis) {
    if (args.count_padding) {
      clip_window(w, axis, o[axis], -w.pad_begin[axis], w.in[axis] + w.pad_end[axis], first[axis],
                  last[axis]);
      padded *= last[axis] - first[axis];
    }
    clip_window(w, axis, o[axis], 0, w.in[axis], first[axis], last[axis]);
  }
  const int64_t plane = static_cast<int64_t>(rest) * w.in[0] * w.in[1] * w.in[2];
  A total = static_cast<A>(0);
  int64_t best = -1;
  for (int32_t a = first[0]; a < last[0]; ++a) {
    const int32_t d = o[0] * w.stride[0] - w.pad_begin[0] + a * w.dilation[0];
    for (int32_t b = first[1]; b < last[1]; ++b) {
      const int32_t h = o[1] * w.stride[1] - w.pad_begin[1] + b * w.dilation[1];
      for (int32_t c = first[2]; c < last[2]; ++c) {
        const int32_t x = o[2] * w.stride[2] - w.pad_begin[2] + c * w.dilation[2];
        const int64_t at = plane + (static_cast<int64_t>(d) * w.in[1] + h) * w.in[2] + x;
        const A value = read_scalar<A>(args.input, at, args.type);
        if (!args.maximum) {
          total += value;
        } else if (best < 0 || value > total || value != value) {
          total = value;
          best = at;
        }
      }
    }
  }
  if (args.maximum) {
    if (best < 0)
      total = args.type == ScalarType::kUint8  ? static_cast<A>(0)
              : args.type == ScalarType::kInt8 ? static_cast<A>(-128)
                                               : static_cast<A>(float_of_bits(0xff800000u));
    if (args.indices != nullptr) args.indices[i] = best;
  } else {
    const int32_t inside = (last[0] - first[0]) * (last[1] - first[1]) * (last[2] - first[2]);
    total /= static_cast<A>(args.count_padding ? padded : inside);
  }
  write_scalar(args.output, i, args.type, total);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    normalise_response(const __grid_constant__ LrnArgs args, Divisor channels, Divisor pixels,
                       uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  uint32_t rest = i;
  pixels.take_remainder(rest);
  const auto channel = static_cast<int32_t>(channels.take_remainder(rest));
  const T* const x = static_cast<const T*>(args.input) + i;
  const int32_t before = (args.size - 1) / 2, after = args.size - 1 - before;
  const int32_t first = channel < before ? -channel : -before;
  const int32_t last = channel + after < args.channels ? after : args.channels - 1 - channel;
  float squares = 0.f;
  for (int32_t c = first; c <= last; ++c) {
    const float value = to_float(x[static_cast<int64_t>(c) * args.pixels]);
    squares += value * value;
  }
  const float scale = args.bias + args.alpha / static_cast<float>(args.size) * squares;
  static_cast<T*>(args.output)[i] = from_float<T>(to_float(*x) * powf(scale, -args.beta));
}

template <class T>
LaunchError lrn_as(const LrnArgs& args, StreamHandle stream) {
  const int64_t count = args.batch * args.channels * args.pixels;
  const LaunchShape shape{{ceil_div(count, kThreads)}, {kThreads}};
  return launch(normalise_response<T>, shape, stream, args, Divisor(args.channels), Divisor(args.pixels),
                static_cast<uint32_t>(count));
}

}  // namespace

LaunchError launch_lrn(const LrnArgs& args, StreamHandle stream) {
  if (args.batch * args.channels * args.pixels == 0) return nullptr;
  switch (args.type) {
    case FloatType::kFloat16:
      return lrn_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return lrn_as<Bfloat16>(args, stream);
    default:
      return lrn_as<float>(args, stream);
  }
}

LaunchError launch_pool(const PoolArgs& args, StreamHandle stream) {
  const WindowShape& w = args.window;
  const int64_t count = args.planes * w.out[0] * w.out[1] * w.out[2];
  if (count == 0) return nullptr;
  const LaunchShape shape{{ceil_div(count, kThreads)}, {kThreads}};
  const OutputDivisors out{Divisor(w.out[2]), Divisor(w.out[1]), Divisor(w.out[0])};
  if (args.type == ScalarType::kFloat64)
    return launch(pool<double>, shape, stream, args, out, static_cast<uint32_t>(count));
  return launch(pool<float>, shape, stream, args, out, static_cast<uint32_t>(count));
}

}  // namespace mts::exec::cuda
