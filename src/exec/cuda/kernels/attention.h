// Attention without its scores in memory: output = softmax(work(scale q k)) v, float accumulation. Columns go
// by 64; each row keeps the largest score and the sum seen so far, and what was summed before is rescaled
// when a larger score comes (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao
// et al., "FlashAttention", 2022). Two kernels for one set of arguments: ordinary float units (float32,
// strict), and tensor cores (TF32, 16 bits).
#pragma once

#include "exec/cuda/kernels/epilogue.h"
#include "exec/cuda/kernels/index.h"
#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

// A matrix for each batch position, strides in elements (0: broadcast).
struct AttentionOperand {
  int64_t outer[kMaxOuter] = {}, row = 0, column = 0;
};

// A row whose scores are all minus infinity gives NaN, as ONNX's Softmax does.
struct AttentionArgs {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* output = nullptr;
  Divisor outer[kMaxOuter];  // batch extents, outermost first
  AttentionOperand q_at, k_at, v_at,
      output_at;  // [rows, depth], [depth, columns], [columns, width], [rows, width]
  int32_t rows = 0, columns = 0, depth = 0, width = 0;
  float scale = 1.f;
  // Added to the scaled scores, then the work; (outer, row, column) is the score's position.
  bool has_addend = false;
  EpilogueOperand addend;
  Epilogue work;
  FloatType type = FloatType::kFloat32;  // of q, k, v and the output
  bool tensor_cores = false;             // always for 16 bits; TF32 for float32 (rounds to 10 bits)
};
inline constexpr int32_t kMostAttentionDepth = 128, kMostAttentionWidth = 128;

// Precondition: depth and width at most the above.
LaunchError launch_attention(const AttentionArgs& args, StreamHandle stream);
// What the former calls for args.tensor_cores.
LaunchError launch_tensor_core_attention(const AttentionArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
