// Attention on the ordinary float units. A block makes Rows rows of one head; 16 neighbouring threads share
// four rows, each with four of the 64 columns of the scores and of the values.
#include "exec/cuda/kernels/attention.cuh"
#include "exec/cuda/kernels/attention.h"

namespace mts::exec::cuda {
namespace {

constexpr int kColumns = kAttentionColumns, kPiece = 4, kSharing = kColumns / kPiece;
constexpr int kColumnPitch = kColumns + 4;  // 16-byte aligned, and stores by rows fall into different banks

template <int Rows, int WidthTiles>
struct Sizes {
  static constexpr int kThreads = Rows / kPiece * kSharing;
  static constexpr int kRowPitch = Rows + 4, kWidthPitch = WidthTiles * kColumns + 4;
  // In floats: q [depth][row], then k [depth][column] or v [column][width], then the weights [column][row].
  static int both(int32_t depth) {
    const int k = depth * kColumnPitch, v = kColumns * kWidthPitch;
    return k > v ? k : v;
  }
  static size_t bytes(int32_t depth) {
    return sizeof(float) * static_cast<size_t>(depth * kRowPitch + both(depth) + kColumns * kRowPitch);
  }
};

// to[d * pitch + i] = from[i * row + d * column] for i < Count (0 from `inside` on) and all d of the depth.
template <int Count, int Threads>
__device__ __forceinline__ void fill_by_depth(float* to, int pitch, const float* __restrict__ from,
                                              int64_t row, int64_t column, int32_t inside,
                                              const Divisor& depth) {
  const bool by_row = row < column;
  const auto elements = static_cast<uint32_t>(Count) * depth.value;
  for (uint32_t at = threadIdx.x; at < elements; at += Threads) {
    uint32_t i = at, d;
    if (by_row) {
      d = at / Count;
      i = at % Count;
    } else {
      d = depth.take_remainder(i);
    }
    to[d * static_cast<uint32_t>(pitch) + i] =
        static_cast<int32_t>(i) < inside ? from[i * row + d * column] : 0.f;
  }
}

template <int Rows, int WidthTiles>
__global__ void __launch_bounds__(Sizes<Rows, WidthTiles>::kThreads)
    attention(const __grid_constant__ AttentionArgs args, Divisor row_tiles, Divisor depth, int both) {
  using S = Sizes<Rows, WidthTiles>;
  float* const queries = shared_memory<float>();
  float* const other = queries + args.depth * S::kRowPitch;
  float* const weights = other + both;
  const Head head(args, row_tiles, Rows);
  const float* const q =
      head.find(static_cast<const float*>(args.q), args.q_at) + head.first_row * args.q_at.row;
  const float* const k = head.find(static_cast<const float*>(args.k), args.k_at);
  const float* const v = head.find(static_cast<const float*>(args.v), args.v_at);
  const int thread = static_cast<int>(threadIdx.x), row = thread / kSharing * kPiece,
            column = thread % kSharing * kPiece;
  fill_by_depth<Rows, S::kThreads>(queries, S::kRowPitch, q, args.q_at.row, args.q_at.column,
                                   args.rows - head.first_row, depth);

  float largest[kPiece], sum[kPiece], result[kPiece][WidthTiles * kPiece];
#pragma unroll
  for (int i = 0; i < kPiece; ++i) {
    largest[i] = minus_infinity();
    sum[i] = 0.f;
#pragma unroll
    for (int j = 0; j < WidthTiles * kPiece; ++j) result[i][j] = 0.f;
  }
#pragma unroll 1
  for (int32_t first = 0; first < args.columns; first += kColumns) {
    sync_block();  // the values before have been read
    fill_by_depth<kColumns, S::kThreads>(other, kColumnPitch, k + first * args.k_at.column, args.k_at.column,
                                         args.k_at.row, args.columns - first, depth);
    sync_block();
    float scores[kPiece][kPiece] = {};
#pragma unroll 4
    for (int32_t d = 0; d < args.depth; ++d) {
      const Vec<kPiece> left = load<kPiece>(queries + d * S::kRowPitch + row);
      const Vec<kPiece> right = load<kPiece>(other + d * kColumnPitch + column);
#pragma unroll
      for (int i = 0; i < kPiece; ++i) {
#pragma unroll
        for (int j = 0; j < kPiece; ++j) scores[i][j] += left.v[i] * right.v[j];
      }
    }
#pragma unroll
    for (int i = 0; i < kPiece; ++i) {
      Vec<kPiece> line;
      int32_t rows[kPiece], columns[kPiece];
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        line.v[j] = scores[i][j];
        rows[j] = head.first_row + row + i;
        columns[j] = first + column + j;
      }
      line = finish_scores<kPiece>(args, head, rows, columns, line);
      float peak = largest[i];
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        scores[i][j] = columns[j] < args.columns ? line.v[j] : minus_infinity();
        peak = larger(peak, scores[i][j]);
      }
#pragma unroll
      for (int mask = kSharing / 2; mask > 0; mask /= 2) peak = larger(peak, shuffle_xor(peak, mask));
      const float rescale = weight_of(largest[i], peak);
      largest[i] = peak;
      sum[i] *= rescale;
#pragma unroll
      for (int j = 0; j < WidthTiles * kPiece; ++j) result[i][j] *= rescale;
#pragma unroll
      for (int j = 0; j < kPiece; ++j) {
        scores[i][j] = weight_of(scores[i][j], peak);
        sum[i] += scores[i][j];
      }
    }
#pragma unroll
    for (int j = 0; j < kPiece; ++j) {
      Vec<kPiece> down;
#pragma unroll
      for (int i = 0; i < kPiece; ++i) down.v[i] = scores[i][j];
      store<kPiece>(weights + (column + j) * S::kRowPitch + row, down);
    }
    sync_block();  // everybody is done with k
    for (int at = thread; at < kColumns * WidthTiles * kColumns; at += S::kThreads) {
      const int e = at % (WidthTiles * kColumns), t = at / (WidthTiles * kColumns);
      other[t * S::kWidthPitch + e] = first + t < args.columns && e < args.width
                                          ? v[(first + t) * args.v_at.row + e * args.v_at.column]
                                          : 0.f;
    }
    sync_block();
#pragma unroll 2
    for (int t = 0; t < kColumns; ++t) {
      const Vec<kPiece> left = load<kPiece>(weights + t * S::kRowPitch + row);
#pragma unroll
      for (int w = 0; w < WidthTiles; ++w) {
        const Vec<kPiece> right = load<kPiece>(other + t * S::kWidthPitch + w * kColumns + column);
#pragma unroll
        for (int i = 0; i < kPiece; ++i) {
#pragma unroll
          for (int j = 0; j < kPiece; ++j) result[i][w * kPiece + j] += left.v[i] * right.v[j];
        }
      }
    }
  }

  float* const output = head.find(static_cast<float*>(args.output), args.output_at);
#pragma unroll
  for (int i = 0; i < kPiece; ++i) {
#pragma unroll
    for (int mask = kSharing / 2; mask > 0; mask /= 2) sum[i] += shuffle_xor(sum[i], mask);
    const int32_t at = head.first_row + row + i;
    if (at >= args.rows) continue;
#pragma unroll
    for (int j = 0; j < WidthTiles * kPiece; ++j) {
      const int e = j / kPiece * kColumns + column + j % kPiece;
      if (e < args.width) output[at * args.output_at.row + e * args.output_at.column] = result[i][j] / sum[i];
    }
  }
}

template <int Rows, int WidthTiles>
LaunchError start(const AttentionArgs& args, StreamHandle stream) {
  using S = Sizes<Rows, WidthTiles>;
  const uint32_t row_tiles = ceil_div(args.rows, Rows);
  const LaunchShape shape{{heads_of(args) * row_tiles}, {S::kThreads}, S::bytes(args.depth), Sync::kTogether};
  return launch(attention<Rows, WidthTiles>, shape, stream, args, Divisor(row_tiles), Divisor(args.depth),
                S::both(args.depth));
}

}  // namespace

LaunchError launch_attention(const AttentionArgs& args, StreamHandle stream) {
  if (heads_of(args) == 0 || args.rows == 0 || args.width == 0) return nullptr;
  if (args.tensor_cores || args.type != FloatType::kFloat32)
    return launch_tensor_core_attention(args, stream);
  const bool wide = args.width > kColumns;
  if (args.rows <= 16) return wide ? start<16, 2>(args, stream) : start<16, 1>(args, stream);
  return wide ? start<64, 2>(args, stream) : start<64, 1>(args, stream);
}

}  // namespace mts::exec::cuda
