// Neurons where nothing is known of them yet: see seeds.h.
#include "partial/finder.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace mts::partial {
namespace {

// Rows in which columns that correspond are looked for.
constexpr size_t kMostSeedRows = 64;

}  // namespace

// Compares each member with those before it, the first of them at most, until `enough` is found. Nothing is
// joined meanwhile, so the members are independent of each other.
std::vector<Finder::Compared> Finder::compare_members(const Members& members,
                                                      const std::function<bool(size_t, size_t)>& comparable,
                                                      const std::function<bool(const Seeds&)>& enough) const {
  std::vector<Compared> result(members.size());
  const size_t first = std::min(members.size() - 1, kMostCompared);
  std::vector<std::vector<bool>> wanted(members.size(), std::vector<bool>(first, false));
  bool any = false;
  for (size_t k = 1; k < members.size(); ++k)
    for (size_t other = 0; other < std::min(k, first); ++other)
      if (comparable(k, other)) wanted[k][other] = any = true;
  if (!any) return result;
  const auto matrix = [&](size_t k) {
    return std::make_shared<const Matrix>(matrix_of(members[k].first, members[k].second));
  };
  std::vector<std::vector<Seeds>> found =
      compare_matrices(members.size(), matrix, wanted, threads_for_matrices(members));
  for (size_t k = 1; k < members.size(); ++k)
    for (size_t other = 0; other < first; ++other) {
      if (!wanted[k][other]) continue;
      result[k].emplace_back(other, std::move(found[k][other]));
      if (enough(result[k].back().second)) break;
    }
  return result;
}

// The entries of a vocabulary may stand anywhere, and so may the features: nothing before a table says which
// is which. Each table is compared with those of the models before it until something is found.
void Finder::seed_tables(const Members& members) {
  const auto features_of = [&](size_t k) -> const Tracked& {
    return made_by(channels_[members[k].first], models_[members[k].first], members[k].second);
  };
  const std::vector<Compared> compared = compare_members(
      members, [&](size_t k, size_t other) { return features_of(other).unit == features_of(k).unit; },
      [](const Seeds& seeds) { return !seeds.rows.empty(); });
  const auto root = [&](size_t k, const Tracked& tracked, uint32_t i) {
    const uint32_t m = members[k].first;
    return std::pair(m, channels_[m].root(tracked.channels[i]));
  };
  const auto entries_of = [&](size_t k) -> const Tracked& {
    return role(members[k].first, members[k].second).layer.columns;
  };
  for (size_t k = 1; k < members.size(); ++k)
    for (const auto& [other, seeds] : compared[k]) {
      for (const auto& [a, b] : seeds.rows)
        join({root(other, features_of(other), a), root(k, features_of(k), b)}, 0);
      for (const auto& [a, b] : seeds.columns)
        join({root(other, entries_of(other), a), root(k, entries_of(k), b)}, 0);
    }
}

// Nothing says which columns correspond: their producers were permuted and keep no row. Elements that are
// equal, wherever they stand, tell.
bool Finder::seed_cells(const Members& members) {
  const auto layer_of = [&](size_t k) -> const Layer& {
    return role(members[k].first, members[k].second).layer;
  };
  const std::vector<Compared> compared = compare_members(
      members,
      [&](size_t k, size_t other) { return layer_of(k).splits_columns && layer_of(other).splits_columns; },
      [](const Seeds& seeds) { return !seeds.columns.empty(); });
  bool any = false;
  for (size_t k = 1; k < members.size(); ++k)
    for (const auto& [place, seeds] : compared[k]) {
      const uint32_t m = members[k].first, other = members[place].first;
      for (const auto& [a, b] : seeds.columns) {
        const Channel from = channels_[other].root(layer_of(place).columns.channels[a]);
        const Channel to = channels_[m].root(layer_of(k).columns.channels[b]);
        if (result_.of_root[other][from] != kNoNeuron && result_.of_root[m][to] != kNoNeuron) continue;
        join({{other, from}, {m, to}}, 0);
        any = true;
      }
    }
  return any;
}

// Rows that are one neuron in two models, but not equal in any columns that are known to correspond: elements
// that are equal in some of these rows tell which columns do.
bool Finder::seed_columns(const Members& members) {
  bool any = false;
  std::optional<Matrix> a;  // of the first member
  std::optional<ColumnSeeds> columns;
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
    if (!a) columns.emplace(a.emplace(matrix_of(first, first_id)));
    const Matrix b = matrix_of(m, id);
    if (a->cell_bytes() != b.cell_bytes()) continue;
    for (const auto& [x, y] : columns->compare(b, pairs)) {
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
