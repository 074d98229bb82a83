// Batched products of strided matrices on the tensor cores: TF32 for float32, FP16 and BF16. A block makes 64
// x 64 of C; k goes 16 at a time through two stages of block memory while the next 16 are read.
#include "exec/cuda/kernels/epilogue.cuh"
#include "exec/cuda/kernels/matmul.h"
#include "exec/cuda/kernels/mma_tile.cuh"

namespace mts::exec::cuda {
namespace {

// 64 lines (rows of A, columns of B) by 16 of k, eight elements a thread: neighbours along k where those lie
// together in memory, else threads side by side along the lines.
template <class T>
class TileReader {
 public:
  // `from`: the tile's first line; `inside`: lines from there to the end.
  __device__ __forceinline__ TileReader(const T* from, int64_t line_stride, int64_t depth_stride,
                                        int32_t inside, int32_t depth)
      : depth_stride_(depth_stride), depth_(depth) {
    const auto thread = static_cast<int32_t>(threadIdx.x);
    const bool by_depth = depth_stride <= line_stride;
    line_ = by_depth ? thread / 2 : thread % kMmaTile;
    first_ = by_depth ? thread % 2 * kMmaLoads : thread / kMmaTile;
    step_ = by_depth ? 1 : kMmaThreads / kMmaTile;
    inside_ = line_ < inside;
    from_ = from + line_ * line_stride + first_ * depth_stride;
  }
  __device__ __forceinline__ void read(int32_t k) {
    const T* const at = from_ + k * depth_stride_;
    const bool whole = inside_ && depth_stride_ == 1 && step_ == 1 && k + first_ + kMmaLoads <= depth_;
    if (whole && reinterpret_cast<uintptr_t>(at) % 16 == 0) {
      values_ = load_16_bytes<T>(at);
      return;
    }
#pragma unroll
    for (int n = 0; n < kMmaLoads; ++n)
      values_.v[n] = inside_ && k + first_ + n * step_ < depth_ ? at[n * step_ * depth_stride_] : T{};
  }
  __device__ __forceinline__ void stage(typename Staged<T>::Element* to) const {
#pragma unroll
    for (int n = 0; n < kMmaLoads; ++n)
      to[line_ * Staged<T>::kPitch + first_ + n * step_] = Staged<T>::of(values_.v[n]);
  }

 private:
  const T* from_;
  int64_t depth_stride_;
  int32_t depth_, line_, first_, step_;
  bool inside_;
  Pack<T, kMmaLoads> values_;
};

// The batch is blockIdx.z, then by steps of gridDim.z.
template <class T>
__global__ void __launch_bounds__(kMmaThreads)
    tensor_core_matmul(const __grid_constant__ MatmulArgs args, uint32_t batches) {
  Stage<T>* const stages = shared_memory<Stage<T>>();
  const int32_t row = static_cast<int32_t>(blockIdx.x) * kMmaTile,
                column = static_cast<int32_t>(blockIdx.y) * kMmaTile;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp;
  const int warp_row = warp / 2 * kMmaWarpTile, warp_column = warp % 2 * kMmaWarpTile;
  for (uint32_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
    uint32_t outer[kMaxOuter];
    uint32_t rest = batch;
    const T* a = static_cast<const T*>(args.a) + row * args.a_row;
    const T* b = static_cast<const T*>(args.b) + column * args.b_column;
#pragma unroll
    for (int i = kMaxOuter - 1; i >= 0; --i) {
      outer[i] = args.outer[i].take_remainder(rest);
      a += outer[i] * args.a_outer[i];
      b += outer[i] * args.b_outer[i];
    }
    TileReader<T> left(a, args.a_row, args.a_column, args.rows - row, args.inner);
    TileReader<T> right(b, args.b_column, args.b_row, args.columns - column, args.inner);
    FragmentC results[kMmaRowTiles][kMmaColumnTiles] = {};
    sync_block();  // the stages of the batch before have been read
    left.read(0);
    right.read(0);
    int which = 0;
    for (int32_t k = 0; k < args.inner; k += kMmaDepth, which ^= 1) {
      Stage<T>& stage = stages[which];
      left.stage(stage.left);
      right.stage(stage.right);
      sync_block();  // and whoever still multiplies works on the other stage
      if (k + kMmaDepth < args.inner) {
        left.read(k + kMmaDepth);
        right.read(k + kMmaDepth);
      }
      multiply_stage(stage, warp_row, warp_column, results);
    }

    T* const c = static_cast<T*>(args.c) + batch * args.c_batch;
    const int g = thread % kWarp / 4, t = thread % 4;
#pragma unroll
    for (int i = 0; i < kMmaRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kMmaColumnTiles; ++j) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int32_t m = row + warp_row + 16 * i + g + 8 * half, n = column + warp_column + 8 * j + 2 * t;
          if (m >= args.rows) continue;
          Positions<2> at;
          Vec<2> scaled;
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            at.outer[e] = outer[0];
            at.row[e] = static_cast<uint32_t>(m);
            at.column[e] = static_cast<uint32_t>(n + e < args.columns ? n + e : 0);
            scaled.v[e] = args.alpha * results[i][j].r[2 * half + e];
          }
          at.middle = outer[1];
          at.inner = outer[2];
          const Vec<2> finished = run_epilogue<2>(args.epilogue, scaled, at);
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            if (n + e < args.columns) c[m * args.c_row + n + e] = from_float<T>(finished.v[e]);
          }
        }
      }
    }
  }
}

template <class T>
LaunchError start(const MatmulArgs& args, StreamHandle stream) {
  uint32_t batches = 1;
  for (const Divisor& extent : args.outer) batches *= extent.value;
  if (batches == 0 || args.rows == 0 || args.columns == 0) return nullptr;
  const LaunchShape shape{
      {ceil_div(args.rows, kMmaTile), ceil_div(args.columns, kMmaTile), batches < 65535 ? batches : 65535},
      {kMmaThreads},
      2 * sizeof(Stage<T>),
      Sync::kTogether};
  return launch(tensor_core_matmul<T>, shape, stream, args, batches);
}

}  // namespace

LaunchError launch_tensor_core_matmul(const MatmulArgs& args, StreamHandle stream) {
  switch (args.type) {
    case FloatType::kFloat16:
      return start<Half>(args, stream);
    case FloatType::kBfloat16:
      return start<Bfloat16>(args, stream);
    default:
      return start<float>(args, stream);
  }
}

}  // namespace mts::exec::cuda
