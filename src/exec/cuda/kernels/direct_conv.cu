#include "exec/cuda/kernels/conv.h"
#include "exec/cuda/kernels/epilogue.cuh"
#include "exec/cuda/kernels/launch.h"

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 128;

struct PixelDivisors {
  Divisor width, height;
  explicit PixelDivisors(const int32_t (&out)[3]) : width(out[2]), height(out[1]) {}
  // (depth, row, column) of a pixel.
  MTS_HOST_DEVICE void position(uint32_t pixel, int32_t (&at)[3]) const {
    at[2] = static_cast<int32_t>(width.take_remainder(pixel));
    at[1] = static_cast<int32_t>(height.take_remainder(pixel));
    at[0] = static_cast<int32_t>(pixel);
  }
};

// One thread makes `Channels` output channels of one pixel. blockIdx.x: pixels; .y: channel tiles of all
// groups, then the batch, by steps of gridDim.y.
template <class T, int Channels>
__global__ void __launch_bounds__(kThreads)
    convolve(const __grid_constant__ ConvArgs args, PixelDivisors divisors, Divisor channel_tiles,
             Divisor groups, uint32_t pixels) {
  const uint32_t pixel = blockIdx.x * blockDim.x + threadIdx.x;
  if (pixel >= pixels) return;
  const WindowShape& w = args.window;
  int32_t at[3];
  divisors.position(pixel, at);
  const int32_t positions = w.kernel[0] * w.kernel[1] * w.kernel[2];
  const uint32_t planes = static_cast<uint32_t>(args.batch) * groups.value * channel_tiles.value;
  for (uint32_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    uint32_t rest = plane;
    const auto first = static_cast<int32_t>(channel_tiles.take_remainder(rest)) * Channels;
    const uint32_t group = groups.take_remainder(rest), batch = rest;
    const T* const input = static_cast<const T*>(args.input) + batch * args.in.batch + group * args.in.group;
    const int64_t filter = static_cast<int64_t>(args.in_channels) * positions;
    const T* const weight = static_cast<const T*>(args.weights[0]) +
                            (static_cast<int64_t>(group) * args.out_channels + first) * filter;
    const int64_t channel_step = args.channels_last_weights ? 1 : positions,
                  position_step = args.channels_last_weights ? args.in_channels : 1;
    float sums[Channels];
#pragma unroll
    for (int i = 0; i < Channels; ++i) sums[i] = 0.f;
    for (int32_t c = 0; c < args.in_channels; ++c) {
      int64_t k = c * channel_step;
      for (int32_t a = 0; a < w.kernel[0]; ++a) {
        const int32_t z = at[0] * w.stride[0] - w.pad_begin[0] + a * w.dilation[0];
        for (int32_t b = 0; b < w.kernel[1]; ++b) {
          const int32_t y = at[1] * w.stride[1] - w.pad_begin[1] + b * w.dilation[1];
          for (int32_t d = 0; d < w.kernel[2]; ++d, k += position_step) {
            const int32_t x = at[2] * w.stride[2] - w.pad_begin[2] + d * w.dilation[2];
            if (z < 0 || z >= w.in[0] || y < 0 || y >= w.in[1] || x < 0 || x >= w.in[2]) continue;
            const float value =
                to_float(input[c * args.in.channel +
                               (static_cast<int64_t>(z * w.in[1] + y) * w.in[2] + x) * args.in.pixel]);
#pragma unroll
            for (int i = 0; i < Channels; ++i) {
              if (Channels == 1 || first + i < args.out_channels)
                sums[i] += value * to_float(weight[i * filter + k]);
            }
          }
        }
      }
    }
    Positions<Channels> at_output;
    Vec<Channels> results;
#pragma unroll
    for (int i = 0; i < Channels; ++i) {
      const int32_t channel = first + i < args.out_channels ? first + i : first;
      at_output.outer[i] = batch;
      at_output.row[i] = group * static_cast<uint32_t>(args.out_channels) + static_cast<uint32_t>(channel);
      at_output.column[i] = pixel;
      results.v[i] = sums[i];
    }
    const Vec<Channels> finished = run_epilogue<Channels>(args.epilogue, results, at_output);
#pragma unroll
    for (int i = 0; i < Channels; ++i) {
      if (first + i >= args.out_channels) break;
      static_cast<T*>(args.output)[batch * args.out.batch + group * args.out.group +
                                   (first + i) * args.out.channel + pixel * args.out.pixel] =
          from_float<T>(finished.v[i]);
    }
  }
}

// Gathers: output position o takes from input position (o + pad - r * dilation) / stride where that is whole.
template <class T>
__global__ void __launch_bounds__(kThreads)
    convolve_transposed(const __grid_constant__ ConvArgs args, PixelDivisors divisors, Divisor channels,
                        Divisor groups, uint32_t pixels) {
  const uint32_t pixel = blockIdx.x * blockDim.x + threadIdx.x;
  if (pixel >= pixels) return;
  const WindowShape& w = args.window;
  int32_t at[3];
  divisors.position(pixel, at);
  const int32_t positions = w.kernel[0] * w.kernel[1] * w.kernel[2];
  const uint32_t planes = static_cast<uint32_t>(args.batch) * groups.value * channels.value;
  for (uint32_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    uint32_t rest = plane;
    const uint32_t channel = channels.take_remainder(rest), group = groups.take_remainder(rest), batch = rest;
    const T* const input = static_cast<const T*>(args.input) + batch * args.in.batch + group * args.in.group;
    // [groups * in_channels, out_channels, kernel...]
    const int64_t filter = static_cast<int64_t>(args.out_channels) * positions;
    const T* const weight = static_cast<const T*>(args.weights[0]) +
                            static_cast<int64_t>(group) * args.in_channels * filter +
                            static_cast<int64_t>(channel) * positions;
    float sum = 0.f;
    int32_t position = 0;
    for (int32_t a = 0; a < w.kernel[0]; ++a) {
      for (int32_t b = 0; b < w.kernel[1]; ++b) {
        for (int32_t d = 0; d < w.kernel[2]; ++d, ++position) {
          const int32_t from[3] = {at[0] + w.pad_begin[0] - a * w.dilation[0],
                                   at[1] + w.pad_begin[1] - b * w.dilation[1],
                                   at[2] + w.pad_begin[2] - d * w.dilation[2]};
          bool inside = true;
          int64_t source = 0;
#pragma unroll
          for (int axis = 0; axis < 3; ++axis) {
            const int32_t step = from[axis] / w.stride[axis];
            inside = inside && from[axis] >= 0 && step * w.stride[axis] == from[axis] && step < w.in[axis];
            source = source * w.in[axis] + step;
          }
          if (!inside) continue;
          for (int32_t c = 0; c < args.in_channels; ++c) {
            sum += to_float(input[c * args.in.channel + source * args.in.pixel]) *
                   to_float(weight[c * filter + position]);
          }
        }
      }
    }
    Positions<1> at_output;
    at_output.outer[0] = batch;
    at_output.row[0] = group * channels.value + channel;
    at_output.column[0] = pixel;
    static_cast<T*>(args.output)[batch * args.out.batch + group * args.out.group +
                                 channel * args.out.channel + pixel * args.out.pixel] =
        from_float<T>(run_epilogue<1>(args.epilogue, splat<1>(sum), at_output).v[0]);
  }
}

uint32_t pixels_of(const ConvArgs& args) {
  return static_cast<uint32_t>(args.window.out[0] * args.window.out[1] * args.window.out[2]);
}

// `kernel`: one of the two, with `channels` channels a thread.
template <class K>
LaunchError start(K kernel, const ConvArgs& args, int32_t channels, StreamHandle stream) {
  const uint32_t pixels = pixels_of(args), tiles = ceil_div(args.out_channels, channels);
  const int64_t planes = int64_t{args.batch} * args.groups * tiles;
  if (pixels == 0 || planes == 0) return nullptr;
  constexpr int64_t kMost = 65535;
  const LaunchShape shape{
      {ceil_div(pixels, kThreads), static_cast<uint32_t>(planes < kMost ? planes : kMost)}, {kThreads}};
  return launch(kernel, shape, stream, args, PixelDivisors(args.window.out), Divisor(tiles),
                Divisor(args.groups), pixels);
}

template <class T>
LaunchError direct_as(const ConvArgs& args, StreamHandle stream) {
  if (args.out_channels == 1) return start(convolve<T, 1>, args, 1, stream);
  return start(convolve<T, 4>, args, 4, stream);
}

}  // namespace

LaunchError launch_direct_conv(const ConvArgs& args, StreamHandle stream) {
  switch (args.type) {
    case FloatType::kFloat16:
      return direct_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return direct_as<Bfloat16>(args, stream);
    default:
      return direct_as<float>(args, stream);
  }
}

LaunchError launch_transposed_conv(const ConvArgs& args, StreamHandle stream) {
  switch (args.type) {
    case FloatType::kFloat16:
      return start(convolve_transposed<Half>, args, 1, stream);
    case FloatType::kBfloat16:
      return start(convolve_transposed<Bfloat16>, args, 1, stream);
    default:
      return start(convolve_transposed<float>, args, 1, stream);
  }
}

}  // namespace mts::exec::cuda
