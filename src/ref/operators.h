// The operator tables, one a family (each at the end of its file).
#pragma once

#include "ref/operator.h"

#include <span>
#include <vector>

namespace mts::ref {

std::span<const Operator> unary_operators();   // Relu, Exp, Gelu, Clip, ...
std::span<const Operator> binary_operators();  // Add, Less, And, Where, variadic Sum, ...
std::span<const Operator> reduce_operators();  // ReduceX, ArgMax, CumSum
std::span<const Operator> matmul_operators();  // MatMul, Gemm, integer variants
std::span<const Operator> einsum_operators();
std::span<const Operator> conv_operators();  // Conv, ConvTranspose, integer variants
std::span<const Operator> pool_operators();
std::span<const Operator> normalise_operators();
std::span<const Operator> softmax_operators();
std::span<const Operator> shape_operators();   // Reshape, Transpose, Concat, Shape, ...
std::span<const Operator> slice_operators();   // Slice, Pad, Tile, Expand, ...
std::span<const Operator> gather_operators();  // Gather*, Scatter*, OneHot, ...
std::span<const Operator> select_operators();  // TopK, NonZero, Unique, Compress, ...
std::span<const Operator> cast_operators();
std::span<const Operator> quantise_operators();
std::span<const Operator> control_operators();    // If, Loop, Scan, SequenceMap
std::span<const Operator> resize_operators();     // Resize, Upsample
std::span<const Operator> recurrent_operators();  // RNN, GRU, LSTM
std::span<const Operator> attention_operators();  // Attention, RotaryEmbedding
std::span<const Operator> sequence_operators();   // sequences and optionals
std::span<const Operator> loss_operators();
std::span<const Operator> sample_operators();      // GridSample, AffineGrid, DeformConv, Col2Im
std::span<const Operator> detection_operators();   // NonMaxSuppression, RoiAlign
std::span<const Operator> signal_operators();      // DFT, STFT, windows
std::span<const Operator> training_operators();    // ai.onnx.preview.training
std::span<const Operator> text_operators();        // strings, TfIdfVectorizer
std::span<const Operator> ml_feature_operators();  // ai.onnx.ml: encoders, scalers, ZipMap
std::span<const Operator> ml_linear_operators();   // ai.onnx.ml: linear models, SVM
std::span<const Operator> ml_tree_operators();     // ai.onnx.ml: tree ensembles
std::span<const Operator> contrib_operators();     // com.microsoft

// All of them, sorted by domain, name and opset.
std::vector<Operator> all_operators();

}  // namespace mts::ref
