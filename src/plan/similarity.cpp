#include "plan/similarity.h"

#include "plan/lane_cost.h"
#include "plan/lanes.h"

#include <algorithm>
#include <map>
#include <utility>

namespace mts {
namespace {

// A symmetric matrix over the models; of a thousand of them half of it is 4 MB.
class Matrix {
 public:
  explicit Matrix(size_t size) : cells_(size * (size + 1) / 2, 0) {}
  double& at(size_t a, size_t b) { return cells_[place(std::max(a, b), std::min(a, b))]; }
  double at(size_t a, size_t b) const { return cells_[place(std::max(a, b), std::min(a, b))]; }

 private:
  static size_t place(size_t row, size_t column) { return row * (row + 1) / 2 + column; }

  std::vector<double> cells_;
};

struct Relations {
  explicit Relations(size_t models) : similarity(models), common(models), own(models, 0) {}
  Matrix similarity;        // nanoseconds, those with equal weights twice
  Matrix common;            // nanoseconds in corresponding nodes
  std::vector<double> own;  // nanoseconds of the whole model
};

Relations relations_of(const Program& program, const CostModel& cost) {
  Relations relations(program.models->size());
  struct Part {
    uint32_t model;
    double cost;
    size_t weights;  // equal weights, equal numbers
  };
  for (const Column& column : program.columns) {
    std::vector<Part> parts;
    std::map<std::vector<Number>, size_t> kinds;
    for (const Member& member : column.members) {
      std::vector<Number> weights;
      for (const Number operand : member.operands)
        if (operand != kNoNumber && program.weights[operand] != nullptr) weights.push_back(operand);
      const size_t kind = kinds.try_emplace(std::move(weights), kinds.size()).first->second;
      const auto time = static_cast<double>(member_cost(program, member, cost));
      for (const auto& [model, node] : member.origins) {
        parts.push_back({model, time, kind});
        relations.own[model] += time;
      }
    }
    for (size_t i = 0; i < parts.size(); ++i)
      for (size_t j = i + 1; j < parts.size(); ++j) {
        const double both = std::min(parts[i].cost, parts[j].cost);
        relations.common.at(parts[i].model, parts[j].model) += both;
        relations.similarity.at(parts[i].model, parts[j].model) +=
            parts[i].weights == parts[j].weights ? 2 * both : both;
      }
  }
  return relations;
}

// Average linkage; of equally similar pairs the first. Each cluster knows the best of those behind it, which
// mostly stays so when two others are merged: about the square of the number of models in all.
std::vector<uint32_t> leaves_of_dendrogram(Matrix similarity, size_t count) {
  std::vector<std::vector<uint32_t>> clusters(count);
  for (uint32_t m = 0; m < count; ++m) clusters[m] = {m};
  std::vector<size_t> alive(count);
  for (size_t i = 0; i < count; ++i) alive[i] = i;
  std::vector<size_t> best(count, 0);  // of the clusters behind it, the first of the most similar ones
  const auto find_best = [&](size_t place) {
    size_t& found = best[alive[place]];
    found = alive[place];
    for (size_t b = place + 1; b < alive.size(); ++b)
      if (found == alive[place] || similarity.at(alive[place], alive[b]) > similarity.at(alive[place], found))
        found = alive[b];
  };
  for (size_t place = 0; place < count; ++place) find_best(place);
  while (alive.size() > 1) {
    size_t best_a = 0;
    for (size_t a = 1; a + 1 < alive.size(); ++a)
      if (similarity.at(alive[a], best[alive[a]]) > similarity.at(alive[best_a], best[alive[best_a]]))
        best_a = a;
    const size_t into = alive[best_a], from = best[into];
    const auto a = static_cast<double>(clusters[into].size()), b = static_cast<double>(clusters[from].size());
    for (const size_t other : alive)
      if (other != into && other != from)
        similarity.at(into, other) =
            (a * similarity.at(into, other) + b * similarity.at(from, other)) / (a + b);
    clusters[into].insert(clusters[into].end(), clusters[from].begin(), clusters[from].end());
    alive.erase(std::ranges::find(alive, from));
    for (size_t place = 0; place < alive.size() && alive[place] < from; ++place) {
      const size_t one = alive[place];
      const bool changed = one == into || best[one] == into || best[one] == from;
      if (changed) {
        find_best(place);
      } else if (one < into) {
        const double now = similarity.at(one, into), known = similarity.at(one, best[one]);
        if (now > known || (now == known && into < best[one])) best[one] = into;
      }
    }
  }
  return count == 0 ? std::vector<uint32_t>{} : clusters[alive.front()];
}

}  // namespace

SimilarityOrder order_by_similarity(const Program& program, const CostModel& cost) {
  Relations relations = relations_of(program, cost);
  SimilarityOrder order;
  order.models = leaves_of_dendrogram(std::move(relations.similarity), program.models->size());
  for (size_t i = 0; i < order.models.size(); ++i) {
    const double smaller =
        i == 0 ? 0 : std::min(relations.own[order.models[i - 1]], relations.own[order.models[i]]);
    order.related.push_back(smaller > 0 ? relations.common.at(order.models[i - 1], order.models[i]) / smaller
                                        : 1);
  }
  return order;
}

}  // namespace mts
