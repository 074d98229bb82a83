// Implicit GEMM on the ordinary float units: output channels x pixels, k = (input channel, kernel position).
#include "exec/cuda/kernels/implicit_gemm.cuh"
#include "exec/cuda/kernels/simt_tile.cuh"

namespace mts::exec::cuda {

namespace {

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    implicit_gemm(const __grid_constant__ ConvArgs args, ConvDivisors divisors, uint32_t columns) {
  static_assert(Tile::kThreads % Tile::kColumns == 0, "a thread loads one column");
  typename Tile::Shared& shared = *shared_memory<typename Tile::Shared>();
  uint32_t rest = blockIdx.x;
  const uint32_t group = divisors.groups.take_remainder(rest), row_tile = blockIdx.y;
  const uint32_t first_column = rest * Tile::kColumns;
  const TileRange rows = rows_of_block(args, row_tile, Tile::kRows);
  const int32_t depth =
      args.in_channels * args.window.kernel[0] * args.window.kernel[1] * args.window.kernel[2];
  // The pixel whose window this thread loads.
  const PixelOfBatch mine =
      pixel_of_batch(args, divisors, first_column + threadIdx.x % Tile::kColumns, columns);
  const T* const image =
      static_cast<const T*>(args.input) + mine.batch * args.in.batch + group * args.in.group;
  Tile tile;
  tile.clear();
  for (int32_t segment = 0; segment < segments_of(args); ++segment) {
    const WeightPiece piece = weight_piece(args, group, row_tile, rows, segment, depth);
    const T* const weights = static_cast<const T*>(piece.weights) + piece.offset;
    for (int32_t k = piece.depth.begin; k < piece.depth.end; k += Tile::kDepth) {
      sync_block();  // the tiles before have been read
      Tile::fill_rows(shared, false, [&](int32_t i, int32_t j) {
        return rows.begin + i < rows.end && k + j < piece.depth.end
                   ? to_float(weights[i * piece.row_stride + k + j - piece.depth.begin])
                   : 0.f;
      });
      Tile::fill_columns(shared, true, [&](int32_t j, int32_t) {
        return k + j < piece.depth.end
                   ? to_float(window_element(args, divisors, mine, image, static_cast<uint32_t>(k + j)))
                   : 0.f;
      });
      sync_block();
      tile.multiply(shared);
    }
  }
  tile.for_each([&](int32_t i, int32_t j, const Vec<4>& values) {
    store_results<T, 4>(args, divisors, group, rows, rows.begin + i, first_column + static_cast<uint32_t>(j),
                        columns, values);
  });
}

template <class T>
LaunchError gemm_as(const ConvArgs& args, StreamHandle stream) {
  const auto start = [&](auto tile) {
    using Tile = decltype(tile);
    const LaunchShape shape =
        implicit_gemm_shape(args, Tile::kRows, Tile::kColumns, Tile::kThreads, sizeof(typename Tile::Shared));
    const int64_t columns =
        int64_t{args.batch} * args.window.out[0] * args.window.out[1] * args.window.out[2];
    return launch(implicit_gemm<T, Tile>, shape, stream, args,
                  ConvDivisors(args.window, args.groups, args.in_channels), static_cast<uint32_t>(columns));
  };
  if (args.table.row_tiles == 0 && args.out_channels <= 16) return start(SimtTile<16, 64, 16, 2, 4>{});
  return start(SimtTile<kMostTileRows, 64, 16, 4, 4>{});
}

}  // namespace

LaunchError launch_implicit_gemm(const ConvArgs& args, StreamHandle stream) {
  if (args.batch == 0 || args.groups == 0 || args.out_channels == 0 ||
      args.window.out[0] * args.window.out[1] * args.window.out[2] == 0)
    return nullptr;
  if (args.tensor_cores) return launch_tensor_core_gemm(args, stream);
  switch (args.type) {
    case FloatType::kFloat16:
      return gemm_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return gemm_as<Bfloat16>(args, stream);
    default:
      return gemm_as<float>(args, stream);
  }
}

}  // namespace mts::exec::cuda
