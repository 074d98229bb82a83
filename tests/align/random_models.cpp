#include "tests/align/random_models.h"

#include <algorithm>

namespace mts::testing {
namespace {

constexpr const char* kUnary[] = {"Relu", "Tanh", "Sigmoid", "Exp"};
constexpr const char* kBinary[] = {"Add", "Mul", "Sub"};

}  // namespace

Recipe::Step RandomModels::step(const std::vector<int>& available) {
  // Mostly what came last, so that graphs are deep; sometimes anything, so that branches and skips occur.
  const auto pick = [&] {
    const int size = static_cast<int>(available.size());
    return available[static_cast<size_t>(below(3) == 0 ? below(size) : size - 1 - below(std::min(size, 3)))];
  };
  Recipe::Step result;
  result.id = next_id_++;
  result.op = below(10);
  if (result.op < 4) {  // MatMul with a weight
    result.operands = {pick()};
    result.weight = below(8) == 0 && next_weight_ > 1 ? 1 + below(next_weight_ - 1) : next_weight_++;
  } else if (result.op < 7) {
    result.operands = {pick()};
  } else {
    result.operands = {pick(), pick()};
  }
  return result;
}

Recipe RandomModels::recipe(int size) {
  Recipe result;
  result.inputs = 1 + below(2);
  std::vector<int> available;
  for (int i = 0; i < result.inputs; ++i) available.push_back(-1 - i);
  for (int i = 0; i < size; ++i) {
    result.steps.push_back(step(available));
    available.push_back(result.steps.back().id);
  }
  return result;
}

Recipe RandomModels::mutate(Recipe recipe, int mutations) {
  for (int i = 0; i < mutations && !recipe.steps.empty(); ++i) {
    const auto position = static_cast<size_t>(below(static_cast<int>(recipe.steps.size())));
    Recipe::Step& chosen = recipe.steps[position];
    switch (below(4)) {
      case 0: {  // insert, and let a later step read it
        std::vector<int> available;
        for (int k = 0; k < recipe.inputs; ++k) available.push_back(-1 - k);
        for (size_t k = 0; k < position; ++k) available.push_back(recipe.steps[k].id);
        const Recipe::Step fresh = step(available);
        chosen.operands.front() = fresh.id;
        recipe.steps.insert(recipe.steps.begin() + static_cast<std::ptrdiff_t>(position), fresh);
        break;
      }
      case 1: {  // remove: its readers read its first operand
        const int removed = chosen.id, replacement = chosen.operands.front();
        for (Recipe::Step& other : recipe.steps) std::ranges::replace(other.operands, removed, replacement);
        recipe.steps.erase(recipe.steps.begin() + static_cast<std::ptrdiff_t>(position));
        break;
      }
      case 2:  // other weights
        if (chosen.weight != 0) chosen.weight = next_weight_++;
        break;
      default:  // swap the weights of two steps: shared weights that cross
        for (Recipe::Step& other : recipe.steps)
          if (other.weight != 0 && chosen.weight != 0 && below(4) == 0) {
            std::swap(other.weight, chosen.weight);
            break;
          }
    }
  }
  return recipe;
}

RandomModel RandomModels::build(const Recipe& recipe, bool shuffled) {
  GraphBuilder b;
  std::vector<ValueId> inputs, values(static_cast<size_t>(next_id_), kNoValue);
  for (int i = 0; i < recipe.inputs; ++i) inputs.push_back(b.input(floats({-1, 4})));
  RandomModel result;
  result.node_of.assign(static_cast<size_t>(next_id_), kNoNode);
  std::vector<Recipe::Step> waiting = recipe.steps;
  const auto value_of = [&](int id) {
    return id < 0 ? inputs[static_cast<size_t>(-1 - id)] : values[static_cast<size_t>(id)];
  };
  while (!waiting.empty()) {
    std::vector<size_t> ready;
    for (size_t i = 0; i < waiting.size(); ++i)
      if (std::ranges::all_of(waiting[i].operands, [&](int id) { return value_of(id) != kNoValue; }))
        ready.push_back(i);
    const size_t chosen =
        shuffled ? ready[static_cast<size_t>(below(static_cast<int>(ready.size())))] : ready.front();
    const Recipe::Step step = waiting[chosen];
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(chosen));
    const ValueId x = value_of(step.operands.front());
    const auto id = static_cast<size_t>(step.id);
    if (step.weight != 0) {
      values[id] = b.op("MatMul", {x, b.constant(step.weight, {4, 4})});
    } else if (step.operands.size() == 1) {
      values[id] = b.op(kUnary[step.op % 4], {x});
    } else {
      values[id] = b.op(kBinary[step.op % 3], {x, value_of(step.operands.back())});
    }
    result.node_of[id] = b.producer(values[id]);
  }
  for (const ValueId value : values)
    if (value != kNoValue && b.graph().is_unused(value)) b.output(value);
  result.model = std::move(b.model);
  return result;
}

}  // namespace mts::testing
