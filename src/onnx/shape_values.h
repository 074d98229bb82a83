// What is known of the content of small integer tensors: data propagation for shape arithmetic. ONNX has such
// functions too, but they take unknown slice bounds for 0, mix up rows and elements of matrices, and know few
// operators; these are sound.
//
// A content has one dim an element; an element is a number (negative ones too), a symbol (>= 0), or unknown.
// Only scalars and vectors of int64, int32 and bool have contents.
#pragma once

#include <mts/graph.h>

#include <functional>
#include <optional>
#include <vector>

#include <onnx/onnx_pb.h>

namespace mts::onnxio {

using Element = onnx::TensorShapeProto::Dimension;
using Content = onnx::TensorShapeProto;

inline constexpr int64_t kMaxContent = 128;  // elements: shapes are shorter, and a file may claim any length

// Of a constant.
std::optional<Content> content_of(const Weight& weight);
// Of a value of this type of which nothing else is known: that many unknown elements.
std::optional<Content> open_content(const Type& type);
bool may_have_content(const Type& type);

// The content of the node's outputs, given that of its inputs (null where there is none) and the types of its
// inputs and outputs. Outputs without content stay empty.
std::vector<std::optional<Content>> propagate(const Node& node, const std::vector<const Content*>& inputs,
                                              const std::vector<Type>& input_types,
                                              const std::vector<Type>& output_types);

// Output shapes that ONNX's inference leaves open but that follow from contents: Reshape with symbols that
// cancel, Slice of whole axes, Range up to a symbol. Unknown dims where nothing is known; nothing when the
// rank is not known.
std::optional<Shape> refine_shape(const Node& node, const std::vector<const Content*>& inputs,
                                  const std::vector<Type>& input_types);

}  // namespace mts::onnxio
