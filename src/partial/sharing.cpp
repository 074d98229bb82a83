#include "partial/sharing.h"

#include "partial/matrix.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include <xxhash.h>

namespace mts::partial {
namespace {

// Columns that are read as they are.
constexpr SegmentId kAllColumns = 0xffffffffu;
// In place of a column piece.
constexpr SegmentId kBias = 0xfffffffeu;

struct Member {
  uint32_t model = 0;
  NodeId node = kNoNode;
  LayerSharing sharing;
};

Digest digest_of(const Matrix& matrix, const Piece& rows, const std::vector<uint32_t>& columns) {
  std::vector<Digest> lines;
  for (const uint32_t row : rows.positions) lines.push_back(matrix.hash(row, columns));
  const XXH128_hash_t hash = XXH3_128bits(lines.data(), lines.size() * sizeof(Digest));
  return {hash.low64, hash.high64};
}

Arrangement as_they_are(const Tracked& tracked) {
  Arrangement result;
  result.pieces.push_back({kAllColumns, {}});
  for (uint32_t i = 0; i < tracked.channels.size(); ++i) result.pieces[0].positions.push_back(i);
  return result;
}

}  // namespace

bool LayerSharing::is_split() const {
  return std::ranges::any_of(blocks, [](const std::vector<SharerId>& line) {
    return std::ranges::any_of(line, [&](SharerId id) { return id != line.front(); });
  });
}

SharingTable find_shared_blocks(const std::vector<Model>& models, const std::vector<Channels>& channels,
                                const Segments& segments, const Alignment& alignment) {
  SharingTable table(models.size());
  std::map<std::vector<uint32_t>, SharerId> sharers;
  for (const AlignedSet& set : alignment.sets) {
    std::vector<Member> members;
    for (uint32_t m = 0; m < models.size(); ++m) {
      if (set.nodes[m] == kNoNode) continue;
      const NodeRole& role = channels[m].roles[index(set.nodes[m])];
      if (role.kind != NodeRole::Kind::kLayer) continue;
      const ValueId out = models[m].graph.node(set.nodes[m]).outputs[0];
      Member member{m, set.nodes[m], {}};
      member.sharing.rows = segments.arrange(m, *channels[m].tracked[index(out)]);
      member.sharing.columns = role.layer.splits_columns ? segments.arrange(m, role.layer.columns)
                                                         : as_they_are(role.layer.columns);
      if (!member.sharing.rows.trivial() || !member.sharing.columns.trivial())
        members.push_back(std::move(member));
    }
    using Block = std::pair<SegmentId, SegmentId>;
    std::map<Block, size_t> owners;
    for (const Member& member : members)
      for (const Piece& row : member.sharing.rows.pieces) {
        ++owners[{row.segment, kBias}];
        for (const Piece& column : member.sharing.columns.pieces) ++owners[{row.segment, column.segment}];
      }
    std::map<std::pair<Block, Digest>, std::vector<uint32_t>> equal;  // members
    std::vector<std::map<Block, Digest>> digests(members.size());
    for (uint32_t i = 0; i < members.size(); ++i) {
      const auto& [m, id, sharing] = members[i];
      const Layer& layer = channels[m].roles[index(id)].layer;
      const Graph& graph = models[m].graph;
      const Tracked& out = *channels[m].tracked[index(graph.node(id).outputs[0])];
      const auto add = [&](const Block& block, const Digest& digest) {
        digests[i][block] = digest;
        equal[{block, digest}].push_back(i);
      };
      const Matrix matrix(graph.value(layer.weight).weight, layer.row_axis, layer.column_axis, out.unit,
                          layer.columns.unit);
      std::optional<Matrix> bias;
      if (layer.bias != kNoValue)
        bias.emplace(Matrix::of_parameters(graph.value(layer.bias).weight, layer.bias_axis, out.unit));
      for (const Piece& row : sharing.rows.pieces) {
        if (bias && owners[{row.segment, kBias}] > 1) add({row.segment, kBias}, digest_of(*bias, row, {0}));
        for (const Piece& column : sharing.columns.pieces)
          if (const Block block = {row.segment, column.segment}; owners[block] > 1)
            add(block, digest_of(matrix, row, column.positions));
      }
    }
    for (uint32_t i = 0; i < members.size(); ++i) {
      LayerSharing& sharing = members[i].sharing;
      const auto sharer = [&](const Block& block) -> SharerId {
        const auto digest = digests[i].find(block);
        if (digest == digests[i].end()) return kAlone;
        const auto& same = equal.at({block, digest->second});
        if (same.size() < 2) return kAlone;
        std::vector<uint32_t> who;
        for (const uint32_t k : same) who.push_back(members[k].model);
        return sharers.try_emplace(who, static_cast<SharerId>(sharers.size() + 1)).first->second;
      };
      for (const Piece& row : sharing.rows.pieces) {
        auto& line = sharing.blocks.emplace_back();
        for (const Piece& column : sharing.columns.pieces)
          line.push_back(sharer({row.segment, column.segment}));
        sharing.bias.push_back(sharer({row.segment, kBias}));
      }
      table[members[i].model].emplace(members[i].node, std::move(sharing));
    }
  }
  return table;
}

}  // namespace mts::partial
