// A block's tile of a matrix product on the ordinary float units: Rows x Columns results of the block, each
// thread with a PerRow x PerColumn piece in registers; Depth steps of the inner axis at a time through block
// memory.
#pragma once

#include "exec/cuda/kernels/launch.h"
#include "exec/cuda/kernels/number.h"

namespace mts::exec::cuda {

template <int Rows, int Columns, int Depth, int PerRow, int PerColumn>
struct SimtTile {
  static constexpr int kRows = Rows, kColumns = Columns, kDepth = Depth;
  static constexpr int kThreads = Rows / PerRow * (Columns / PerColumn);
  // Both k-major. A row's end is padded so that stores by rows fall into different banks; 16-byte aligned for
  // loads.
  static constexpr int kRowPitch = Rows + 4, kColumnPitch = Columns + 4;
  struct Shared {
    alignas(16) float left[Depth * kRowPitch];
    alignas(16) float right[Depth * kColumnPitch];
  };

  float result[PerRow][PerColumn];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < PerRow; ++i) {
#pragma unroll
      for (int j = 0; j < PerColumn; ++j) result[i][j] = 0.f;
    }
  }

  // `element(i, k)`: of the left tile. by_row: neighbours along i lie together in memory, else along k.
  template <class F>
  static __device__ __forceinline__ void fill_rows(Shared& shared, bool by_row, const F& element) {
#pragma unroll
    for (int first = 0; first < Rows * Depth; first += kThreads) {
      const int at = first + static_cast<int>(threadIdx.x);
      if (Rows * Depth % kThreads != 0 && at >= Rows * Depth) break;
      const int i = by_row ? at % Rows : at / Depth, k = by_row ? at / Rows : at % Depth;
      shared.left[k * kRowPitch + i] = element(i, k);
    }
  }
  // `element(k, j)`: of the right tile. by_column: neighbours along j lie together in memory, else along k.
  template <class F>
  static __device__ __forceinline__ void fill_columns(Shared& shared, bool by_column, const F& element) {
#pragma unroll
    for (int first = 0; first < Columns * Depth; first += kThreads) {
      const int at = first + static_cast<int>(threadIdx.x);
      if (Columns * Depth % kThreads != 0 && at >= Columns * Depth) break;
      const int j = by_column ? at % Columns : at / Depth, k = by_column ? at / Columns : at % Depth;
      shared.right[k * kColumnPitch + j] = element(k, j);
    }
  }

  __device__ __forceinline__ void multiply(const Shared& shared) {
    const int row = static_cast<int>(threadIdx.x) / (Columns / PerColumn) * PerRow,
              column = static_cast<int>(threadIdx.x) % (Columns / PerColumn) * PerColumn;
#pragma unroll
    for (int k = 0; k < Depth; ++k) {
      const Vec<PerRow> left = load<PerRow>(shared.left + k * kRowPitch + row);
      const Vec<PerColumn> right = load<PerColumn>(shared.right + k * kColumnPitch + column);
#pragma unroll
      for (int i = 0; i < PerRow; ++i) {
#pragma unroll
        for (int j = 0; j < PerColumn; ++j) result[i][j] += left.v[i] * right.v[j];
      }
    }
  }

  // f(row in the tile, first column in the tile, PerColumn neighbours) for this thread's piece.
  template <class F>
  __device__ __forceinline__ void for_each(const F& f) const {
    const int row = static_cast<int>(threadIdx.x) / (Columns / PerColumn) * PerRow,
              column = static_cast<int>(threadIdx.x) % (Columns / PerColumn) * PerColumn;
#pragma unroll
    for (int i = 0; i < PerRow; ++i) {
      Vec<PerColumn> values;
#pragma unroll
      for (int j = 0; j < PerColumn; ++j) values.v[j] = result[i][j];
      f(row + i, column, values);
    }
  }
};

}  // namespace mts::exec::cuda
