// What changed between the versions of an operator, and how a node of the old form becomes one of the new
// form.
//
// An adapter rewrites one node in place (and may add nodes around it, in the form of the version `to`). It is
// called for a node that is valid in the version before `to`. It fails (message only; the caller adds node
// and versions) on forms that it cannot express exactly. Some need the types of values.
#pragma once

#include "canon/scope.h"

#include <mts/error.h>

#include <string_view>

namespace mts::canon {

using Adapter = Result<void> (*)(const Scope& scope, NodeId node);

struct Change {
  bool known = false;         // listed at all
  Adapter adapter = nullptr;  // null: old nodes are valid as they are and mean the same
};
// The change of an operator's schema that `version` of ai.onnx (or ai.onnx.ml) brought.
Change change_of(std::string_view op_type, std::string_view domain, int version);

// Adapters, by operator family.
namespace adapt {
Result<void> accept_plain_batch_normalization_9(const Scope& scope, NodeId node);
Result<void> batch_normalization_14(const Scope& scope, NodeId node);
Result<void> dropout_12(const Scope& scope, NodeId node);
Result<void> group_normalization_21(const Scope& scope, NodeId node);
Result<void> softmax_13(const Scope& scope, NodeId node);
Result<void> attention_24(const Scope& scope, NodeId node);

Result<void> upsample_9(const Scope& scope, NodeId node);
Result<void> upsample_10(const Scope& scope, NodeId node);
Result<void> resize_11(const Scope& scope, NodeId node);
Result<void> grid_sample_20(const Scope& scope, NodeId node);
Result<void> roi_align_16(const Scope& scope, NodeId node);

Result<void> slice_10(const Scope& scope, NodeId node);
Result<void> top_k_10(const Scope& scope, NodeId node);
Result<void> clip_11(const Scope& scope, NodeId node);
Result<void> pad_11(const Scope& scope, NodeId node);
Result<void> scatter_11(const Scope& scope, NodeId node);
Result<void> axes_to_input(const Scope& scope,
                           NodeId node);  // Squeeze, Unsqueeze, ReduceSum 13; other reductions 18
Result<void> split_13(const Scope& scope, NodeId node);
Result<void> split_18(const Scope& scope, NodeId node);
Result<void> dft_20(const Scope& scope, NodeId node);
Result<void> float_reduction_28(const Scope& scope, NodeId node);

Result<void> label_encoder_2(const Scope& scope, NodeId node);
}  // namespace adapt

}  // namespace mts::canon
