#include "exec/cuda/kernels/element_ops.cuh"
#include "exec/cuda/kernels/reduce.cuh"
#include "exec/cuda/kernels/rows.h"

#include <cmath>

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 256;

// The largest element seen, and the sum of exp(x - largest).
struct Peak {
  float largest, sum;
};
__device__ __forceinline__ Peak shuffle_xor(const Peak& p, int mask) {
  return {cuda::shuffle_xor(p.largest, mask), cuda::shuffle_xor(p.sum, mask)};
}

__device__ __forceinline__ float minus_infinity() { return float_of_bits(0xff800000u); }

// A part that saw nothing above minus infinity weighs nothing (and would give NaN).
__device__ __forceinline__ Peak join(const Peak& a, const Peak& b) {
  const float largest = is_nan(a.largest) || a.largest > b.largest ? a.largest : b.largest;
  const float left = a.largest == minus_infinity() ? 0.f : a.sum * expf(a.largest - largest);
  const float right = b.largest == minus_infinity() ? 0.f : b.sum * expf(b.largest - largest);
  return {largest, left + right};
}

template <class T>
__device__ __forceinline__ void write_softmax(const SoftmaxArgs& args, int64_t at, const Peak& peak,
                                              float log_sum) {
  const float x = to_float(static_cast<const T*>(args.input)[at]) - peak.largest;
  static_cast<T*>(args.output)[at] = from_float<T>(args.logarithm ? x - log_sum : expf(x) / peak.sum);
}

template <class T, int Group>
__global__ void __launch_bounds__(kBlockGroup) softmax_rows(const __grid_constant__ SoftmaxArgs args) {
  Peak* const memory = Group == kWarp ? nullptr : shared_memory<Peak>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= args.outer) return;  // whole warps
  const int64_t first = row * args.length;
  Peak peak{minus_infinity(), 0.f};
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < args.length; i += Group)
    peak = join(peak, {to_float(static_cast<const T*>(args.input)[first + i]), 1.f});
  peak = reduce_group<Group>(
      peak, [](const Peak& a, const Peak& b) { return join(a, b); }, memory);
  const float log_sum = args.logarithm ? logf(peak.sum) : 0.f;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < args.length; i += Group)
    write_softmax<T>(args, first + i, peak, log_sum);
}

// Lines that are not contiguous: one thread a line, neighbours next to each other.
template <class T>
__global__ void __launch_bounds__(kThreads) softmax_columns(const __grid_constant__ SoftmaxArgs args) {
  const int64_t line = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (line >= args.outer * args.inner) return;
  const int64_t first = line / args.inner * args.length * args.inner + line % args.inner;
  Peak peak{minus_infinity(), 0.f};
  for (int32_t i = 0; i < args.length; ++i)
    peak = join(peak, {to_float(static_cast<const T*>(args.input)[first + int64_t{i} * args.inner]), 1.f});
  const float log_sum = args.logarithm ? logf(peak.sum) : 0.f;
  for (int32_t i = 0; i < args.length; ++i)
    write_softmax<T>(args, first + int64_t{i} * args.inner, peak, log_sum);
}

template <class T>
LaunchError softmax_as(const SoftmaxArgs& args, StreamHandle stream) {
  if (args.inner != 1) {
    const LaunchShape shape{{ceil_div(args.outer * args.inner, kThreads)}, {kThreads}};
    return launch(softmax_columns<T>, shape, stream, args);
  }
  if (args.length < kLongRow)
    return launch(softmax_rows<T, kWarp>, rows_shape<kWarp>(args.outer, 0), stream, args);
  return launch(softmax_rows<T, kBlockGroup>, rows_shape<kBlockGroup>(args.outer, sizeof(Peak)), stream,
                args);
}

template <class T, int Group>
__global__ void __launch_bounds__(kBlockGroup) normalise_rows(const __grid_constant__ NormaliseArgs args) {
  float* const memory = Group == kWarp ? nullptr : shared_memory<float>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= args.rows) return;  // whole warps
  const T* const x = static_cast<const T*>(args.input) + row * args.length;
  T* const y = static_cast<T*>(args.output) + row * args.length;
  const auto add = [](float a, float b) { return a + b; };
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const auto n = static_cast<float>(args.length);
  float mean = 0.f;
  if (args.centred) {
    for (int32_t i = thread; i < args.length; i += Group) mean += to_float(x[i]);
    mean = reduce_group<Group>(mean, add, memory) / n;
  }
  float squares = 0.f;
  for (int32_t i = thread; i < args.length; i += Group) {
    const float d = to_float(x[i]) - mean;
    squares += d * d;
  }
  const float inverse = 1.f / sqrtf(reduce_group<Group>(squares, add, memory) / n + args.epsilon);
  const T* const scale = static_cast<const T*>(args.scale);
  const T* const bias = static_cast<const T*>(args.bias);
  const int64_t first = row % args.groups * args.parameters_a_row;
  for (int32_t i = thread; i < args.length; i += Group) {
    const int64_t k = first + (args.run == 1 ? i : i / args.run);
    float value = (to_float(x[i]) - mean) * inverse;
    if (scale != nullptr) value *= to_float(scale[k]);
    if (bias != nullptr) value += to_float(bias[k]);
    y[i] = from_float<T>(value);
  }
  if (thread != 0) return;
  if (args.mean_output != nullptr) args.mean_output[row] = mean;
  if (args.inverse_output != nullptr) args.inverse_output[row] = inverse;
}

template <class T>
LaunchError normalise_as(const NormaliseArgs& args, StreamHandle stream) {
  if (args.length < kLongRow)
    return launch(normalise_rows<T, kWarp>, rows_shape<kWarp>(args.rows, 0), stream, args);
  return launch(normalise_rows<T, kBlockGroup>, rows_shape<kBlockGroup>(args.rows, sizeof(float)), stream,
                args);
}

}  // namespace

LaunchError launch_softmax(const SoftmaxArgs& args, StreamHandle stream) {
  if (args.outer == 0 || args.length == 0 || args.inner == 0) return nullptr;
  switch (args.type) {
    case FloatType::kFloat16:
      return softmax_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return softmax_as<Bfloat16>(args, stream);
    default:
      return softmax_as<float>(args, stream);
  }
}

LaunchError launch_normalise(const NormaliseArgs& args, StreamHandle stream) {
  if (args.rows == 0 || args.length == 0) return nullptr;
  switch (args.type) {
    case FloatType::kFloat16:
      return normalise_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return normalise_as<Bfloat16>(args, stream);
    default:
      return normalise_as<float>(args, stream);
  }
}

}  // namespace mts::exec::cuda
