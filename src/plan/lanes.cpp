#include "plan/lanes.h"

#include "plan/lane_cost.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

namespace mts {
namespace {

// Content that is smaller than this is put together at run time from its stored parts rather than keeping
// nodes apart.
constexpr size_t kAssembledBytes = 16 * 1024;

// A weight of more than one element: not the parameter of an operator, like Clip's limits.
bool is_weight_tensor(const Weight& weight) {
  return is_weight(weight.dtype()) && !weight.dims().empty() && weight.element_count() > 1;
}

// Members by a key, in order of first occurrence.
template <class Key>
std::vector<std::vector<uint32_t>> partition(const Column& column, Key key) {
  std::map<decltype(key(column.members.front())), size_t> place;
  std::vector<std::vector<uint32_t>> parts;
  for (uint32_t m = 0; m < column.members.size(); ++m) {
    const auto [it, added] = place.try_emplace(key(column.members[m]), parts.size());
    if (added) parts.emplace_back();
    parts[it->second].push_back(m);
  }
  return parts;
}

// By operand, where members read different values: the placements in which these are at hand, each once.
std::vector<std::vector<Placement>> placements_at_hand(const Column& column,
                                                       std::span<const uint32_t> members,
                                                       const Candidates& candidates) {
  std::vector<std::vector<Placement>> result;
  const std::vector<Number>& first = column.members[members.front()].operands;
  for (size_t i = 0; i < first.size(); ++i) {
    std::vector<Placement>& all = result.emplace_back();
    const Placement* last = nullptr;  // members mostly read what one column makes
    for (size_t k = 1; k < members.size(); ++k) {
      const std::vector<Number>& operands = column.members[members[k]].operands;
      if (i >= operands.size() || operands[i] == first[i]) continue;
      for (const Number number : {first[i], operands[i]}) {
        if (number == kNoNumber) continue;
        const std::span<const Placement> some = candidates(number);
        if (some.data() == last) continue;
        last = some.data();
        for (const Placement& placement : some)
          if (std::ranges::find(all, placement) == all.end()) all.push_back(placement);
      }
    }
  }
  return result;
}

// Neighbours, `size` at a time.
std::vector<std::vector<uint32_t>> in_chunks(size_t members, size_t size) {
  std::vector<std::vector<uint32_t>> chunks;
  for (uint32_t m = 0; m < members; ++m) {
    if (m % size == 0) chunks.emplace_back();
    chunks.back().push_back(m);
  }
  return chunks;
}

}  // namespace

Lane make_lane(const Program& program, const Column& column, std::span<const uint32_t> members,
               bool distinct_weights) {
  Lane lane;
  const Member& first = column.members[members.front()];
  const Model& model = (*program.models)[first.model];
  lane.opset = model.opset();
  size_t inputs = 0, outputs = 0;
  for (const uint32_t m : members) {
    lane.nodes.push_back(&program.node(column.members[m]));
    inputs = std::max(inputs, column.members[m].operands.size());
    outputs = std::max(outputs, column.members[m].outputs.size());
  }
  const auto at = [](const std::vector<Number>& numbers, size_t i) {
    return i < numbers.size() ? numbers[i] : kNoNumber;
  };
  for (size_t i = 0; i < inputs; ++i) {
    Operand operand;
    bool equal = true, constant = true, absent = false, present = false;
    const Number number = at(first.operands, i);
    for (const uint32_t m : members) {
      const Number other = at(column.members[m].operands, i);
      equal &= other == number;
      (other == kNoNumber ? absent : present) = true;
      if (other != kNoNumber) constant &= program.weights[other] != nullptr;
    }
    if (!present) {
      lane.operands.push_back(std::move(operand));
      continue;
    }
    operand.constant = constant;
    if (equal && distinct_weights && constant && is_weight_tensor(*program.weights[number])) equal = false;
    operand.kind = equal ? Operand::Kind::kOnce : Operand::Kind::kMapped;
    for (const uint32_t m : members) {
      const Number other = at(column.members[m].operands, i);
      operand.types.push_back(other == kNoNumber ? Type{}
                                                 : program.types[other]);  // no rank: the rules refuse it
      if (constant && !absent) operand.weights.push_back(program.weights[other]);
      if (equal) break;
    }
    if (absent) operand.types.front() = Type{};
    lane.operands.push_back(std::move(operand));
  }
  for (size_t i = 0; i < outputs; ++i) {
    std::vector<Type> types;
    bool used = false;
    for (const uint32_t m : members) {
      const Number number = at(column.members[m].outputs, i);
      used |= number != kNoNumber && program.use_counts[number] > 0;
      types.push_back(number == kNoNumber ? Type{} : program.types[number]);
    }
    if (!used) types.clear();
    lane.outputs.push_back(std::move(types));
  }
  return lane;
}

WeightUse::WeightUse(const Program& program, bool allow_duplicates)
    : program_(program), allow_duplicates_(allow_duplicates) {}

bool WeightUse::may_concatenate(std::span<const Number> numbers) const {
  if (allow_duplicates_) return true;
  size_t bytes = 0;
  bool several_places = false;
  std::set<Number> seen;
  for (const Number number : numbers) {
    bytes += program_.weights[number]->byte_size();
    several_places |= program_.use_counts[number] > 1 || !seen.insert(number).second;
  }
  return !several_places || bytes <= kAssembledBytes;
}

// Nothing is saved on values without elements, and Reshape reads a 0 as "the same as before".
bool has_elements(const std::vector<Type>& types) {
  return std::ranges::none_of(types, [](const Type& type) {
    return type.has_rank() && std::ranges::find(*type.shape, Dim::known(0)) != type.shape->end();
  });
}

bool is_quantisation(const Node& node) { return node.is("DequantizeLinear") || node.is("QuantizeLinear"); }

// Whether these nodes, QuantizeLinear or DequantizeLinear, have scales or zero points of their own. Those of
// weights may, a channel each: the models' channels then lie side by side.
bool scales_differ(const Program& program, std::span<const Member* const> nodes) {
  if (!std::ranges::all_of(nodes, [&](const Member* m) { return is_quantisation(program.node(*m)); }))
    return false;
  const auto operand = [](const Member& m, size_t i) {
    return i < m.operands.size() ? m.operands[i] : kNoNumber;
  };
  const Member& first = *nodes.front();
  if (operand(first, 0) == kNoNumber || operand(first, 1) == kNoNumber) return false;
  const bool constant = program.weights[operand(first, 0)] != nullptr;
  if (constant && CostModel::element_count(program.types[operand(first, 1)]) > 1) return false;
  return std::ranges::any_of(nodes, [&](const Member* m) {
    return operand(*m, 1) != operand(first, 1) || operand(*m, 2) != operand(first, 2);
  });
}

// Engines, the bundled executor among them, run what stands between DequantizeLinear and QuantizeLinear in
// integers, with one scale for a tensor. With a scale per model they would compute it in floats.
bool has_scales_of_its_own(const Program& program, const Column& column, std::span<const uint32_t> members) {
  std::vector<const Member*> nodes;
  for (const uint32_t m : members) nodes.push_back(&column.members[m]);
  if (scales_differ(program, nodes)) return true;
  for (size_t i = 0; i < nodes.front()->operands.size(); ++i) {
    std::vector<const Member*> producers;
    for (const Member* node : nodes) {
      const Number number = i < node->operands.size() ? node->operands[i] : kNoNumber;
      if (number == kNoNumber || !program.sources[number].produced()) break;
      const ValueSource& source = program.sources[number];
      producers.push_back(&program.columns[source.column].members[source.member]);
    }
    if (producers.size() == nodes.size() && program.node(*producers.front()).is("DequantizeLinear") &&
        scales_differ(program, producers))
      return true;
  }
  return false;
}

Proposal propose_lane(const Program& program, const Column& column, std::span<const uint32_t> members,
                      const WeightUse& weights, bool distinct_weights,
                      const std::function<std::vector<Placement>(size_t)>& candidates) {
  Lane lane = make_lane(program, column, members, distinct_weights);
  if (!std::ranges::all_of(lane.operands, [](const Operand& o) { return has_elements(o.types); }) ||
      !std::ranges::all_of(lane.outputs, has_elements))
    return Proposal::refuse("a value has no elements");
  if (!distinct_weights && has_scales_of_its_own(program, column, members))
    return Proposal::refuse(
        "its tensors have scales of their own: engines compute it in integers only apart");
  for (size_t i = 0; i < lane.operands.size(); ++i) {
    Operand& operand = lane.operands[i];
    if (!operand.mapped()) continue;
    std::vector<Number> numbers;
    for (const uint32_t m : members) {
      const auto& operands = column.members[m].operands;
      numbers.push_back(i < operands.size() ? operands[i] : kNoNumber);
    }
    if (std::ranges::find(numbers, kNoNumber) != numbers.end())
      return Proposal::refuse("an optional operand is there in some models only");
    if (!operand.constant) {
      operand.candidates = candidates(i);
    } else if (!weights.may_concatenate(numbers)) {
      return Proposal::refuse(
          "a weight is also needed elsewhere: putting it into one with others would store it twice");
    }
  }
  return propose(lane);
}

std::vector<LanePlan> apart_lanes(std::span<const uint32_t> members) {
  std::vector<LanePlan> lanes;
  for (const uint32_t m : members) lanes.push_back({{m}, {}});
  return lanes;
}

std::vector<uint32_t> everyone(const Column& column) {
  std::vector<uint32_t> members(column.members.size());
  std::iota(members.begin(), members.end(), 0U);
  return members;
}

Choice make_choice(const Program& program, const Column& column, const CostModel& cost,
                   std::vector<LanePlan> lanes, Strategy strategy) {
  Choice choice{.lanes = std::move(lanes), .strategy = strategy, .cost = 0, .lane_of = {}};
  choice.lane_of.resize(column.members.size());
  std::vector<std::pair<Nanoseconds, double>> steps;
  for (uint32_t l = 0; l < choice.lanes.size(); ++l) {
    const LanePlan& lane = choice.lanes[l];
    steps.emplace_back(lane_cost(program, column, cost, lane), cost.occupancy(work_of(column, lane)));
    for (const uint32_t m : lane.members) choice.lane_of[m] = l;
  }
  choice.cost = cost.side_by_side(steps);
  return choice;
}

ColumnChoices enumerate_choices(const Program& program, const Column& column, const CostModel& cost,
                                const PlanOptions& options, const WeightUse& weights,
                                const Candidates& candidates, KnownProposals& known) {
  using Mode = StitchOptions::Strategy;
  ColumnChoices result;
  const bool netfuse = options.strategy == Mode::kNetfuse;
  const auto propose_for = [&](std::span<const uint32_t> members) {
    std::vector<std::vector<Placement>> at_hand = placements_at_hand(column, members, candidates);
    for (const KnownProposals::Known& one : known.all)
      if (std::ranges::equal(one.members, members) && one.candidates == at_hand) return one.proposal;
    Proposal proposal = propose_lane(program, column, members, weights, netfuse,
                                     [&](size_t position) { return at_hand[position]; });
    known.all.push_back({{members.begin(), members.end()}, std::move(at_hand), proposal});
    return proposal;
  };
  const auto add_choice = [&](std::vector<LanePlan> lanes, Strategy strategy) {
    result.choices.push_back(make_choice(program, column, cost, std::move(lanes), strategy));
  };
  if (column.members.size() > 1 && options.strategy != Mode::kConcat) {
    const auto all = everyone(column);
    Proposal whole = propose_for(all);
    result.refusal = whole.options.empty() ? whole.refusal : std::string();
    for (Option& option : whole.options) {
      const Strategy strategy = option.strategy;
      add_choice({{all, std::move(option)}}, strategy);
    }
    // Weight classes inside the column: members with the same constants run as one, the classes by
    // themselves; and members with the same activations fan out.
    const auto constants = [&](const Member& member) {
      std::vector<Number> key;
      for (const Number operand : member.operands)
        if (operand != kNoNumber && program.weights[operand] != nullptr) key.push_back(operand);
      return key;
    };
    const auto activations = [&](const Member& member) {
      std::vector<Number> key;
      for (const Number operand : member.operands)
        if (operand != kNoNumber && program.weights[operand] == nullptr) key.push_back(operand);
      return key;
    };
    std::set<std::vector<std::vector<uint32_t>>> tried;
    const auto add_division = [&](const std::vector<std::vector<uint32_t>>& parts,
                                  std::optional<Strategy> name) {
      if (parts.size() <= 1 || parts.size() == column.members.size() || !tried.insert(parts).second) return;
      std::vector<Proposal> proposals;
      size_t most = 0;
      for (const auto& part : parts) {
        proposals.push_back(part.size() > 1 ? propose_for(part) : Proposal{});
        most = std::max(most, proposals.back().options.size());
      }
      for (size_t k = 0; k < most; ++k) {  // the k-th option of every part, its last one where it has fewer
        std::vector<LanePlan> lanes;
        for (size_t p = 0; p < parts.size(); ++p) {
          if (!proposals[p].options.empty()) {
            lanes.push_back({parts[p], proposals[p].options[std::min(k, proposals[p].options.size() - 1)]});
          } else {
            for (const uint32_t m : parts[p]) lanes.push_back({{m}, {}});
          }
        }
        const Strategy strategy = name ? *name : lanes.front().option.strategy;
        add_choice(std::move(lanes), strategy);
      }
    };
    add_division(partition(column, constants), Strategy::kPartition);
    add_division(partition(column, activations), Strategy::kPartition);
    // A few members at a time, where all of them would leave a cache that those stay in.
    if (options.strategy == Mode::kAuto && !result.choices.empty()) {
      double moved = 0;
      for (const Member& member : column.members) moved += member.work.activation_bytes;
      const size_t count = column.members.size();
      for (size_t size = 2; size < count; size *= 4)
        if (cost.cache_level(moved / static_cast<double>(count) * static_cast<double>(size)) <
            cost.cache_level(moved))
          add_division(in_chunks(count, size), std::nullopt);
    }
  }
  const bool shared_by_all = column.members.size() == 1 && column.members.front().origins.size() > 1;
  add_choice(apart_lanes(everyone(column)), shared_by_all ? Strategy::kOnce : Strategy::kApart);
  return result;
}

}  // namespace mts
