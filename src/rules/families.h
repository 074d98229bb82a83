// The rules, by operator family: one file a family. Listed in table.cpp.
#pragma once

#include "rules/rule.h"

namespace mts::rules {

using Values = std::vector<ValueId>;
using Span = std::span<const ValueId>;

// elementwise.cpp
Proposal propose_unary(const Lane& lane);  // data first, everything else once
Proposal propose_prelu(const Lane& lane);  // the slope broadcasts to the data, never the other way round
// convolution.cpp
Proposal propose_conv(const Lane& lane);
Values emit_conv(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_conv_transpose(const Lane& lane);
// linear.cpp
Proposal propose_matmul(const Lane& lane);
Values emit_matmul(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_gemm(const Lane& lane);
Values emit_gemm(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_einsum(const Lane& lane);
Values emit_einsum(const Lane& lane, const Option& option, Span operands, Builder& builder);
// normalization.cpp
Proposal propose_batch_norm(const Lane& lane);
Values emit_batch_norm(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_layer_norm(const Lane& lane);
Values emit_layer_norm(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_instance_norm(const Lane& lane);
Values emit_instance_norm(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_group_norm(const Lane& lane);
Values emit_group_norm(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_lrn(const Lane& lane);
// pooling.cpp
Proposal propose_pool(const Lane& lane);
Proposal propose_depth_space(const Lane& lane);
Proposal propose_resize(const Lane& lane);
Proposal propose_stft(const Lane& lane);
Values emit_resize(const Lane& lane, const Option& option, Span operands, Builder& builder);
// reduction.cpp
Proposal propose_reduce(const Lane& lane);
Values emit_reduce(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_softmax(const Lane& lane);
Proposal propose_axis_attribute(const Lane& lane);  // ArgMax, TopK, LpNormalization, ...: one axis
Values emit_axis_attribute(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_cumsum(const Lane& lane);
Values emit_cumsum(const Lane& lane, const Option& option, Span operands, Builder& builder);
// movement.cpp
Proposal propose_concat(const Lane& lane);
Values emit_concat(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_slice(const Lane& lane);
Values emit_slice(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_gather(const Lane& lane);
Values emit_gather(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_pad(const Lane& lane);
Values emit_pad(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_transpose(const Lane& lane);
Values emit_transpose(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_trailing_axes(const Lane& lane);  // Trilu: the last two
Proposal propose_tile(const Lane& lane);
Values emit_tile(const Lane& lane, const Option& option, Span operands, Builder& builder);
// indexed.cpp
Proposal propose_elements(const Lane& lane);  // GatherElements, ScatterElements
Values emit_elements(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_gather_nd(const Lane& lane);
Values emit_gather_nd(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_scatter_nd(const Lane& lane);
Values emit_scatter_nd(const Lane& lane, const Option& option, Span operands, Builder& builder);
// reshape.cpp
Proposal propose_reshape(const Lane& lane);  // Reshape, Flatten, Squeeze, Unsqueeze
Values emit_reshape(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_expand(const Lane& lane);
Values emit_expand(const Lane& lane, const Option& option, Span operands, Builder& builder);
// recurrent.cpp
Proposal propose_recurrent(const Lane& lane);
// quantization.cpp
Proposal propose_quantize_linear(const Lane& lane);
Values emit_quantize_linear(const Lane& lane, const Option& option, Span operands, Builder& builder);
Proposal propose_quantized_shared(
    const Lane& lane);  // QLinearConv, ConvInteger, ...: everything but the data once
// attention.cpp
Proposal propose_attention(const Lane& lane);
Proposal propose_grid_sample(const Lane& lane);
Proposal propose_deform_conv(const Lane& lane);
Proposal propose_rotary_embedding(const Lane& lane);

}  // namespace mts::rules
