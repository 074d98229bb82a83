// Implicit GEMM on the tensor cores: TF32 for float32, FP16 and BF16. A block of four warps makes 64 output
// channels x 64 pixels; k goes 16 at a time through two stages of block memory while the next 16 are read
// into registers.
#include "exec/cuda/kernels/implicit_gemm.cuh"
#include "exec/cuda/kernels/mma.cuh"

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = 128, kTile = 64, kDepth = 16;
static_assert(kTile == kMostTileRows);
constexpr int kLoads = kTile * kDepth / kThreads;  // elements a thread reads of each operand
static_assert(kLoads == 8 && kThreads == 2 * kTile, "two threads read a row of weights");
constexpr int kWarpTile = 32;  // of rows and columns
constexpr int kRowTiles = kWarpTile / 16, kColumnTiles = kWarpTile / 8;

// How elements lie in block memory, k contiguous: TF32 as 32 bits, the others as they are. Rows are padded so
// that the lanes of a fragment (8 rows of 4 words) fall into different banks.
template <class T>
struct Staged {
  using Element = T;
  static constexpr int kPitch = kDepth + 8;
  static __device__ __forceinline__ T of(T x) { return x; }
};
template <>
struct Staged<float> {
  using Element = uint32_t;
  static constexpr int kPitch = kDepth + 4;
  static __device__ __forceinline__ uint32_t of(float x) { return to_tf32(x); }
};

template <class T>
struct Stage {
  alignas(16) typename Staged<T>::Element weights[kTile * Staged<T>::kPitch];
  alignas(16) typename Staged<T>::Element pixels[kTile * Staged<T>::kPitch];
};

// Eight elements by 128-bit loads.
template <class T>
__device__ __forceinline__ Pack<T, kLoads> load_16_bytes(const T* __restrict__ from) {
  constexpr int kEach = 16 / static_cast<int>(sizeof(T));
  Pack<T, kLoads> result;
#pragma unroll
  for (int i = 0; i < kLoads; i += kEach) {
    const auto piece = *reinterpret_cast<const Pack<T, kEach>*>(from + i);
#pragma unroll
    for (int j = 0; j < kEach; ++j) result.v[i + j] = piece.v[j];
  }
  return result;
}

// The word at (row, k) of a staged operand.
template <class E>
__device__ __forceinline__ uint32_t word(const E* from, int at) {
  return *reinterpret_cast<const uint32_t*>(from + at);
}

// Step `k` of a fragment is k8 for TF32 and k16 for 16 bits: in words, both are 8 words a step.
template <class T>
__device__ __forceinline__ FragmentA load_a(const Stage<T>& stage, int row, int step) {
  constexpr int kWord = sizeof(T) == 2 ? 2 : 1;  // elements
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4, t = static_cast<int>(threadIdx.x) % 4;
  const int at = (row + g) * Staged<T>::kPitch + (step * 8 + t) * kWord;
  constexpr int kEight = 8 * Staged<T>::kPitch;
  return {{word(stage.weights, at), word(stage.weights, at + kEight), word(stage.weights, at + 4 * kWord),
           word(stage.weights, at + kEight + 4 * kWord)}};
}
template <class T>
__device__ __forceinline__ FragmentB load_b(const Stage<T>& stage, int column, int step) {
  constexpr int kWord = sizeof(T) == 2 ? 2 : 1;
  const int g = static_cast<int>(threadIdx.x) % kWarp / 4, t = static_cast<int>(threadIdx.x) % 4;
  const int at = (column + g) * Staged<T>::kPitch + (step * 8 + t) * kWord;
  return {{word(stage.pixels, at), word(stage.pixels, at + 4 * kWord)}};
}

template <class T>
__device__ __forceinline__ void multiply(const Stage<T>& stage, int row, int column,
                                         FragmentC (&results)[kRowTiles][kColumnTiles]) {
  constexpr int kSteps = kDepth / (sizeof(T) == 2 ? 16 : 8);
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    FragmentA a[kRowTiles];
    FragmentB b[kColumnTiles];
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) a[i] = load_a(stage, row + 16 * i, step);
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) b[j] = load_b(stage, column + 8 * j, step);
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) multiply_add(results[i][j], a[i], b[j], T{});
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    tensor_core_gemm(const __grid_constant__ ConvArgs args, ConvDivisors divisors, uint32_t columns) {
  Stage<T>* const stages = shared_memory<Stage<T>>();
  uint32_t rest = blockIdx.x;
  const uint32_t group = divisors.groups.take_remainder(rest), row_tile = blockIdx.y;
  const uint32_t first_column = rest * kTile;
  const auto thread = static_cast<int>(threadIdx.x);
  const TileRange rows = rows_of_block(args, row_tile, kTile);
  const int32_t depth =
      args.in_channels * args.window.kernel[0] * args.window.kernel[1] * args.window.kernel[2];
  // Each thread reads windows of one pixel, every second k; and half a row of weights.
  const PixelOfBatch mine = pixel_of_batch(args, divisors, first_column + threadIdx.x % kTile, columns);
  const T* const image =
      static_cast<const T*>(args.input) + mine.batch * args.in.batch + group * args.in.group;

  int32_t segment = 0;
  WeightPiece piece = weight_piece(args, group, row_tile, rows, 0, depth);
  int32_t k = piece.depth.begin;
  Pack<T, kLoads> weights;
  T pixels[kLoads];
  const int weight_row = thread / 2, weight_k = thread % 2 * kLoads;
  const auto read = [&] {
    const int32_t first = k + weight_k;
    const T* const from = static_cast<const T*>(piece.weights) + piece.offset +
                          weight_row * piece.row_stride + first - piece.depth.begin;
    const bool row_inside = rows.begin + weight_row < rows.end;
    if (row_inside && first + kLoads <= piece.depth.end && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
      weights = load_16_bytes<T>(from);
    } else {
#pragma unroll
      for (int n = 0; n < kLoads; ++n)
        weights.v[n] = row_inside && first + n < piece.depth.end ? from[n] : T{};
    }
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const int32_t position = k + (thread + n * kThreads) / kTile;
      pixels[n] = position < piece.depth.end
                      ? window_element(args, divisors, mine, image, static_cast<uint32_t>(position))
                      : T{};
    }
  };
  // To the next 16 k, or the next segment that has any.
  const auto advance = [&] {
    k += kDepth;
    while (k >= piece.depth.end) {
      if (++segment >= segments_of(args)) return false;
      piece = weight_piece(args, group, row_tile, rows, segment, depth);
      k = piece.depth.begin;
    }
    return true;
  };

  FragmentC results[kRowTiles][kColumnTiles] = {};
  const int warp = thread / kWarp, row = warp / 2 * kWarpTile, column = warp % 2 * kWarpTile;
  bool more = depth > 0;
  if (more) read();
  for (int which = 0; more; which ^= 1) {
    Stage<T>& stage = stages[which];
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const int at = thread + n * kThreads;
      stage.weights[weight_row * Staged<T>::kPitch + weight_k + n] = Staged<T>::of(weights.v[n]);
      stage.pixels[at % kTile * Staged<T>::kPitch + at / kTile] = Staged<T>::of(pixels[n]);
    }
    sync_block();  // and whoever still multiplies works on the other stage
    more = advance();
    if (more) read();
    multiply(stage, row, column, results);
  }

  const int g = thread % kWarp / 4, t = thread % 4;
#pragma unroll
  for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const Vec<2> pair{{results[i][j].r[2 * half], results[i][j].r[2 * half + 1]}};
        store_results<T, 2>(args, divisors, group, rows, rows.begin + row + 16 * i + g + 8 * half,
                            first_column + static_cast<uint32_t>(column + 8 * j + 2 * t), columns, pair);
      }
    }
  }
}

template <class T>
LaunchError start(const ConvArgs& args, StreamHandle stream) {
  const LaunchShape shape = implicit_gemm_shape(args, kTile, kTile, kThreads, 2 * sizeof(Stage<T>));
  const int64_t columns = int64_t{args.batch} * args.window.out[0] * args.window.out[1] * args.window.out[2];
  return launch(tensor_core_gemm<T>, shape, stream, args, ConvDivisors(args.window, args.groups),
                static_cast<uint32_t>(columns));
}

}  // namespace

LaunchError launch_tensor_core_gemm(const ConvArgs& args, StreamHandle stream) {
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
