// Tile tables of partly shared weights (kernels/conv.h), as data.
//
// In: for each model (group) the blocks that its weight matrix [rows = output channels, depth = k] is made
// of, and where each lies: `W_m = [W~ A_m; B_m C_m]` is three blocks, W~ the same memory for all m. Out: row
// ranges and ranges of k that no block cuts through, common to all models, and one tile for each model and
// pair of them. Refused: blocks that overlap or leave gaps, and more sources than a kernel takes.
#pragma once

#include "exec/cuda/kernels/conv.h"
#include "exec/cuda/own/device.h"

#include <mts/error.h>

#include <cstdint>
#include <span>
#include <vector>

namespace mts::exec::cuda {

struct WeightBlock {
  int32_t group = 0;
  TileRange rows, depth;
  int32_t source = 0;  // of ConvArgs::weights
  int64_t offset = 0;  // elements from there to the block's first
  int32_t row_stride = 0;
};

struct TileTableData {
  std::vector<TileRange> rows, depth;
  std::vector<WeightTile> tiles;  // [groups][rows][depth]
};
Result<TileTableData> tile_table(int32_t groups, int32_t rows, int32_t depth,
                                 std::span<const WeightBlock> blocks);

// The same in device memory.
Result<TileTable> upload(OwnDevice& device, const TileTableData& data);

}  // namespace mts::exec::cuda
