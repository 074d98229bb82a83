// The operator tables, one a family (each at the end of its file).
#pragma once

#include <span>

#include "ref/operator.h"

namespace mts::ref {

std::span<const Operator> unary_operators();          // Relu, Exp, Gelu, Clip, ...
std::span<const Operator> binary_operators();         // Add, Less, And, Where, variadic Sum, ...
std::span<const Operator> reduce_operators();         // ReduceX, ArgMax, CumSum
std::span<const Operator> matmul_operators();         // MatMul, Gemm, integer variants
std::span<const Operator> einsum_operators();
std::span<const Operator> conv_operators();           // Conv, ConvTranspose, integer variants
std::span<const Operator> pool_operators();
std::span<const Operator> normalise_operators();
std::span<const Operator> softmax_operators();
std::span<const Operator> shape_operators();          // Reshape, Transpose, Concat, Shape, ...
std::span<const Operator> slice_operators();          // Slice, Pad, Tile, Expand, ...
std::span<const Operator> gather_operators();         // Gather*, Scatter*, OneHot, ...
std::span<const Operator> select_operators();         // TopK, NonZero, Unique, Compress, ...
std::span<const Operator> cast_operators();
std::span<const Operator> quantise_operators();
std::span<const Operator> control_operators();        // If, Loop, Scan, SequenceMap
std::span<const Operator> resize_operators();         // Resize, Upsample
std::span<const Operator> recurrent_operators();      // RNN, GRU, LSTM
std::span<const Operator> attention_operators();      // Attention, RotaryEmbedding

}  // namespace mts::ref
