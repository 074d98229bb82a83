// Matrices whose rows are partly equal, as one that holds every distinct row once, and maps that say where in
// it the rows of each are.
#pragma once

#include <mts/weight.h>

#include <cstdint>
#include <vector>

namespace mts::partial {

struct MergedRows {
  WeightPtr table;
  std::vector<std::vector<int64_t>> places;  // by member, by row of the member
  size_t byte_size() const;                  // with the maps that are needed
};
// Matrices of equal width and type. All rows of the first one stay where they are.
MergedRows merge_rows(const std::vector<WeightPtr>& members);

// The rows of a member are the first ones of the merged table: no map is needed.
bool is_identity(const std::vector<int64_t>& places);
// The narrowest type that can tell rows of the merged table apart and is no type of weights: 2 bytes an entry
// up to 65,536 rows, else 4, which Gather takes for indices as they are.
WeightPtr map_of(const std::vector<int64_t>& places, int64_t rows);

// Members that have rows in common, transitively, in groups of at least two: one over `worthwhile_part` of
// the rows of the smaller one.
std::vector<std::vector<size_t>> groups_that_share(const std::vector<WeightPtr>& matrices,
                                                   int64_t worthwhile_part);

}  // namespace mts::partial
