// The search behind find_neurons: what is known so far, and the ways to learn more.
#pragma once

#include "partial/matrix.h"
#include "partial/neurons.h"
#include "partial/rows.h"
#include "partial/seeds.h"

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace mts::partial {

class Finder {
 public:
  Finder(const std::vector<Model>& models, const std::vector<Channels>& channels, const Alignment& alignment,
         const WeightClasses& classes)
      : models_(models), channels_(channels), alignment_(alignment), classes_(classes) {
    for (const Channels& one : channels) result_.of_root.emplace_back(one.roots.size(), kNoNeuron);
  }
  Neurons run();

 private:
  // Corresponding nodes: model, node.
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
  bool seed_cells(const Members& members);
  std::vector<Rows> rows_of(const Members& members, const std::vector<Columns>& columns, bool fine) const;
  void note_fine(uint32_t set, const Members& members, const Matching& fine);
  // What each member is compared with, its seeds last: pairs (place of the other member, seeds).
  using Compared = std::vector<std::pair<size_t, Seeds>>;
  std::vector<Compared> compare_members(const Members& members,
                                        const std::function<bool(size_t, size_t)>& comparable,
                                        const std::function<bool(const Seeds&)>& enough) const;
  Matrix matrix_of(uint32_t m, NodeId id) const;
  size_t threads_for_matrices(const Members& members) const;
  std::vector<Matrix> parameters_of(uint32_t m, NodeId id) const;
  void record(uint32_t set, const std::vector<Rows>& rows, const Matching& matching);
  void join(const std::vector<std::pair<uint32_t, Channel>>& roots, uint64_t signature);

  const std::vector<Model>& models_;
  const std::vector<Channels>& channels_;
  const Alignment& alignment_;
  const WeightClasses& classes_;
  Neurons result_;
};

// The channels of what a node makes.
const Tracked& made_by(const Channels& channels, const Model& model, NodeId id);

}  // namespace mts::partial
