// Which models are worth running together.
//
// In: a program. Out: the models in an order in which similar ones are neighbours (the leaves of a dendrogram
// by average linkage), and how much of its work each shares with the one before. The similarity of two models
// is the predicted time of the nodes that both have and that correspond, those with equal weights counted
// twice: they would also read those weights once. Models that are all alike keep their order.
#pragma once

#include "plan/cost.h"
#include "plan/program.h"

#include <cstdint>
#include <vector>

namespace mts {

struct SimilarityOrder {
  std::vector<uint32_t> models;
  // [i]: of the smaller of models[i - 1] and models[i], the share of its time in corresponding nodes; 1 at 0.
  std::vector<double> related;
};
SimilarityOrder order_by_similarity(const Program& program, const CostModel& cost);

}  // namespace mts
