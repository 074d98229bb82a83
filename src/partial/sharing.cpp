#include "partial/sharing.h"

#include "partial/matrix.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace mts::partial {
namespace {

// Columns that are read as they are.
constexpr SegmentId kAllColumns = 0xffffffffu;
// In place of a column piece: the bias, and operand k of an operator with parameters.
constexpr SegmentId kBias = 0xfffffffeu;
constexpr SegmentId kOperand = 0xffff0000u;

// Interned sets of models.
using Sharers = std::map<std::vector<uint32_t>, SharerId>;

// What the members of one aligned set hold, block by block.
class Comparison {
 public:
  using Block = std::pair<SegmentId, SegmentId>;  // of rows, of columns

  void expect(const Block& block) { ++owners_[block]; }
  // Whether more than one member has such a block at all.
  bool is_common(const Block& block) const { return owners_.at(block) > 1; }
  void add(uint32_t model, const Block& block, const Digest& digest) {
    digests_[{model, block}] = digest;
    equal_[{block, digest}].push_back(model);
  }
  SharerId sharer(uint32_t model, const Block& block, Sharers& sharers) const {
    const auto digest = digests_.find({model, block});
    if (digest == digests_.end()) return kAlone;
    const auto& who = equal_.at({block, digest->second});
    return who.size() < 2 ? kAlone
                          : sharers.try_emplace(who, static_cast<SharerId>(sharers.size() + 1)).first->second;
  }

 private:
  std::map<Block, size_t> owners_;
  std::map<std::pair<uint32_t, Block>, Digest> digests_;
  std::map<std::pair<Block, Digest>, std::vector<uint32_t>> equal_;
};

Digest digest_of(const Matrix& matrix, const Piece& rows, const std::vector<uint32_t>& columns) {
  std::vector<Digest> lines;
  for (const uint32_t row : rows.positions) lines.push_back(matrix.hash(row, columns));
  return combine(lines);
}

Arrangement as_they_are(const Tracked& tracked) {
  Arrangement result;
  result.pieces.push_back({kAllColumns, {}});
  for (uint32_t i = 0; i < tracked.channels.size(); ++i) result.pieces[0].positions.push_back(i);
  return result;
}

// Parameters of a channel that are worth many pieces (a depthwise filter).
constexpr size_t kFewPieces = 32, kMostPieces = 64, kLargeParameterBytes = 32;
// Rows with this many times the bytes of their bias stay together though the bias is shared in another way.
constexpr size_t kNegligibleBias = 256;

// Row pieces whose blocks are shared alike, in every model that shares them, become one group; so do those
// that nobody shares.
void group_rows(const std::vector<LayerSharing*>& members, bool with_bias) {
  using Line = std::pair<std::vector<SharerId>, SharerId>;
  const auto line_of = [&](const LayerSharing& sharing, size_t r) {
    return Line(sharing.blocks[r], with_bias ? sharing.bias[r] : kAlone);
  };
  const auto is_shared = [](const Line& line) {
    return line.second != kAlone || std::ranges::any_of(line.first, [](SharerId id) { return id != kAlone; });
  };
  std::map<SegmentId, std::vector<std::pair<size_t, Line>>> how;  // by member that shares it
  for (size_t i = 0; i < members.size(); ++i)
    for (size_t r = 0; r < members[i]->blocks.size(); ++r)
      if (Line line = line_of(*members[i], r); is_shared(line))
        how[members[i]->rows.pieces[r].segment].emplace_back(i, std::move(line));
  for (LayerSharing* member : members) {
    std::map<std::vector<std::pair<size_t, Line>>, size_t> groups;
    for (uint32_t r = 0; r < member->blocks.size(); ++r) {
      const bool shared = is_shared(line_of(*member, r));
      const auto& key = shared ? how.at(member->rows.pieces[r].segment) : decltype(how)::mapped_type{};
      const auto [it, added] = groups.try_emplace(key, member->groups.size());
      if (added) member->groups.emplace_back();
      member->groups[it->second].push_back(r);
    }
  }
}

// The features of a table stay together where the same models have them: what these share of the entries of
// the vocabulary is found later (tables.h).
void group_features(const std::vector<LayerSharing*>& members) {
  std::map<SegmentId, std::vector<size_t>> owners;
  for (size_t i = 0; i < members.size(); ++i)
    for (const Piece& piece : members[i]->rows.pieces) owners[piece.segment].push_back(i);
  for (LayerSharing* member : members) {
    std::map<std::vector<size_t>, size_t> groups;
    member->groups.clear();
    for (uint32_t r = 0; r < member->rows.pieces.size(); ++r) {
      const auto [it, added] =
          groups.try_emplace(owners.at(member->rows.pieces[r].segment), member->groups.size());
      if (added) member->groups.emplace_back();
      member->groups[it->second].push_back(r);
    }
  }
}

class SharedBlocks {
 public:
  SharedBlocks(const std::vector<Model>& models, const std::vector<Channels>& channels,
               const Segments& segments)
      : models_(models), channels_(channels), segments_(segments), result_(models.size()) {}

  void compare_layers(const AlignedSet& set);
  void compare_parameters(const AlignedSet& set);
  std::vector<ModelSharing> take() { return std::move(result_); }

 private:
  const NodeRole& role(uint32_t m, NodeId id) const { return channels_[m].roles[index(id)]; }
  const WeightPtr& weight(uint32_t m, ValueId id) const { return models_[m].graph.value(id).weight; }

  const std::vector<Model>& models_;
  const std::vector<Channels>& channels_;
  const Segments& segments_;
  Sharers sharers_;
  std::vector<ModelSharing> result_;
};

void SharedBlocks::compare_layers(const AlignedSet& set) {
  struct Member {
    uint32_t model = 0;
    NodeId node = kNoNode;
    LayerSharing sharing;
  };
  std::vector<Member> members;
  Comparison comparison;
  for (uint32_t m = 0; m < models_.size(); ++m) {
    const NodeId id = set.nodes[m];
    if (id == kNoNode || role(m, id).kind != NodeRole::Kind::kLayer) continue;
    const Layer& layer = role(m, id).layer;
    Member member{m, id, {}};
    LayerSharing& sharing = member.sharing;
    sharing.rows = segments_.arrange(m, *channels_[m].tracked[index(models_[m].graph.node(id).outputs[0])]);
    sharing.columns = layer.splits_columns ? segments_.arrange(m, layer.columns) : as_they_are(layer.columns);
    for (const Piece& row : sharing.rows.pieces) {
      comparison.expect({row.segment, kBias});
      for (const Piece& column : sharing.columns.pieces) comparison.expect({row.segment, column.segment});
    }
    members.push_back(std::move(member));
  }
  // Where nobody has pieces there is nothing to compare; a whole weight may be equal to a piece of another.
  const auto in_pieces = [](const Member& member) {
    return !member.sharing.rows.trivial() || !member.sharing.columns.trivial();
  };
  if (std::ranges::none_of(members, in_pieces)) return;
  for (const auto& [m, id, sharing] : members) {
    const Layer& layer = role(m, id).layer;
    const Tracked& out = *channels_[m].tracked[index(models_[m].graph.node(id).outputs[0])];
    const Matrix matrix(weight(m, layer.weight), layer.row_axis, layer.column_axis, out.unit,
                        layer.columns.unit);
    std::optional<Matrix> bias;
    if (layer.bias != kNoValue)
      bias.emplace(Matrix::of_parameters(weight(m, layer.bias), layer.bias_axis, out.unit));
    for (const Piece& row : sharing.rows.pieces) {
      if (bias && comparison.is_common({row.segment, kBias}))
        comparison.add(m, {row.segment, kBias}, digest_of(*bias, row, {0}));
      for (const Piece& column : sharing.columns.pieces)
        if (comparison.is_common({row.segment, column.segment}))
          comparison.add(m, {row.segment, column.segment}, digest_of(matrix, row, column.positions));
    }
  }
  for (Member& member : members) {
    LayerSharing& sharing = member.sharing;
    for (const Piece& row : sharing.rows.pieces) {
      auto& line = sharing.blocks.emplace_back();
      for (const Piece& column : sharing.columns.pieces)
        line.push_back(comparison.sharer(member.model, {row.segment, column.segment}, sharers_));
      sharing.bias.push_back(comparison.sharer(member.model, {row.segment, kBias}, sharers_));
    }
  }
  std::vector<LayerSharing*> sharings;
  bool with_bias = false;
  for (Member& member : members) {
    sharings.push_back(&member.sharing);
    const Layer& layer = role(member.model, member.node).layer;
    with_bias |=
        layer.bias != kNoValue && weight(member.model, layer.weight)->byte_size() <
                                      kNegligibleBias * weight(member.model, layer.bias)->byte_size();
  }
  group_rows(sharings, with_bias);
  if (!members.empty() && role(members.front().model, members.front().node).layer.weight_input == 0)
    group_features(sharings);
  for (Member& member : members)
    if (in_pieces(member)) result_[member.model].layers.emplace(member.node, std::move(member.sharing));
}

void SharedBlocks::compare_parameters(const AlignedSet& set) {
  struct Parameter {
    uint32_t model = 0;
    size_t operand = 0;
    Arrangement arrangement;
  };
  std::vector<Parameter> parameters;
  Comparison comparison;
  for (uint32_t m = 0; m < models_.size(); ++m) {
    const NodeId id = set.nodes[m];
    if (id == kNoNode || !channels_[m].tracked[index(models_[m].graph.node(id).outputs[0])]) continue;
    const auto& operands = role(m, id).operands;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (operands[i].kind != OperandRole::Kind::kParameter) continue;
      Parameter parameter{
          m, i, segments_.arrange(m, *channels_[m].tracked[index(models_[m].graph.node(id).outputs[0])])};
      for (const Piece& piece : parameter.arrangement.pieces)
        comparison.expect({piece.segment, kOperand + static_cast<SegmentId>(i)});
      parameters.push_back(std::move(parameter));
    }
  }
  for (const auto& [m, i, arrangement] : parameters) {
    const OperandRole& operand = role(m, set.nodes[m]).operands[i];
    const Matrix matrix = Matrix::of_parameters(weight(m, models_[m].graph.node(set.nodes[m]).inputs[i]),
                                                operand.axis, operand.unit);
    for (const Piece& piece : arrangement.pieces)
      comparison.add(m, {piece.segment, kOperand + static_cast<SegmentId>(i)}, digest_of(matrix, piece, {0}));
  }
  // Where one model has to take them apart, all do; but not into many pieces for the sake of a few bytes.
  const auto is_worth_it = [&](const Parameter& parameter) {
    const Node& node = models_[parameter.model].graph.node(set.nodes[parameter.model]);
    const WeightPtr& constant = weight(parameter.model, node.inputs[parameter.operand]);
    const Tracked& out = *channels_[parameter.model].tracked[index(node.outputs[0])];
    const size_t pieces = parameter.arrangement.pieces.size();
    return pieces <= kFewPieces ||
           (pieces <= kMostPieces && constant->byte_size() >= kLargeParameterBytes * out.channels.size());
  };
  if (!std::ranges::all_of(parameters, is_worth_it)) return;
  const bool mixed = std::ranges::any_of(parameters, [&](const Parameter& parameter) {
    std::set<SharerId> seen;
    for (const Piece& piece : parameter.arrangement.pieces)
      seen.insert(comparison.sharer(
          parameter.model, {piece.segment, kOperand + static_cast<SegmentId>(parameter.operand)}, sharers_));
    return seen.size() > 1;
  });
  for (const Parameter& parameter : parameters)
    if (mixed && parameter.arrangement.pieces.size() > 1)
      result_[parameter.model].mixed.insert(set.nodes[parameter.model]);
}

}  // namespace

std::vector<ModelSharing> find_shared_blocks(const std::vector<Model>& models,
                                             const std::vector<Channels>& channels, const Segments& segments,
                                             const Alignment& alignment) {
  SharedBlocks blocks(models, channels, segments);
  for (const AlignedSet& set : alignment.sets) {
    blocks.compare_layers(set);
    blocks.compare_parameters(set);
  }
  return blocks.take();
}

}  // namespace mts::partial
