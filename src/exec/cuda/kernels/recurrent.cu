// A warp makes one unit of a few sequences: its lanes share the products of R's rows of that unit.
#include "exec/cuda/kernels/element_ops.cuh"
#include "exec/cuda/kernels/recurrent.h"
#include "exec/cuda/kernels/reduce.cuh"

#include <cmath>

namespace mts::exec::cuda {
namespace {

constexpr int kWarps = 4, kSequences = 4;

template <RecurrentCell Cell>
struct Gates;
template <>
struct Gates<RecurrentCell::kLstm> {
  static constexpr int kAll = 4, kFirst = 0, kCount = 4;
};
template <>
struct Gates<RecurrentCell::kGruLinear> {
  static constexpr int kAll = 3, kFirst = 0, kCount = 3;
};
template <>
struct Gates<RecurrentCell::kGruReset> {
  static constexpr int kAll = 3, kFirst = 0, kCount = 2;
};
template <>
struct Gates<RecurrentCell::kGruCandidate> {
  static constexpr int kAll = 3, kFirst = 2, kCount = 1;
};

// `at`: of (sequence, unit) in the states. `input`, `recurrent`: of the computed gates, the latter with R's
// bias.
template <RecurrentCell Cell, int N>
__device__ __forceinline__ void finish(const RecurrentDirection& d, int64_t at, const float (&input)[N],
                                       const float (&recurrent)[N]) {
  const float before = d.before == nullptr ? 0.f : d.before[at];
  float h = 0.f;
  if constexpr (Cell == RecurrentCell::kLstm) {
    const float old = d.state_before == nullptr ? 0.f : d.state_before[at];
    const float state = sigmoid(input[2] + recurrent[2]) * old +
                        sigmoid(input[0] + recurrent[0]) * tanhf(input[3] + recurrent[3]);
    d.state_after[at] = state;
    h = sigmoid(input[1] + recurrent[1]) * tanhf(state);
  } else if constexpr (Cell == RecurrentCell::kGruLinear) {
    const float update = sigmoid(input[0] + recurrent[0]), reset = sigmoid(input[1] + recurrent[1]);
    const float candidate = tanhf(input[2] + reset * recurrent[2]);
    h = candidate + update * (before - candidate);
  } else if constexpr (Cell == RecurrentCell::kGruReset) {
    d.update[at] = sigmoid(input[0] + recurrent[0]);
    d.gated[at] = sigmoid(input[1] + recurrent[1]) * before;
    return;
  } else {
    const float candidate = tanhf(input[0] + recurrent[0]);
    h = candidate + d.update[at] * (before - candidate);
  }
  d.after[at] = h;
  if (d.last != nullptr) d.last[at] = h;
}

// blockIdx: units by kWarps, sequences by kSequences, directions.
template <RecurrentCell Cell>
__global__ void __launch_bounds__(kWarps* kWarp) recurrent(const __grid_constant__ RecurrentArgs args) {
  constexpr int kAll = Gates<Cell>::kAll, kFirst = Gates<Cell>::kFirst, kCount = Gates<Cell>::kCount;
  const RecurrentDirection& d = args.directions[blockIdx.z];
  const auto lane = static_cast<int32_t>(threadIdx.x) % kWarp;
  const int32_t hidden = args.hidden,
                unit = static_cast<int32_t>(blockIdx.x) * kWarps + static_cast<int32_t>(threadIdx.x) / kWarp,
                first = static_cast<int32_t>(blockIdx.y) * kSequences;
  if (unit >= hidden) return;  // whole warps
  const float* const h = Cell == RecurrentCell::kGruCandidate ? d.gated : d.before;
  float sums[kSequences][kCount] = {};
  if (h != nullptr) {
    for (int32_t k = lane; k < hidden; k += kWarp) {
      float weights[kCount];
#pragma unroll
      for (int g = 0; g < kCount; ++g)
        weights[g] = d.weights[(static_cast<int64_t>(kFirst + g) * hidden + unit) * hidden + k];
#pragma unroll
      for (int b = 0; b < kSequences; ++b) {
        const float value = first + b < args.batch ? h[static_cast<int64_t>(first + b) * hidden + k] : 0.f;
#pragma unroll
        for (int g = 0; g < kCount; ++g) sums[b][g] += weights[g] * value;
      }
    }
  }
#pragma unroll
  for (int b = 0; b < kSequences; ++b) {
    float input[kCount], products[kCount];
#pragma unroll
    for (int g = 0; g < kCount; ++g)
      products[g] = reduce_warp(sums[b][g], [](float x, float y) { return x + y; });
    if (lane != b || first + b >= args.batch) continue;
#pragma unroll
    for (int g = 0; g < kCount; ++g) {
      const int64_t column = static_cast<int64_t>(kFirst + g) * hidden + unit;
      input[g] = d.gates[static_cast<int64_t>(first + b) * kAll * hidden + column];
      if (d.bias != nullptr) products[g] += d.bias[column];
    }
    finish<Cell>(d, static_cast<int64_t>(first + b) * hidden + unit, input, products);
  }
}

}  // namespace

LaunchError launch_recurrent(const RecurrentArgs& args, StreamHandle stream) {
  const LaunchShape shape{{ceil_div(args.hidden, kWarps), ceil_div(args.batch, kSequences),
                           static_cast<uint32_t>(args.direction_count)},
                          {kWarps * kWarp},
                          0,
                          Sync::kTogether};
  switch (args.cell) {
    case RecurrentCell::kLstm:
      return launch(recurrent<RecurrentCell::kLstm>, shape, stream, args);
    case RecurrentCell::kGruLinear:
      return launch(recurrent<RecurrentCell::kGruLinear>, shape, stream, args);
    case RecurrentCell::kGruReset:
      return launch(recurrent<RecurrentCell::kGruReset>, shape, stream, args);
    default:
      return launch(recurrent<RecurrentCell::kGruCandidate>, shape, stream, args);
  }
}

}  // namespace mts::exec::cuda
