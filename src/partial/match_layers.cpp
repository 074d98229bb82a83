// Neurons by the rows of layers, and by the columns of rows that are equal.
#include "base/parallel.h"
#include "partial/finder.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace mts::partial {
namespace {

// What a split has to save: this part of a weight.
constexpr size_t kWorthwhilePart = 128;
// Bytes of matrices that are copied at a time, beside one of any size.
constexpr uint64_t kCopied = uint64_t{32} << 20;

// Whether some member has no row in common with any other, as far as is known.
bool shares_nothing_somewhere(size_t members, const Matching& matching) {
  std::set<uint32_t> sharing;
  for (const Matching::Members& row : matching.equal)
    for (const auto& [member, r] : row) sharing.insert(member);
  return sharing.size() < members;
}

}  // namespace

// The columns of every member, in groups that are shared in the same way, plus, where not all is known,
// one group of all columns by position for the members of equal width.
std::vector<Columns> Finder::columns_of(const Members& members) const {
  std::vector<Columns> result(members.size());
  std::map<std::vector<uint64_t>, uint32_t> keys;
  std::map<NeuronId, uint32_t> key_of;  // a key takes a look at every model
  std::map<std::pair<size_t, int64_t>, std::vector<size_t>> by_width;
  for (size_t i = 0; i < members.size(); ++i) {
    const uint32_t m = members[i].first;
    const Tracked& columns = role(m, members[i].second).layer.columns;
    by_width[{columns.channels.size(), columns.unit}].push_back(i);
    std::map<uint32_t, std::vector<std::pair<NeuronId, uint32_t>>> groups;
    for (uint32_t c = 0; c < columns.channels.size(); ++c) {
      const NeuronId id = neuron(m, columns.channels[c]);
      if (id == kNoNeuron) continue;
      const auto [known, fresh] = key_of.try_emplace(id);
      if (fresh) {
        std::vector<uint64_t> key = {result_.all[id].signature};
        for (uint32_t other = 0; other < models_.size(); ++other)
          if (result_.all[id].channels[other] != kNoChannel) key.push_back(other);
        known->second = keys.try_emplace(std::move(key), static_cast<uint32_t>(keys.size())).first->second;
      }
      groups[known->second].emplace_back(id, c);
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
  for_each_parallel(members.size(), threads_for_matrices(members), [&](size_t i) {
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
  });
  return rows;
}

// In how many threads the members' matrices can be looked at, each holding one of them: copies take memory.
size_t Finder::threads_for_matrices(const Members& members) const {
  uint64_t bytes = 0, largest = 1;
  for (const auto& [m, id] : members) {
    const Layer& layer = role(m, id).layer;
    const Weight& weight = *models_[m].graph.value(layer.weight).weight;
    bytes += weight.byte_size();
    largest = std::max<uint64_t>(largest, Matrix::copied_bytes(weight, layer.row_axis, layer.column_axis));
  }
  return std::min<uint64_t>(threads_for(bytes), 1 + kCopied / largest);
}

Matrix Finder::matrix_of(uint32_t m, NodeId id) const {
  const Layer& layer = role(m, id).layer;
  return Matrix(models_[m].graph.value(layer.weight).weight, layer.row_axis, layer.column_axis,
                made_by(channels_[m], models_[m], id).unit, layer.columns.unit);
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
  if (matching.worthwhile ? shares_nothing_somewhere(members.size(), matching) && seed_cells(members)
                          : seed_columns(members) || seed_cells(members)) {
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

}  // namespace mts::partial
