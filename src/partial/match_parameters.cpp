// Neurons by the parameters of their channels: depthwise filters, scales and shifts, biases.
#include "partial/finder.h"

#include <algorithm>
#include <map>

namespace mts::partial {
namespace {

// Parameters of a channel that are enough to recognise it by: a depthwise filter, a scale and a shift, but
// not a bias alone.
constexpr size_t kTellingParameterBytes = 8;
// Parameters are small and may be equal in a few channels by chance (dead ones): a split has to save more of
// them than of weights.
constexpr size_t kWorthwhileParameterPart = 16;

// Of all parameters of one channel.
Digest hash_of_row(const std::vector<Matrix>& parameters, size_t row) {
  if (parameters.size() == 1) return parameters.front().hash(row, std::vector<uint32_t>{0});
  std::vector<Digest> parts;
  for (const Matrix& matrix : parameters) parts.push_back(matrix.hash(row, std::vector<uint32_t>{0}));
  return combine(parts);
}

}  // namespace

// The constants that hold one entry (or filter) a channel of what the node makes.
std::vector<Matrix> Finder::parameters_of(uint32_t m, NodeId id) const {
  const Node& node = models_[m].graph.node(id);
  const NodeRole& what = role(m, id);
  const auto weight = [&](ValueId value) { return models_[m].graph.value(value).weight; };
  std::vector<Matrix> parameters;
  if (what.kind == NodeRole::Kind::kLayer) {
    if (what.layer.bias != kNoValue)
      parameters.push_back(Matrix::of_parameters(weight(what.layer.bias), what.layer.bias_axis,
                                                 made_by(channels_[m], models_[m], id).unit));
    return parameters;
  }
  for (size_t i = 0; i < what.operands.size(); ++i)
    if (what.operands[i].kind == OperandRole::Kind::kParameter)
      parameters.push_back(
          Matrix::of_parameters(weight(node.inputs[i]), what.operands[i].axis, what.operands[i].unit));
  return parameters;
}

void Finder::match_parameters(uint32_t set, const Members& members) {
  if (members.size() < 2) return;
  std::vector<Rows> rows;
  bool all_equal = true;
  for (const auto& [m, id] : members) {
    if (!channels_[m].tracked[index(models_[m].graph.node(id).outputs[0])]) continue;  // made of all channels
    const Tracked& out = made_by(channels_[m], models_[m], id);
    const std::vector<Matrix> parameters = parameters_of(m, id);
    Rows row;
    row.model = m;
    RowHashes& hashes = row.hashes[0];
    for (const Matrix& matrix : parameters) hashes.bytes += matrix.cell_bytes();
    if (hashes.bytes == 0) continue;
    row.total_bytes = hashes.bytes * out.channels.size();
    std::map<Digest, uint32_t> count;
    for (size_t r = 0; r < out.channels.size(); ++r) {
      hashes.of_row.push_back(hash_of_row(parameters, r));
      row.roots.push_back(channels_[m].root(out.channels[r]));
      row.neurons.push_back(neuron(m, out.channels[r]));
      ++count[hashes.of_row.back()];
    }
    // Few bytes that occur more than once (zeros) do not tell which channel is which.
    if (hashes.bytes < kTellingParameterBytes)
      for (size_t r = 0; r < out.channels.size(); ++r)
        if (count[hashes.of_row[r]] > 1)
          hashes.of_row[r] = combine(std::vector<Digest>{{m, r}, hashes.of_row[r]});
    rows.push_back(std::move(row));
    all_equal &= rows.back().hashes[0].of_row == rows.front().hashes[0].of_row;
  }
  if (rows.size() < 2 || all_equal) return;
  const Matching matching = match_rows(rows, kWorthwhileParameterPart);
  if (matching.worthwhile) record(set, rows, matching);
}

}  // namespace mts::partial
