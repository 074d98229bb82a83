// Rows of corresponding weights that are equal, wherever they stand.
#pragma once

#include "partial/neurons.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace mts::partial {

// The columns of one weight that are shared in the same way; keys mean the same in all members.
struct ColumnGroup {
  std::vector<uint32_t> positions;  // in an order that is the same in all members
  bool tentative = false;           // nothing but their position says that they correspond
};
struct Columns {
  std::map<uint32_t, ColumnGroup> groups;
};

struct RowHashes {
  std::vector<Digest> of_row;
  size_t bytes = 0;  // of one row
  bool tentative = false;
};
// One member of a set of corresponding weights.
struct Rows {
  uint32_t model = 0;
  std::vector<Channel> roots;            // by row
  std::vector<NeuronId> neurons;         // by row: what is known already
  std::map<uint32_t, RowHashes> hashes;  // by column group
  size_t total_bytes = 0;
};

// Rows of different members that are one neuron.
struct MatchedRow {
  std::vector<std::pair<uint32_t, uint32_t>> members;  // member, row; at least two, or a known neuron
  uint64_t pattern = 0;  // which members are equal in which column groups: equal patterns, equal sharing
};
struct Matching {
  using Members = std::vector<std::pair<uint32_t, uint32_t>>;  // member, row
  std::vector<MatchedRow> rows;
  std::vector<Members> equal;  // rows of at least two members that hold the same where they can be compared
  size_t saved = 0;            // bytes that are equal
  bool worthwhile = false;     // these are enough to split the weights for
};

// Rows that are known to be one neuron stay so; others, and neurons of other models, join the first one that
// agrees in at least half of the bytes that can be compared, the one at their own position preferred.
// `worthwhile_part`: of the largest member's bytes (one over this) has to be saved.
Matching match_rows(const std::vector<Rows>& members, size_t worthwhile_part);

}  // namespace mts::partial
