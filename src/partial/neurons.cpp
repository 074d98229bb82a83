#include "partial/neurons.h"

#include "partial/matrix.h"
#include "partial/rows.h"
#include "partial/seeds.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

namespace mts::partial {
namespace {

// Smaller equal weights, and those of one value (zeros, ones), may be equal by chance and say nothing about
// which channel is which.
constexpr size_t kTellingBytes = 16;
// Parameters of a channel that are enough to recognise it by: a depthwise filter, a scale and a shift, but
// not a bias alone.
constexpr size_t kTellingParameterBytes = 8;
// Models whose tables one is compared with.
constexpr size_t kMaxSeedTables = 8;
// Rows in which columns that correspond are looked for.
constexpr size_t kMostSeedRows = 64;
// What a split has to save: this part of a weight, and more of parameters, which are small and may be equal
// in a few channels by chance (dead ones).
constexpr size_t kWorthwhilePart = 128, kWorthwhileParameterPart = 16;

class Finder {
 public:
  Finder(const std::vector<Model>& models, const std::vector<Channels>& channels, const Alignment& alignment,
         const WeightClasses& classes)
      : models_(models), channels_(channels), alignment_(alignment), classes_(classes) {
    for (const Channels& one : channels) result_.of_root.emplace_back(one.roots.size(), kNoNeuron);
  }
  Neurons run();

 private:
  using Members = std::vector<std::pair<uint32_t, NodeId>>;

  const NodeRole& role(uint32_t m, NodeId id) const { return channels_[m].roles[index(id)]; }
  NeuronId neuron(uint32_t m, Channel channel) const {
    return result_.of_root[m][channels_[m].root(channel)];
  }
  Members members_of(const AlignedSet& set, NodeRole::Kind kind) const;
  void match_by_position(const Members& members);
  void tie_positions(const Members& group, const std::vector<const Tracked*>& places);
  void match_layers(uint32_t set, const Members& members);
  void match_parameters(uint32_t set, const Members& members);
  std::vector<Columns> columns_of(const Members& members) const;
  void match_columns(const Members& members, const Matching& matching);
  void seed_tables(const Members& members);
  bool seed_columns(const Members& members);
  std::vector<Rows> rows_of(const Members& members, const std::vector<Columns>& columns, bool fine) const;
  void note_fine(uint32_t set, const Members& members, const Matching& fine);
  Matrix matrix_of(uint32_t m, NodeId id) const;
  std::vector<Matrix> parameters_of(uint32_t m, NodeId id) const;
  void record(uint32_t set, const std::vector<Rows>& rows, const Matching& matching);
  void join(const std::vector<std::pair<uint32_t, Channel>>& roots, uint64_t signature);

  const std::vector<Model>& models_;
  const std::vector<Channels>& channels_;
  const Alignment& alignment_;
  const WeightClasses& classes_;
  Neurons result_;
};

// Of all parameters of one channel.
Digest hash_of_row(const std::vector<Matrix>& parameters, size_t row) {
  if (parameters.size() == 1) return parameters.front().hash(row, std::vector<uint32_t>{0});
  std::vector<Digest> parts;
  for (const Matrix& matrix : parameters) parts.push_back(matrix.hash(row, std::vector<uint32_t>{0}));
  return combine(parts);
}

bool is_telling(const Weight& weight) {
  if (weight.byte_size() < kTellingBytes) return false;
  const auto bytes = weight.bytes();
  const size_t element = static_cast<size_t>(bit_width(weight.dtype())) / 8;
  return bytes.size() <= element ||
         std::memcmp(bytes.data(), bytes.data() + element, bytes.size() - element) != 0;
}

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2))) * 0xbf58476d1ce4e5b9ull;
  return x ^ (x >> 29);
}

const Tracked& made_by(const Channels& channels, const Model& model, NodeId id) {
  return *channels.tracked[index(model.graph.node(id).outputs[0])];
}

Finder::Members Finder::members_of(const AlignedSet& set, NodeRole::Kind kind) const {
  Members members;
  for (uint32_t m = 0; m < set.nodes.size(); ++m)
    if (set.nodes[m] != kNoNode && role(m, set.nodes[m]).kind == kind) members.emplace_back(m, set.nodes[m]);
  return members;
}

Neurons Finder::run() {
  // Whole weights that are equal first: their rows and columns correspond by position, whatever else is
  // equal.
  for (const AlignedSet& set : alignment_.sets) match_by_position(members_of(set, NodeRole::Kind::kLayer));
  for (uint32_t s = 0; s < alignment_.sets.size(); ++s) {
    match_layers(s, members_of(alignment_.sets[s], NodeRole::Kind::kLayer));
    for (const auto kind : {NodeRole::Kind::kLayer, NodeRole::Kind::kEach, NodeRole::Kind::kWhole})
      match_parameters(s, members_of(alignment_.sets[s], kind));
  }
  return std::move(result_);
}

void Finder::match_by_position(const Members& members) {
  std::map<int32_t, Members> groups;
  for (const auto& [m, id] : members) {
    const ValueId weight = role(m, id).layer.weight;
    if (is_telling(*models_[m].graph.value(weight).weight))
      groups[classes_.class_of[m][index(weight)]].emplace_back(m, id);
  }
  for (const auto& [content, group] : groups) {
    if (group.size() < 2 || content < 0) continue;
    const auto dims = [&](const auto& member) {
      return models_[member.first].graph.value(role(member.first, member.second).layer.weight).weight->dims();
    };
    if (std::ranges::any_of(group, [&](const auto& member) { return dims(member) != dims(group.front()); }))
      continue;
    std::vector<const Tracked*> rows, columns;
    for (const auto& [m, id] : group) {
      rows.push_back(&made_by(channels_[m], models_[m], id));
      columns.push_back(&role(m, id).layer.columns);
    }
    tie_positions(group, columns);
    tie_positions(group, rows);
  }
}

// One neuron for each position, where the channels there are in no other neuron yet.
void Finder::tie_positions(const Members& group, const std::vector<const Tracked*>& places) {
  for (const Tracked* place : places)
    if (place->unit != places.front()->unit || place->channels.size() != places.front()->channels.size())
      return;
  for (size_t i = 0; i < places.front()->channels.size(); ++i) {
    std::vector<std::pair<uint32_t, Channel>> roots;
    for (size_t g = 0; g < group.size(); ++g)
      roots.emplace_back(group[g].first, channels_[group[g].first].root(places[g]->channels[i]));
    join(roots, 0);
  }
}

// Puts channels, and the neurons that they are in already, into one neuron. Leaves everything as it is when a
// model would have two channels in it.
void Finder::join(const std::vector<std::pair<uint32_t, Channel>>& roots, uint64_t signature) {
  std::set<NeuronId> known;
  std::vector<Channel> channels(models_.size(), kNoChannel);
  const auto put = [&](uint32_t m, Channel root) {
    if (root == kNoChannel) return true;
    if (channels[m] != kNoChannel && channels[m] != root) return false;
    channels[m] = root;
    return true;
  };
  for (const auto& [m, root] : roots) {
    if (!put(m, root)) return;
    if (result_.of_root[m][root] != kNoNeuron) known.insert(result_.of_root[m][root]);
  }
  for (const NeuronId one : known)
    for (uint32_t m = 0; m < models_.size(); ++m)
      if (!put(m, result_.all[one].channels[m])) return;
  if (known.empty()) {
    known.insert(static_cast<NeuronId>(result_.all.size()));
    result_.all.emplace_back();
  }
  const NeuronId target = *known.begin();
  for (const NeuronId one : known) result_.all[one].channels.assign(models_.size(), kNoChannel);
  result_.all[target].channels = channels;
  for (uint32_t m = 0; m < models_.size(); ++m)
    if (channels[m] != kNoChannel) result_.of_root[m][channels[m]] = target;
  if (signature != 0) result_.all[target].signature = mix(result_.all[target].signature, signature);
}

// The columns of every member, in groups that are shared in the same way, plus, where not all is known,
// one group of all columns by position for the members of equal width.
std::vector<Columns> Finder::columns_of(const Members& members) const {
  std::vector<Columns> result(members.size());
  std::map<std::vector<uint64_t>, uint32_t> keys;
  std::map<std::pair<size_t, int64_t>, std::vector<size_t>> by_width;
  for (size_t i = 0; i < members.size(); ++i) {
    const uint32_t m = members[i].first;
    const Tracked& columns = role(m, members[i].second).layer.columns;
    by_width[{columns.channels.size(), columns.unit}].push_back(i);
    std::map<uint32_t, std::vector<std::pair<NeuronId, uint32_t>>> groups;
    for (uint32_t c = 0; c < columns.channels.size(); ++c) {
      const NeuronId id = neuron(m, columns.channels[c]);
      if (id == kNoNeuron) continue;
      std::vector<uint64_t> key = {result_.all[id].signature};
      for (uint32_t other = 0; other < models_.size(); ++other)
        if (result_.all[id].channels[other] != kNoChannel) key.push_back(other);
      groups[keys.try_emplace(key, static_cast<uint32_t>(keys.size())).first->second].emplace_back(id, c);
    }
    for (auto& [key, entries] : groups) {
      std::ranges::sort(entries);
      ColumnGroup& group = result[i].groups[key];
      for (const auto& [id, c] : entries) group.positions.push_back(c);
    }
  }
  for (const auto& [width, alike] : by_width) {
    const auto neuron_at = [&](size_t i, uint32_t c) {
      return neuron(members[i].first, role(members[i].first, members[i].second).layer.columns.channels[c]);
    };
    std::vector<uint32_t> positions(width.first);
    std::iota(positions.begin(), positions.end(), 0u);
    const bool known = std::ranges::all_of(positions, [&](uint32_t c) {
      return neuron_at(alike.front(), c) != kNoNeuron && std::ranges::all_of(alike, [&](size_t i) {
               return neuron_at(i, c) == neuron_at(alike.front(), c);
             });
    });
    if (alike.size() < 2 || known) continue;
    const auto key = static_cast<uint32_t>(keys.size());
    keys.try_emplace({~uint64_t{0}, key}, key);
    for (const size_t i : alike) result[i].groups[key] = {positions, true};
  }
  return result;
}

// `fine`: every row of the weight by itself, whatever channels it belongs to.
std::vector<Rows> Finder::rows_of(const Members& members, const std::vector<Columns>& columns,
                                  bool fine) const {
  std::vector<Rows> rows(members.size());
  for (size_t i = 0; i < members.size(); ++i) {
    const auto& [m, id] = members[i];
    const Layer& layer = role(m, id).layer;
    const Tracked& out = made_by(channels_[m], models_[m], id);
    const Matrix matrix(models_[m].graph.value(layer.weight).weight, layer.row_axis, layer.column_axis,
                        fine ? 1 : out.unit, layer.columns.unit);
    rows[i].model = m;
    for (size_t r = 0; r < matrix.rows(); ++r) {
      rows[i].roots.push_back(fine ? kNoChannel : channels_[m].root(out.channels[r]));
      rows[i].neurons.push_back(fine ? kNoNeuron : neuron(m, out.channels[r]));
    }
    for (const auto& [key, group] : columns[i].groups) {
      RowHashes& hashes = rows[i].hashes[key];
      hashes.bytes = group.positions.size() * matrix.cell_bytes();
      hashes.tentative = group.tentative;
      for (size_t r = 0; r < matrix.rows(); ++r) hashes.of_row.push_back(matrix.hash(r, group.positions));
    }
    rows[i].total_bytes = matrix.rows() * matrix.columns() * matrix.cell_bytes();
  }
  return rows;
}

void Finder::note_fine(uint32_t set, const Members& members, const Matching& fine) {
  std::map<std::vector<uint32_t>, FineSplit::Group> groups;
  std::vector<std::set<int64_t>> taken(members.size());
  for (const Matching::Members& row : fine.equal) {
    std::vector<uint32_t> who;
    for (const auto& [member, r] : row) who.push_back(member);
    FineSplit::Group& group = groups[who];
    for (const auto& [member, r] : row) {
      group.rows[members[member].first].push_back(r);
      taken[member].insert(r);
    }
  }
  FineSplit split{set, {}};
  for (auto& [who, group] : groups) split.groups.push_back(std::move(group));
  FineSplit::Group rest;
  for (size_t k = 0; k < members.size(); ++k) {
    const auto& [m, id] = members[k];
    const Layer& layer = role(m, id).layer;
    const int64_t count = models_[m].graph.value(layer.weight).weight->dims()[layer.row_axis];
    for (int64_t r = 0; r < count; ++r)
      if (!taken[k].contains(r)) rest.rows[m].push_back(r);
  }
  if (!rest.rows.empty()) split.groups.push_back(std::move(rest));
  if (split.groups.size() > 1) result_.fine.push_back(std::move(split));
}

void Finder::match_layers(uint32_t set, const Members& members) {
  if (members.size() < 2) return;
  const auto content = [&](const auto& member) {
    return classes_.class_of[member.first][index(role(member.first, member.second).layer.weight)];
  };
  // All the same content: nothing to look for inside.
  if (std::ranges::all_of(members,
                          [&](const auto& member) { return content(member) == content(members.front()); }))
    return;
  if (role(members.front().first, members.front().second).layer.weight_input == 0) seed_tables(members);
  std::vector<Columns> columns = columns_of(members);
  std::vector<Rows> rows = rows_of(members, columns, false);
  Matching matching = match_rows(rows, kWorthwhilePart);
  if (!matching.worthwhile && seed_columns(members)) {
    columns = columns_of(members);
    rows = rows_of(members, columns, false);
    matching = match_rows(rows, kWorthwhilePart);
  }
  const auto is_coarse = [&](const auto& member) {
    return made_by(channels_[member.first], models_[member.first], member.second).unit > 1;
  };
  if (std::ranges::any_of(members, is_coarse)) {
    const Matching fine = match_rows(rows_of(members, columns, true), kWorthwhilePart);
    if (fine.worthwhile && fine.saved > matching.saved + matching.saved / 16) note_fine(set, members, fine);
  }
  if (!matching.worthwhile) return;
  record(set, rows, matching);
  match_columns(members, matching);
}

// The entries of a vocabulary may stand anywhere, and so may the features: nothing before a table says which
// is which. Each table is compared with those of the models before it until something is found.
void Finder::seed_tables(const Members& members) {
  for (size_t k = 1; k < members.size(); ++k) {
    const auto& [m, id] = members[k];
    const Tracked& features = made_by(channels_[m], models_[m], id);
    const Tracked& entries = role(m, id).layer.columns;
    const Matrix mine = matrix_of(m, id);
    for (size_t tried = 0; tried < std::min(k, kMaxSeedTables); ++tried) {
      const auto& [other, other_id] = members[tried];
      const Tracked& other_features = made_by(channels_[other], models_[other], other_id);
      const Matrix theirs = matrix_of(other, other_id);
      if (theirs.cell_bytes() != mine.cell_bytes() || other_features.unit != features.unit) continue;
      const Seeds seeds = find_seeds(theirs, mine);
      const auto root = [&](uint32_t model, const Tracked& tracked, uint32_t i) {
        return std::pair(model, channels_[model].root(tracked.channels[i]));
      };
      for (const auto& [a, b] : seeds.rows) join({root(other, other_features, a), root(m, features, b)}, 0);
      for (const auto& [a, b] : seeds.columns)
        join({root(other, role(other, other_id).layer.columns, a), root(m, entries, b)}, 0);
      if (!seeds.rows.empty()) break;
    }
  }
}

// Rows that are one neuron in two models, but not equal in any columns that are known to correspond: elements
// that are equal in some of these rows tell which columns do.
bool Finder::seed_columns(const Members& members) {
  bool any = false;
  for (size_t k = 1; k < members.size(); ++k) {
    const auto& [m, id] = members[k];
    const auto& [first, first_id] = members.front();
    const Tracked &mine = made_by(channels_[m], models_[m], id),
                  &theirs = made_by(channels_[first], models_[first], first_id);
    std::map<NeuronId, uint32_t> row_of;
    for (uint32_t r = 0; r < theirs.channels.size(); ++r)
      if (const NeuronId one = neuron(first, theirs.channels[r]); one != kNoNeuron) row_of[one] = r;
    std::vector<std::pair<uint32_t, uint32_t>> pairs;  // rows of the first member, of this one
    for (uint32_t r = 0; r < mine.channels.size() && pairs.size() < kMostSeedRows; ++r)
      if (const auto found = row_of.find(neuron(m, mine.channels[r])); found != row_of.end())
        pairs.emplace_back(found->second, r);
    if (pairs.empty()) continue;
    const Matrix a = matrix_of(first, first_id), b = matrix_of(m, id);
    if (a.cell_bytes() != b.cell_bytes()) continue;
    for (const auto& [x, y] : column_seeds(a, b, pairs)) {
      const Channel from = channels_[first].root(role(first, first_id).layer.columns.channels[x]);
      const Channel to = channels_[m].root(role(m, id).layer.columns.channels[y]);
      if (result_.of_root[first][from] != kNoNeuron && result_.of_root[m][to] != kNoNeuron) continue;
      join({{first, from}, {m, to}}, 0);
      any = true;
    }
  }
  return any;
}

Matrix Finder::matrix_of(uint32_t m, NodeId id) const {
  const Layer& layer = role(m, id).layer;
  return Matrix(models_[m].graph.value(layer.weight).weight, layer.row_axis, layer.column_axis,
                made_by(channels_[m], models_[m], id).unit, layer.columns.unit);
}

// Rows that are equal say which columns correspond of which it was not known: those that are equal in these
// rows, wherever they stand.
void Finder::match_columns(const Members& members, const Matching& matching) {
  std::map<std::vector<uint32_t>, std::vector<const Matching::Members*>> by_members;
  for (const Matching::Members& row : matching.equal) {
    std::vector<uint32_t> who;
    for (const auto& [member, r] : row) who.push_back(member);
    by_members[who].push_back(&row);
  }
  for (const auto& [who, matched] : by_members) {
    std::map<Digest, std::map<uint32_t, std::vector<Channel>>> found;  // by content and model
    for (size_t k = 0; k < who.size(); ++k) {
      const auto& [m, id] = members[who[k]];
      const Tracked& columns = role(m, id).layer.columns;
      const Matrix matrix = matrix_of(m, id);
      std::vector<uint32_t> rows;
      for (const Matching::Members* row : matched) rows.push_back((*row)[k].second);
      for (uint32_t c = 0; c < columns.channels.size(); ++c)
        found[matrix.hash_column(c, rows)][m].push_back(channels_[m].root(columns.channels[c]));
    }
    std::vector<std::vector<std::pair<uint32_t, Channel>>> joins;
    for (const auto& [digest, by_member] : found) {
      // Equal columns of one model (zeros) cannot be told apart: they are taken in order.
      const size_t count = by_member.begin()->second.size();
      if (by_member.size() < 2 ||
          std::ranges::any_of(by_member, [&](const auto& one) { return one.second.size() != count; }))
        continue;
      for (size_t k = 0; k < count; ++k) {
        auto& roots = joins.emplace_back();
        for (const auto& [m, channels] : by_member) roots.emplace_back(m, channels[k]);
      }
    }
    std::ranges::sort(joins);  // in the order of the channels, so that no order is changed without need
    for (const auto& roots : joins) join(roots, 0);
  }
}

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

void Finder::record(uint32_t set, const std::vector<Rows>& rows, const Matching& matching) {
  for (const MatchedRow& matched : matching.rows) {
    std::vector<std::pair<uint32_t, Channel>> roots;
    for (const auto& [member, row] : matched.members)
      roots.emplace_back(rows[member].model, rows[member].roots[row]);
    join(roots, mix(set + 1, matched.pattern));
  }
}

}  // namespace

Neurons find_neurons(const std::vector<Model>& models, const std::vector<Channels>& channels,
                     const Alignment& alignment, const WeightClasses& classes) {
  return Finder(models, channels, alignment, classes).run();
}

}  // namespace mts::partial
