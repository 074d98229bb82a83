// Attention on the tensor cores: TF32 for float32, FP16 and BF16. Each warp makes 16 rows of one head. The
// weights never leave its registers: as the tensor cores hand the scores out, they take them in again (TF32:
// with the columns of each 8 in another order, in which the values are then read, too).
#include "exec/cuda/kernels/attention.cuh"
#include "exec/cuda/kernels/mma.cuh"

namespace mts::exec::cuda {
namespace {

constexpr int kColumns = kAttentionColumns, kColumnTiles = kColumns / 8;
constexpr int kMostWarps = 4, kRowsAWarp = 16;
constexpr size_t kMostShared = 99 * 1024;  // what every device from compute capability 8.0 on has

// Elements in block memory: TF32 as 32 bits, the others as they are. A step of a fragment along k is 8 words.
template <class T>
struct Staged {
  using Element = T;
  static constexpr int kStep = 16, kWord = 2;  // elements
  static __device__ __forceinline__ T of(T x) { return x; }
};
template <>
struct Staged<float> {
  using Element = uint32_t;
  static constexpr int kStep = 8, kWord = 1;
  static __device__ __forceinline__ uint32_t of(float x) { return to_tf32(x); }
};
// An odd number of four words: the lanes of a fragment (8 rows of 4 words) fall into different banks.
template <class T>
constexpr int pitch_of(int elements) {
  return (elements + Staged<T>::kStep - 1) / Staged<T>::kStep * Staged<T>::kStep + 4 * Staged<T>::kWord;
}

template <class T>
size_t shared_bytes(const AttentionArgs& args, int warps, int width) {
  const int pitch = pitch_of<T>(args.depth);
  return sizeof(typename Staged<T>::Element) *
         static_cast<size_t>((warps * kRowsAWarp + kColumns) * pitch + width * pitch_of<T>(kColumns));
}

template <class E>
__device__ __forceinline__ uint32_t word(const E* from, int at) {
  return *reinterpret_cast<const uint32_t*>(from + at);
}

// to[i * pitch + d] = from[i * row + d * column]; zeros from `inside` on, and from the depth to the pitch.
template <class T>
__device__ __forceinline__ void fill(typename Staged<T>::Element* to, int pitch, const T* __restrict__ from,
                                     int count, int64_t row, int64_t column, int32_t inside, int32_t depth) {
  using Element = typename Staged<T>::Element;
  constexpr int kEach = 16 / static_cast<int>(sizeof(T));
  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  const bool by_16_bytes =
      column == 1 && depth % kEach == 0 && row % kEach == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0;
  if (by_16_bytes) {
    const int packs = pitch / kEach;
    for (int at = thread; at < count * packs; at += threads) {
      const int i = at / packs, d = at % packs * kEach;
      Pack<Element, kEach> staged = {};
      if (i < inside && d < depth) {
        const auto pack = *reinterpret_cast<const Pack<T, kEach>*>(from + i * row + d);
#pragma unroll
        for (int e = 0; e < kEach; ++e) staged.v[e] = Staged<T>::of(pack.v[e]);
      }
      *reinterpret_cast<Pack<Element, kEach>*>(to + i * pitch + d) = staged;
    }
    return;
  }
  const bool by_row = row < column;
  for (int at = thread; at < count * pitch; at += threads) {
    const int i = by_row ? at % count : at / pitch, d = by_row ? at / count : at % pitch;
    to[i * pitch + d] = Staged<T>::of(i < inside && d < depth ? from[i * row + d * column] : T{});
  }
}

template <class T>
__device__ __forceinline__ uint32_t pair(float low, float high) {
  return from_float<T>(low).bits | static_cast<uint32_t>(from_float<T>(high).bits) << 16;
}

// result += weights v for the 64 columns; v [width][column] in block memory.
template <class T, int WidthTiles>
struct Values {
  static __device__ __forceinline__ void add(FragmentC (&result)[WidthTiles],
                                             const FragmentC (&weights)[kColumnTiles], const T* v, int g,
                                             int t) {
    constexpr int kPitch = pitch_of<T>(kColumns);
#pragma unroll
    for (int n = 0; n < kColumnTiles / 2; ++n) {
      const FragmentC &low = weights[2 * n], &high = weights[2 * n + 1];
      const FragmentA a{{pair<T>(low.r[0], low.r[1]), pair<T>(low.r[2], low.r[3]),
                         pair<T>(high.r[0], high.r[1]), pair<T>(high.r[2], high.r[3])}};
#pragma unroll
      for (int w = 0; w < WidthTiles; ++w) {
        const int at = (8 * w + g) * kPitch + 16 * n + 2 * t;
        multiply_add(result[w], a, FragmentB{{word(v, at), word(v, at + 8)}}, T{});
      }
    }
  }
};
template <int WidthTiles>
struct Values<float, WidthTiles> {
  static __device__ __forceinline__ void add(FragmentC (&result)[WidthTiles],
                                             const FragmentC (&weights)[kColumnTiles], const uint32_t* v,
                                             int g, int t) {
    constexpr int kPitch = pitch_of<float>(kColumns);
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
      const FragmentC& p = weights[n];
      // Columns 2t as k = t, 2t + 1 as k = t + 4.
      const FragmentA a{{to_tf32(p.r[0]), to_tf32(p.r[2]), to_tf32(p.r[1]), to_tf32(p.r[3])}};
#pragma unroll
      for (int w = 0; w < WidthTiles; ++w) {
        const auto both =
            *reinterpret_cast<const Pack<uint32_t, 2>*>(v + (8 * w + g) * kPitch + 8 * n + 2 * t);
        multiply_add(result[w], a, FragmentB{{both.v[0], both.v[1]}}, 0.f);
      }
    }
  }
};

template <class T, int WidthTiles>
__global__ void __launch_bounds__(kMostWarps* kWarp)
    tensor_core_attention(const __grid_constant__ AttentionArgs args, Divisor row_tiles) {
  using Element = typename Staged<T>::Element;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp, g = thread % kWarp / 4,
            t = thread % 4;
  const int rows = static_cast<int>(blockDim.x) / kWarp * kRowsAWarp, pitch = pitch_of<T>(args.depth);
  constexpr int kValuePitch = pitch_of<T>(kColumns), kWord = Staged<T>::kWord;
  Element* const queries = shared_memory<Element>();
  Element* const keys = queries + rows * pitch;
  Element* const values = keys + kColumns * pitch;
  const Head head(args, row_tiles, rows);
  const T* const q = head.find(static_cast<const T*>(args.q), args.q_at) + head.first_row * args.q_at.row;
  const T* const k = head.find(static_cast<const T*>(args.k), args.k_at);
  const T* const v = head.find(static_cast<const T*>(args.v), args.v_at);
  fill<T>(queries, pitch, q, rows, args.q_at.row, args.q_at.column, args.rows - head.first_row, args.depth);

  FragmentC result[WidthTiles] = {};
  float largest[2] = {minus_infinity(), minus_infinity()}, sum[2] = {};  // of rows g and g + 8
  const int32_t row = head.first_row + warp * kRowsAWarp + g;
#pragma unroll 1
  for (int32_t first = 0; first < args.columns; first += kColumns) {
    sync_block();  // the keys and values before have been read
    fill<T>(keys, pitch, k + first * args.k_at.column, kColumns, args.k_at.column, args.k_at.row,
            args.columns - first, args.depth);
    // Transposed: pairs of columns are neighbours.
    for (int at = thread; at < WidthTiles * 8 * kColumns; at += static_cast<int>(blockDim.x)) {
      const int e = at % (WidthTiles * 8), column = at / (WidthTiles * 8);
      values[e * kValuePitch + column] =
          Staged<T>::of(first + column < args.columns && e < args.width
                            ? v[(first + column) * args.v_at.row + e * args.v_at.column]
                            : T{});
    }
    sync_block();

    FragmentC scores[kColumnTiles] = {};
#pragma unroll 1
    for (int d = 0; d < args.depth; d += Staged<T>::kStep) {
      const int at = (warp * kRowsAWarp + g) * pitch + d + t * kWord, eight = 8 * pitch;
      const FragmentA a{{word(queries, at), word(queries, at + eight), word(queries, at + 4 * kWord),
                         word(queries, at + eight + 4 * kWord)}};
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
        const int key = (8 * j + g) * pitch + d + t * kWord;
        multiply_add(scores[j], a, FragmentB{{word(keys, key), word(keys, key + 4 * kWord)}}, T{});
      }
    }

    float peak[2] = {largest[0], largest[1]};
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
      const int32_t column = first + 8 * j + 2 * t;
      const int32_t at_rows[4] = {row, row, row + 8, row + 8};
      const int32_t at_columns[4] = {column, column + 1, column, column + 1};
      Vec<4> four;
#pragma unroll
      for (int i = 0; i < 4; ++i) four.v[i] = scores[j].r[i];
      four = finish_scores<4>(args, head, at_rows, at_columns, four);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[j].r[i] = at_columns[i] < args.columns ? four.v[i] : minus_infinity();
        peak[i / 2] = larger(peak[i / 2], scores[j].r[i]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int mask = 2; mask > 0; mask /= 2) peak[half] = larger(peak[half], shuffle_xor(peak[half], mask));
      const float rescale = weight_of(largest[half], peak[half]);
      largest[half] = peak[half];
      sum[half] *= rescale;
#pragma unroll
      for (int w = 0; w < WidthTiles; ++w) {
        result[w].r[2 * half] *= rescale;
        result[w].r[2 * half + 1] *= rescale;
      }
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[j].r[i] = weight_of(scores[j].r[i], peak[half]);
          sum[half] += scores[j].r[i];
        }
      }
    }
    Values<T, WidthTiles>::add(result, scores, values, g, t);
  }

  T* const output = head.find(static_cast<T*>(args.output), args.output_at);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int mask = 2; mask > 0; mask /= 2) sum[half] += shuffle_xor(sum[half], mask);
    const int32_t at = row + 8 * half;
    if (at >= args.rows) continue;
#pragma unroll
    for (int w = 0; w < WidthTiles; ++w) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int e = 8 * w + 2 * t + i;
        if (e < args.width)
          output[at * args.output_at.row + e * args.output_at.column] =
              from_float<T>(result[w].r[2 * half + i] / sum[half]);
      }
    }
  }
}

template <class T, int WidthTiles>
LaunchError start(const AttentionArgs& args, StreamHandle stream) {
  int warps = args.rows <= kRowsAWarp ? 1 : args.rows <= 2 * kRowsAWarp ? 2 : kMostWarps;
  while (warps > 1 && shared_bytes<T>(args, warps, 8 * WidthTiles) > kMostShared) warps /= 2;
  const uint32_t row_tiles = ceil_div(args.rows, warps * kRowsAWarp);
  const LaunchShape shape{{heads_of(args) * row_tiles},
                          {static_cast<uint32_t>(warps * kWarp)},
                          shared_bytes<T>(args, warps, 8 * WidthTiles),
                          Sync::kTogether};
  return launch(tensor_core_attention<T, WidthTiles>, shape, stream, args, Divisor(row_tiles));
}

template <class T>
LaunchError start(const AttentionArgs& args, StreamHandle stream) {
  if (args.width <= 32) return start<T, 4>(args, stream);
  if (args.width <= 64) return start<T, 8>(args, stream);
  return start<T, 16>(args, stream);
}

}  // namespace

LaunchError launch_tensor_core_attention(const AttentionArgs& args, StreamHandle stream) {
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
