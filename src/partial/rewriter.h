// The rewriting of one model: see rewrite.h.
#pragma once

#include "partial/forms.h"
#include "partial/rewrite.h"

#include <map>
#include <tuple>
#include <vector>

namespace mts::partial {

using Pieces = std::vector<uint32_t>;  // of an arrangement, in order

class Rewriter {
 public:
  Rewriter(Model& model, uint32_t number, const Channels& channels, const Segments& segments,
           const ModelSharing& sharing)
      : graph_(model.graph),
        channels_(channels),
        sharing_(sharing),
        forms_(graph_, channels, segments, number) {}
  Result<bool> run();

 private:
  const NodeRole& role(NodeId id) const { return channels_.roles[index(id)]; }
  bool must_change(NodeId id);
  void find_wanted(const std::vector<NodeId>& order);
  void rewrite_layer(NodeId id);
  ValueId layer_part(NodeId id, const Pieces& rows, const Pieces& columns, bool bias);
  // The first operand that has channels.
  ValueId channel_operand(NodeId id) const;
  void rewrite_each(NodeId id);
  bool is_splittable_norm(NodeId id) const;
  ValueId ones(ValueId like, int64_t width);
  void rewrite_norm(NodeId id);
  void rewrite_join(NodeId id);
  // The node on some pieces; its output has `pieces` of the value that it made.
  ValueId on_pieces(NodeId id, const Pieces& pieces);
  ValueId part_of_constant(ValueId constant, size_t axis, int64_t unit,
                           const std::vector<uint32_t>& positions);
  void replace_outputs();
  void keep_name(ValueId old, ValueId tensor);

  Graph& graph_;
  const Channels& channels_;
  const ModelSharing& sharing_;
  Forms forms_;
  std::vector<bool> in_pieces_;  // by value: somebody reads single pieces of it
  std::vector<NodeId> replaced_;
  std::map<std::tuple<size_t, size_t, std::vector<uint32_t>>, ValueId> constants_;
};

}  // namespace mts::partial
