// Neurons where nothing is known of them yet: see seeds.h.
#include "partial/finder.h"
#include "partial/seeds.h"

#include <algorithm>
#include <map>

namespace mts::partial {
namespace {

// Models whose tables one is compared with.
constexpr size_t kMaxSeedTables = 8;
// Rows in which columns that correspond are looked for.
constexpr size_t kMostSeedRows = 64;

}  // namespace

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

// Nothing says which columns correspond: their producers were permuted and keep no row. Elements that are
// equal, wherever they stand, tell.
bool Finder::seed_cells(const Members& members) {
  bool any = false;
  for (size_t k = 1; k < members.size(); ++k) {
    const auto& [m, id] = members[k];
    const Tracked& mine = role(m, id).layer.columns;
    if (!role(m, id).layer.splits_columns) continue;
    const Matrix matrix = matrix_of(m, id);
    for (size_t tried = 0; tried < std::min(k, kMaxSeedTables); ++tried) {
      const auto& [other, other_id] = members[tried];
      const Tracked& theirs = role(other, other_id).layer.columns;
      const Matrix other_matrix = matrix_of(other, other_id);
      if (!role(other, other_id).layer.splits_columns || matrix.cell_bytes() != other_matrix.cell_bytes())
        continue;
      const Seeds seeds = find_seeds(other_matrix, matrix);
      for (const auto& [a, b] : seeds.columns) {
        const Channel from = channels_[other].root(theirs.channels[a]);
        const Channel to = channels_[m].root(mine.channels[b]);
        if (result_.of_root[other][from] != kNoNeuron && result_.of_root[m][to] != kNoNeuron) continue;
        join({{other, from}, {m, to}}, 0);
        any = true;
      }
      if (!seeds.columns.empty()) break;
    }
  }
  return any;
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

}  // namespace mts::partial
