// Convolutions over up to three spatial axes, float accumulation. Three kernels for one set of arguments:
//   implicit GEMM   wide groups; weights through a tile table
//   direct          narrow groups and depthwise: a thread makes one pixel of a few output channels
//   transposed      ConvTranspose, a thread an output element
#pragma once

#include "exec/cuda/kernels/epilogue.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/pool.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// Where an image's elements lie: (batch, group, channel of the group, pixel), in elements. Row-major and
// channels-last are two such; models as groups, or one input for all models (group stride 0), are others.
struct ImageStrides {
  int64_t batch = 0, group = 0, channel = 0, pixel = 1;
};

// The weights of group g as a grid of tiles: rows are output channels, columns k = (input channel, kernel
// position), k contiguous. Tile (g, r, s) holds rows [rows[r].begin, rows[r].end) and k in [depth[s].begin,
// depth[s].end); its element (o, k) is weights[source][offset + (o - begin) * row_stride + k - begin]. Tiles
// of different groups may be the same memory: what models share is read where it lies. Ranges are common to
// all groups and cover all rows and k.
struct TileRange {
  int32_t begin = 0, end = 0;
};
struct WeightTile {
  int64_t offset = 0;
  int32_t row_stride = 0;
  int32_t source = 0;
};
inline constexpr int kMaxWeightSources = 160;
inline constexpr int kMostTileRows = 64;  // rows of one tile
struct TileTable {
  int32_t row_tiles = 0, segments = 0;
  const TileRange* rows = nullptr;    // [row_tiles], in device memory, as what follows
  const TileRange* depth = nullptr;   // [segments]
  const WeightTile* tiles = nullptr;  // [groups][row_tiles][segments]
};

struct ConvArgs {
  const void* input = nullptr;
  void* output = nullptr;
  // One, [groups * out_channels, in_channels, kernel...] (transposed: [groups * in_channels, out_channels,
  // kernel...]); with a table as many as it names.
  const void* weights[kMaxWeightSources] = {};
  TileTable table;  // row_tiles 0: none
  int32_t batch = 0, groups = 1;
  int32_t in_channels = 0, out_channels = 0;  // of a group
  bool channels_last_weights = false;         // each filter lies as [kernel..., in_channels]; without a table
  WindowShape window;
  ImageStrides in, out;
  FloatType type = FloatType::kFloat32;  // of input, weights and output
  bool tensor_cores = false;             // implicit GEMM: TF32 for float32 (rounds the operands to 10 bits)
  Epilogue epilogue;  // outer[0]: batch, row: output channel over all groups, column: pixel
};

LaunchError launch_implicit_gemm(const ConvArgs& args, StreamHandle stream);
// What the former calls for args.tensor_cores.
LaunchError launch_tensor_core_gemm(const ConvArgs& args, StreamHandle stream);
LaunchError launch_direct_conv(const ConvArgs& args, StreamHandle stream);      // without a table
LaunchError launch_transposed_conv(const ConvArgs& args, StreamHandle stream);  // without a table

}  // namespace mts::exec::cuda
