// What the kernels of the implicit GEMM share: which tile of which group a block makes, where its weights
// lie, and which input element belongs to (k, pixel).
#pragma once

#include "exec/cuda/kernels/conv.h"
#include "exec/cuda/kernels/epilogue.cuh"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/launch.h"

namespace mts::exec::cuda {

struct ConvDivisors {
  Divisor out_width, out_height, out_depth;  // pixels of one image
  Divisor kernel_width, kernel_height, kernel_depth;
  Divisor out_pixels, groups, in_channels;
  ConvDivisors(const WindowShape& w, int32_t group_count, int32_t channels)
      : out_width(w.out[2]),
        out_height(w.out[1]),
        out_depth(w.out[0]),
        kernel_width(w.kernel[2]),
        kernel_height(w.kernel[1]),
        kernel_depth(w.kernel[0]),
        out_pixels(int64_t{w.out[0]} * w.out[1] * w.out[2]),
        groups(group_count),
        in_channels(channels) {}
};

// An output pixel of the batch: column of the product.
struct PixelOfBatch {
  bool inside = false;
  uint32_t batch = 0, pixel = 0;
  int32_t start[3] = {};  // of its window in the input
};

__device__ __forceinline__ PixelOfBatch pixel_of_batch(const ConvArgs& args, const ConvDivisors& divisors,
                                                       uint32_t column, uint32_t columns) {
  PixelOfBatch p;
  p.inside = column < columns;
  const WindowShape& w = args.window;
  uint32_t rest = column;
  const uint32_t x = divisors.out_width.take_remainder(rest), y = divisors.out_height.take_remainder(rest),
                 z = divisors.out_depth.take_remainder(rest);
  p.batch = rest;
  p.pixel = (z * static_cast<uint32_t>(w.out[1]) + y) * static_cast<uint32_t>(w.out[2]) + x;
  p.start[0] = static_cast<int32_t>(z) * w.stride[0] - w.pad_begin[0];
  p.start[1] = static_cast<int32_t>(y) * w.stride[1] - w.pad_begin[1];
  p.start[2] = static_cast<int32_t>(x) * w.stride[2] - w.pad_begin[2];
  return p;
}

// Where the input element lies that k = (channel, kernel position), or (kernel position, channel) with
// channels-last weights, multiplies at the pixel; null in the padding. `image`: of the group and the pixel's
// batch.
template <class T>
__device__ __forceinline__ const T* window_address(const ConvArgs& args, const ConvDivisors& divisors,
                                                   const PixelOfBatch& p, const T* __restrict__ image,
                                                   uint32_t k) {
  const WindowShape& w = args.window;
  uint32_t rest = k, channel = 0;
  if (args.channels_last_weights) channel = divisors.in_channels.take_remainder(rest);
  const auto c = static_cast<int32_t>(divisors.kernel_width.take_remainder(rest)),
             b = static_cast<int32_t>(divisors.kernel_height.take_remainder(rest)),
             a = static_cast<int32_t>(divisors.kernel_depth.take_remainder(rest));
  if (!args.channels_last_weights) channel = rest;
  const int32_t z = p.start[0] + a * w.dilation[0], y = p.start[1] + b * w.dilation[1],
                x = p.start[2] + c * w.dilation[2];
  const bool inside = p.inside && static_cast<uint32_t>(z) < static_cast<uint32_t>(w.in[0]) &&
                      static_cast<uint32_t>(y) < static_cast<uint32_t>(w.in[1]) &&
                      static_cast<uint32_t>(x) < static_cast<uint32_t>(w.in[2]);
  if (!inside) return nullptr;
  return image + channel * args.in.channel +
         (static_cast<int64_t>(z * w.in[1] + y) * w.in[2] + x) * args.in.pixel;
}
template <class T>
__device__ __forceinline__ T window_element(const ConvArgs& args, const ConvDivisors& divisors,
                                            const PixelOfBatch& p, const T* __restrict__ image, uint32_t k) {
  const T* const at = window_address(args, divisors, p, image, k);
  return at == nullptr ? T{} : *at;
}

// The rows of a block's tile, and its weights for one range of k.
struct WeightPiece {
  TileRange rows, depth;
  const void* weights;
  int64_t offset, row_stride;
};

__device__ __forceinline__ TileRange rows_of_block(const ConvArgs& args, uint32_t row_tile, int tile_rows) {
  if (args.table.row_tiles != 0) return args.table.rows[row_tile];
  const int32_t begin = static_cast<int32_t>(row_tile) * tile_rows, end = begin + tile_rows;
  return {begin, end < args.out_channels ? end : args.out_channels};
}

__device__ __forceinline__ int32_t segments_of(const ConvArgs& args) {
  return args.table.row_tiles != 0 ? args.table.segments : 1;
}

__device__ __forceinline__ WeightPiece weight_piece(const ConvArgs& args, uint32_t group, uint32_t row_tile,
                                                    const TileRange& rows, int32_t segment, int32_t depth) {
  if (args.table.row_tiles == 0) {
    return {rows,
            {0, depth},
            args.weights[0],
            (static_cast<int64_t>(group) * args.out_channels + rows.begin) * depth,
            depth};
  }
  const WeightTile tile =
      args.table.tiles[(static_cast<int64_t>(group) * args.table.row_tiles + row_tile) * args.table.segments +
                       segment];
  return {rows, args.table.depth[segment], args.weights[tile.source], tile.offset, tile.row_stride};
}

// Finishes and writes V neighbouring pixels, from `column` on, of an output channel of the group.
template <class T, int V>
__device__ __forceinline__ void store_results(const ConvArgs& args, const ConvDivisors& divisors,
                                              uint32_t group, const TileRange& rows, int32_t channel,
                                              uint32_t column, uint32_t columns, const Vec<V>& values) {
  if (channel >= rows.end) return;
  Positions<V> at;
  const uint32_t row = group * static_cast<uint32_t>(args.out_channels) + static_cast<uint32_t>(channel);
#pragma unroll
  for (int e = 0; e < V; ++e) {
    uint32_t rest = column + static_cast<uint32_t>(e) < columns ? column + static_cast<uint32_t>(e) : 0;
    at.column[e] = divisors.out_pixels.take_remainder(rest);
    at.outer[e] = rest;
    at.row[e] = row;
  }
  const Vec<V> finished = run_epilogue<V>(args.epilogue, values, at);
  T* const to = static_cast<T*>(args.output) + group * args.out.group + channel * args.out.channel;
#pragma unroll
  for (int e = 0; e < V; ++e) {
    if (column + static_cast<uint32_t>(e) >= columns) break;
    to[at.outer[e] * args.out.batch + at.column[e] * args.out.pixel] = from_float<T>(finished.v[e]);
  }
}

// blockIdx.x: groups (the models) fastest, so that what they share stays in the cache while it is used, then
// tiles of pixels. blockIdx.y: tiles of output channels.
inline LaunchShape implicit_gemm_shape(const ConvArgs& args, int tile_rows, int tile_columns, int threads,
                                       size_t shared_bytes) {
  const int64_t columns = int64_t{args.batch} * args.window.out[0] * args.window.out[1] * args.window.out[2];
  const uint32_t row_tiles = args.table.row_tiles != 0 ? static_cast<uint32_t>(args.table.row_tiles)
                                                       : ceil_div(args.out_channels, tile_rows);
  return {{static_cast<uint32_t>(args.groups) * ceil_div(columns, tile_columns), row_tiles},
          {static_cast<uint32_t>(threads)},
          shared_bytes,
          Sync::kTogether};
}

}  // namespace mts::exec::cuda
