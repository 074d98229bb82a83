// Implicit GEMM on the tensor cores: TF32 for float32, FP16 and BF16. A block of four warps makes 64 output
// channels x 64 pixels; k goes 16 at a time through two stages of block memory while the next 16 are read
// into registers.
#include "exec/cuda/kernels/implicit_gemm.cuh"
#include "exec/cuda/kernels/mma_tile.cuh"

namespace mts::exec::cuda {
namespace {

constexpr int kThreads = kMmaThreads, kTile = kMmaTile, kDepth = kMmaDepth, kLoads = kMmaLoads;
static_assert(kTile == kMostTileRows);

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
  // Each thread reads half a row of weights, and of one pixel's window every second k (neighbouring threads
  // have neighbouring pixels) or, where channels are neighbours, half of k.
  const bool by_depth = args.channels_last_weights;
  const int my_column = by_depth ? thread / 2 : thread % kTile,
            my_first = by_depth ? thread % 2 * kLoads : thread / kTile,
            my_step = by_depth ? 1 : kThreads / kTile;
  const PixelOfBatch mine =
      pixel_of_batch(args, divisors, first_column + static_cast<uint32_t>(my_column), columns);
  const T* const image =
      static_cast<const T*>(args.input) + mine.batch * args.in.batch + group * args.in.group;

  int32_t segment = 0;
  WeightPiece piece = weight_piece(args, group, row_tile, rows, 0, depth);
  int32_t k = piece.depth.begin;
  Pack<T, kLoads> weights;
  Pack<T, kLoads> pixels;
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
    const int32_t position = k + my_first;
    // Eight channels of one position of the kernel.
    const T* const eight =
        by_depth && args.in_channels % kLoads == 0 && args.in.channel == 1 && position < piece.depth.end
            ? window_address(args, divisors, mine, image, static_cast<uint32_t>(position))
            : nullptr;
    if (eight != nullptr && reinterpret_cast<uintptr_t>(eight) % 16 == 0) {
      pixels = load_16_bytes<T>(eight);
      return;
    }
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      const int32_t at = position + n * my_step;
      pixels.v[n] =
          at < piece.depth.end ? window_element(args, divisors, mine, image, static_cast<uint32_t>(at)) : T{};
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

  FragmentC results[kMmaRowTiles][kMmaColumnTiles] = {};
  const int warp = thread / kWarp, row = warp / 2 * kMmaWarpTile, column = warp % 2 * kMmaWarpTile;
  bool more = depth > 0;
  if (more) read();
  for (int which = 0; more; which ^= 1) {
    Stage<T>& stage = stages[which];
#pragma unroll
    for (int n = 0; n < kLoads; ++n) {
      stage.left[weight_row * Staged<T>::kPitch + weight_k + n] = Staged<T>::of(weights.v[n]);
      stage.right[my_column * Staged<T>::kPitch + my_first + n * my_step] = Staged<T>::of(pixels.v[n]);
    }
    sync_block();  // and whoever still multiplies works on the other stage
    more = advance();
    if (more) read();
    multiply_stage(stage, row, column, results);
  }

  const int g = thread % kWarp / 4, t = thread % 4;
#pragma unroll
  for (int i = 0; i < kMmaRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < kMmaColumnTiles; ++j) {
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
  return launch(tensor_core_gemm<T>, shape, stream, args,
                ConvDivisors(args.window, args.groups, args.in_channels), static_cast<uint32_t>(columns));
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
