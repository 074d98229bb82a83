#include "exec/cuda/kernels/epilogue.cuh"
#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/matmul.h"
#include "exec/cuda/kernels/number.h"
#include "exec/cuda/kernels/simt_tile.cuh"

namespace mts::exec::cuda {
namespace {

// Rows of C are the fast axis of the grid; the batch is blockIdx.z, then by steps of gridDim.z.
template <class T, class Tile>
__global__ void __launch_bounds__(Tile::kThreads)
    matmul(const __grid_constant__ MatmulArgs args, uint32_t batches) {
  typename Tile::Shared& shared = *shared_memory<typename Tile::Shared>();
  const int32_t row = static_cast<int32_t>(blockIdx.x) * Tile::kRows,
                column = static_cast<int32_t>(blockIdx.y) * Tile::kColumns;
  for (uint32_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
    uint32_t outer[kMaxOuter];
    uint32_t rest = batch;
    const T* a = static_cast<const T*>(args.a);
    const T* b = static_cast<const T*>(args.b);
#pragma unroll
    for (int i = kMaxOuter - 1; i >= 0; --i) {
      outer[i] = args.outer[i].take_remainder(rest);
      a += outer[i] * args.a_outer[i];
      b += outer[i] * args.b_outer[i];
    }
    Tile tile;
    tile.clear();
    for (int32_t k = 0; k < args.inner; k += Tile::kDepth) {
      sync_block();  // the tiles before have been read
      Tile::fill_rows(shared, args.a_row < args.a_column, [&](int32_t i, int32_t j) {
        return row + i < args.rows && k + j < args.inner
                   ? to_float(a[(row + i) * args.a_row + (k + j) * args.a_column])
                   : 0.f;
      });
      Tile::fill_columns(shared, args.b_column <= args.b_row, [&](int32_t j, int32_t i) {
        return column + i < args.columns && k + j < args.inner
                   ? to_float(b[(k + j) * args.b_row + (column + i) * args.b_column])
                   : 0.f;
      });
      sync_block();
      tile.multiply(shared);
    }
    T* const c = static_cast<T*>(args.c) + batch * args.c_batch;
    tile.for_each([&](int32_t i, int32_t j, const Vec<4>& values) {
      const int32_t m = row + i, n = column + j;
      if (m >= args.rows) return;
      Positions<4> at;
      Vec<4> scaled;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        at.outer[e] = outer[0];
        at.row[e] = static_cast<uint32_t>(m);
        at.column[e] = static_cast<uint32_t>(n + e < args.columns ? n + e : 0);
        scaled.v[e] = args.alpha * values.v[e];
      }
      at.middle = outer[1];
      at.inner = outer[2];
      const Vec<4> finished = run_epilogue<4>(args.epilogue, scaled, at);
      T* const to = c + m * args.c_row + n;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (n + e < args.columns) to[e] = from_float<T>(finished.v[e]);
      }
    });
  }
}

template <class T>
LaunchError matmul_as(const MatmulArgs& args, StreamHandle stream) {
  uint32_t batches = 1;
  for (const Divisor& extent : args.outer) batches *= extent.value;
  if (batches == 0 || args.rows == 0 || args.columns == 0) return nullptr;
  const auto start = [&](auto tile) {
    using Tile = decltype(tile);
    const LaunchShape shape{{ceil_div(args.rows, Tile::kRows), ceil_div(args.columns, Tile::kColumns),
                             batches < 65535 ? batches : 65535},
                            {Tile::kThreads},
                            sizeof(typename Tile::Shared),
                            Sync::kTogether};
    return launch(matmul<T, Tile>, shape, stream, args, batches);
  };
  if (args.rows <= 16) return start(SimtTile<16, 64, 16, 2, 4>{});
  if (args.columns <= 16) return start(SimtTile<64, 16, 16, 2, 4>{});
  return start(SimtTile<64, 64, 16, 4, 4>{});
}

}  // namespace

LaunchError launch_matmul(const MatmulArgs& args, StreamHandle stream) {
  if (args.tensor_cores) return launch_tensor_core_matmul(args, stream);
  switch (args.type) {
    case FloatType::kFloat16:
      return matmul_as<Half>(args, stream);
    case FloatType::kBfloat16:
      return matmul_as<Bfloat16>(args, stream);
    default:
      return matmul_as<float>(args, stream);
  }
}

}  // namespace mts::exec::cuda
