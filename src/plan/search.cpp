// Chooses one choice a column. Forward: the cheapest way to reach every choice, a producer's cost shared
// among its readers. Backward: every column takes the choice that is best given what its readers took. Then
// single columns are changed as long as that helps. Exact on chains, good on branches, deterministic.
#include "plan/floor.h"
#include "plan/lane_cost.h"
#include "plan/lanes.h"
#include "plan/memory.h"
#include "plan/schedule.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>

namespace mts {
namespace {

constexpr size_t kMaxChoices = 14;
constexpr size_t kMaxCandidates = 8;
constexpr int kMaxSweeps = 4;

// What one operand of one lane wants of one producer when it is not one value as it is.
struct SetWant {
  std::vector<Number> numbers;  // per member of the lane
  Form form;
  uint32_t inside = 0;  // steps from the reader on that run inside its producer, unless a change of placement
                        // comes between
  double bytes = 0;     // of the numbers
  // The same output of members of one column, all of one size; and of all members of that column in their
  // order. With many models most are, and need no look at each.
  bool alike = false, everyone = false;
};

// There is one for each operand of each member of each choice, so they are small.
struct Want {
  static constexpr uint32_t kNoSet = 0xffffffffu;
  uint32_t producer = 0;  // a column
  Number number = 0;      // one value as it is ...
  uint32_t set = kNoSet;  // ... or this one of Wants::sets
  uint32_t inside = 0;    // as of a SetWant
};

// All wants of a choice, operand by operand, and what it costs to join those that come from several places.
struct Wants {
  std::vector<Want> wants;
  std::vector<SetWant> sets;
  Nanoseconds joins = 0;
};

class Search {
 public:
  // `known`: by column; searches of one program that differ only in the strategy may share it.
  Search(const Program& program, const CostModel& cost, const PlanOptions& options,
         std::vector<KnownProposals>& known)
      : program_(program),
        sequential_(cost.with_weights(program.stored_weights)),
        cost_(options.strategy == StitchOptions::Strategy::kNetfuse ? sequential_ : cost),
        options_(options),
        weights_(program, options.allow_duplicates),
        known_(known) {
    known_.resize(program.columns.size());
  }

  Plan run();
  // Of lanes that are given.
  Nanoseconds price(const std::vector<ColumnPlan>& columns);

 private:
  using State = size_t;
  // The cost of bringing numbers of one column into the wanted form, when that column runs by `choice`.
  Nanoseconds convert(const Choice& choice, const Wants& wants, const Want& want) const;
  Nanoseconds convert_one(const Choice& choice, Number number, uint32_t inside) const;
  Nanoseconds convert_set(const Choice& choice, const SetWant& want) const;
  Nanoseconds single(const Choice& choice, Number number) const;
  uint32_t steps_inside(const Member& member) const;
  // What would have run inside another step becomes so many steps that read and write everything.
  Nanoseconds own_steps(double bytes, uint32_t steps) const { return steps * cost_.copy(bytes, 1); }
  // The sum of `cost` over the numbers, which is one of single() and convert_one().
  template <class Cost>
  Nanoseconds sum_over(const Choice& choice, const SetWant& want, Cost cost) const;
  void note_alike(SetWant& want) const;
  Wants wants_of(const Column& column, const Choice& choice) const;
  // Splits a want into what depends on one producer's choice each; the rest of its cost goes to `joins`.
  void add_set(SetWant want, Wants& wants) const;
  void enumerate(uint32_t column);
  void forward(uint32_t column);
  Nanoseconds incoming(uint32_t column, State state) const;  // under the decided choices
  Nanoseconds outgoing(uint32_t column, const Choice& choice) const;
  Nanoseconds output_cost(uint32_t column, const Choice& choice) const;
  void decide();
  void improve();
  Nanoseconds total() const;
  void connect();  // who reads what
  void explain(std::vector<ColumnPlan>& plans) const;
  Alternative alternative(uint32_t column, const Choice& choice) const;

  const Program& program_;
  const CostModel sequential_;  // each model with its own copy of what is shared
  const CostModel cost_;
  const PlanOptions& options_;
  WeightUse weights_;
  std::vector<KnownProposals>& known_;
  std::vector<ColumnChoices> choices_;
  std::vector<std::vector<Wants>> wants_;        // [column][choice]
  std::vector<std::vector<Nanoseconds>> reach_;  // [column][choice]
  std::vector<std::vector<std::vector<Placement>>>
      at_hand_;                                 // [column][output]: placements of its fused choices
  std::vector<std::vector<uint32_t>> readers_;  // [column]
  std::vector<uint32_t> fan_out_;
  std::vector<State> decided_;
  std::vector<bool> is_model_output_;     // [number]
  std::vector<const Member*> reader_of_;  // [number], one of them
  mutable struct {
    double bytes = -1;
    Nanoseconds size = 0, cost = 0;
  } single_;  // the last one
  Nanoseconds apart_cost_ = 0;
  Nanoseconds sequential_cost_ = 0;
};

// Predictions are not better than this part (one over it; see tests/results): among plans that are as close,
// the one with the fewest places where something is joined and split.
constexpr Nanoseconds kClosePart = 20;
// Everything stitched may be predicted to be slower than everything apart: what the model does not know of is
// paid once a step. By 5 % where weights are shared (what was predicted to lose 4 to 5 % gained 4 %; what
// lost was predicted to lose 6 % and more), by 1 % where each member keeps its own (ONNX Runtime lost 6 %
// where 1.5 % were predicted; eight VGGs gain 9 % where nothing was). See tests/results, MTZ and the sweeps.
constexpr double kSlowerShared = 0.05, kSlowerGrouped = 0.01;
// A mixture has to be faster than everything apart by this part: 16 BERTs of 256 tokens, predicted to gain 2
// %, lost 10 %.
constexpr Nanoseconds kHardlyFaster = 33;

const LanePlan& lane_with(const Choice& choice, uint32_t member) {
  return choice.lanes[choice.lane_of[member]];
}

Nanoseconds Search::single(const Choice& choice, Number number) const {
  const LanePlan& lane = lane_with(choice, program_.sources[number].member);
  if (!lane.fused()) return 0;
  const auto size = static_cast<Nanoseconds>(lane.members.size());
  const uint32_t output = program_.sources[number].output;
  const auto& forms = lane.option.outputs;
  if (cost_.joins_in_place() && output < forms.size() && forms[output].is_fused() &&
      forms[output].placement.axis == 0)
    return cost_.view({}, 0);
  // Members of a lane are mostly of one size.
  const double bytes = program_.bytes[number];
  if (single_.bytes != bytes || single_.size != size)
    single_ = {bytes, size, cost_.copy(bytes, 0) + (cost_.launch() + cost_.view({}, bytes)) / size};
  return single_.cost;
}

// The member and what follows it inside the same producer. Where anything can hold elementwise steps, the
// first that is cut off holds the others.
uint32_t Search::steps_inside(const Member& member) const {
  const Member* next = &member;
  uint32_t steps = 0;
  while (next != nullptr && runs_inside_producer(program_, *next, cost_)) {
    ++steps;
    if (cost_.fusion() == Fusion::kAny || next->outputs.size() != 1) break;
    const Number output = next->outputs.front();
    next = output == kNoNumber || program_.use_counts[output] != 1 ? nullptr : reader_of_[output];
  }
  return steps;
}

Nanoseconds Search::convert(const Choice& choice, const Wants& wants, const Want& want) const {
  return want.set == Want::kNoSet ? convert_one(choice, want.number, want.inside)
                                  : convert_set(choice, wants.sets[want.set]);
}

Nanoseconds Search::convert_one(const Choice& choice, Number number, uint32_t inside) const {
  // Part of what one step makes for several: its reader is a step of its own.
  const bool apart = lane_with(choice, program_.sources[number].member).fused();
  return single(choice, number) + (apart ? own_steps(program_.bytes[number], inside) : 0);
}

Nanoseconds Search::convert_set(const Choice& choice, const SetWant& want) const {
  if (!want.form.is_fused())
    return sum_over(choice, want, [&](Number number) { return convert_one(choice, number, want.inside); });
  const ValueSource& first = program_.sources[want.numbers.front()];
  const uint32_t output = first.output;
  const LanePlan& lane = lane_with(choice, first.member);
  bool same = lane.fused() && lane.members.size() == want.numbers.size() &&
              output < lane.option.outputs.size() && lane.option.outputs[output].is_fused();
  const bool whole = want.everyone && choice.lanes.size() == 1;  // lanes are ascending
  for (size_t i = 0; i < want.numbers.size() && same && !whole; ++i) {
    const ValueSource& source = program_.sources[want.numbers[i]];
    same = source.member == lane.members[i] && source.output == output;
  }
  if (same) {
    const Placement from = lane.option.outputs[output].placement;
    const Type& type = program_.types[want.numbers.front()];
    switch (distance({&type, 1}, from, want.form.placement)) {
      case Distance::kSame:
        return 0;
      case Distance::kReshape:
        return cost_.view(type, want.bytes) + own_steps(want.bytes, want.inside);
      case Distance::kTranspose:
        return cost_.transpose(type, want.bytes) + own_steps(want.bytes, want.inside);
    }
  }
  const bool in_place = cost_.joins_in_place() && want.form.placement.axis == 0;
  Nanoseconds sum = in_place ? cost_.view({}, 0) : cost_.copy(want.bytes, 1);
  sum += want.inside * cost_.launch();
  return sum + sum_over(choice, want, [&](Number number) { return single(choice, number); });
}

template <class Cost>
Nanoseconds Search::sum_over(const Choice& choice, const SetWant& want, Cost cost) const {
  const bool all_apart = choice.lanes.size() == choice.lane_of.size();
  if (want.alike && (all_apart || choice.lanes.size() == 1))
    return cost(want.numbers.front()) * static_cast<Nanoseconds>(want.numbers.size());
  Nanoseconds sum = 0;
  for (const Number number : want.numbers) sum += cost(number);
  return sum;
}

void Search::note_alike(SetWant& want) const {
  const Number first = want.numbers.front();
  const ValueSource& from = program_.sources[first];
  want.alike = std::ranges::all_of(want.numbers, [&](Number number) {
    const ValueSource& source = program_.sources[number];
    return source.column == from.column && source.output == from.output &&
           program_.bytes[number] == program_.bytes[first];
  });
  want.everyone = want.alike && want.numbers.size() == program_.columns[from.column].members.size();
  for (uint32_t i = 0; i < want.numbers.size() && want.everyone; ++i)
    want.everyone = program_.sources[want.numbers[i]].member == i;
}

void Search::add_set(SetWant want, Wants& wants) const {
  // By column, in their order.
  std::vector<std::pair<uint32_t, Number>> produced;
  for (const Number number : want.numbers) {
    want.bytes += program_.bytes[number];
    if (program_.sources[number].produced()) produced.emplace_back(program_.sources[number].column, number);
  }
  if (produced.empty() || produced.size() < want.numbers.size() ||
      std::ranges::any_of(produced, [&](const auto& one) { return one.first != produced.front().first; })) {
    // Parts from several places (or graph inputs) are put together by one Concat.
    if (want.form.is_fused()) wants.joins += cost_.copy(want.bytes, 1);
    std::ranges::stable_sort(produced, {}, &std::pair<uint32_t, Number>::first);
    const size_t first_set = wants.sets.size();
    for (size_t i = 0; i < produced.size(); ++i) {
      if (i == 0 || produced[i].first != produced[i - 1].first) {
        wants.wants.push_back(
            {.producer = produced[i].first, .set = static_cast<uint32_t>(wants.sets.size())});
        wants.sets.push_back({.numbers = {}, .form = Form::once()});
      }
      wants.sets.back().numbers.push_back(produced[i].second);
    }
    for (size_t set = first_set; set < wants.sets.size(); ++set) note_alike(wants.sets[set]);
    return;
  }
  note_alike(want);
  wants.wants.push_back(
      {.producer = produced.front().first, .set = static_cast<uint32_t>(wants.sets.size())});
  wants.sets.push_back(std::move(want));
}

Wants Search::wants_of(const Column& column, const Choice& choice) const {
  Wants all;
  const auto add_single = [&](Number number, uint32_t inside = 0) {
    if (number != kNoNumber && program_.sources[number].produced())
      all.wants.push_back({.producer = program_.sources[number].column, .number = number, .inside = inside});
  };
  for (const LanePlan& lane : choice.lanes) {
    const Member& first = column.members[lane.members.front()];
    if (!lane.fused()) {
      const uint32_t inside = steps_inside(first);
      for (const Number operand : first.operands) add_single(operand, inside);
      for (const Number capture : first.captures) add_single(capture);
      continue;
    }
    for (size_t i = 0; i < lane.option.operands.size(); ++i) {
      const Form& form = lane.option.operands[i];
      if (form.kind == Form::Kind::kAbsent) continue;
      if (form.kind == Form::Kind::kOnce) {
        add_single(first.operands[i]);
        continue;
      }
      SetWant want{.numbers = {}, .form = form, .inside = steps_inside(first)};
      bool constant = true;
      for (const uint32_t m : lane.members) {
        want.numbers.push_back(column.members[m].operands[i]);
        constant &= program_.weights[want.numbers.back()] != nullptr;
      }
      if (!constant) add_set(std::move(want), all);
    }
  }
  return all;
}

void Search::enumerate(uint32_t column) {
  const Candidates candidates = [this](Number number) -> std::span<const Placement> {
    const ValueSource& source = program_.sources[number];
    if (!source.produced()) return {};
    return at_hand_[source.column][source.output];
  };
  choices_[column] = enumerate_choices(program_, program_.columns[column], cost_, options_, weights_,
                                       candidates, known_[column]);
  auto& choices = choices_[column].choices;
  apart_cost_ += choices.back().cost;
  for (const Member& member : program_.columns[column].members)
    sequential_cost_ +=
        member_cost(program_, member, sequential_) * static_cast<Nanoseconds>(member.origins.size());
  // `stitch` and `netfuse` run as one whatever legally can, whether it pays or not.
  using Mode = StitchOptions::Strategy;
  const uint32_t id = program_.columns[column].id;
  const Force force = id < options_.forced.size() ? options_.forced[id] : Force::kNone;
  if (force == Force::kApart) choices.erase(choices.begin(), choices.end() - 1);
  if ((options_.strategy == Mode::kStitch || options_.strategy == Mode::kNetfuse ||
       force == Force::kStitched) &&
      choices.size() > 1)
    choices.pop_back();
}

void Search::forward(uint32_t column) {
  auto& choices = choices_[column].choices;
  auto& reach = reach_[column];
  reach.clear();
  auto& wants = wants_[column];
  wants.clear();
  for (const Choice& choice : choices) {
    wants.push_back(wants_of(program_.columns[column], choice));
    Nanoseconds cost = choice.cost + wants.back().joins;
    std::set<uint32_t> counted;
    for (const Want& want : wants.back().wants) {
      const uint32_t producer = want.producer;
      Nanoseconds best = std::numeric_limits<Nanoseconds>::max();
      const bool first = counted.insert(producer).second;
      for (State s = 0; s < choices_[producer].choices.size(); ++s) {
        const Nanoseconds upstream =
            first ? reach_[producer][s] / std::max<Nanoseconds>(fan_out_[producer], 1) : 0;
        best = std::min(best, upstream + convert(choices_[producer].choices[s], wants.back(), want));
      }
      cost += best;
    }
    reach.push_back(cost);
  }
  if (choices.size() > kMaxChoices) {  // the most promising ones, in their old order; the last is "apart"
    std::vector<size_t> by_cost(choices.size() - 1);
    for (size_t i = 0; i < by_cost.size(); ++i) by_cost[i] = i;
    std::ranges::stable_sort(by_cost, {}, [&](size_t i) { return reach[i]; });
    by_cost.resize(kMaxChoices - 1);
    by_cost.push_back(choices.size() - 1);
    std::ranges::sort(by_cost);
    std::vector<Choice> kept;
    std::vector<Wants> kept_wants;
    std::vector<Nanoseconds> kept_reach;
    for (const size_t i : by_cost) {
      kept.push_back(std::move(choices[i]));
      kept_wants.push_back(std::move(wants[i]));
      kept_reach.push_back(reach[i]);
    }
    choices = std::move(kept);
    wants = std::move(kept_wants);
    reach = std::move(kept_reach);
  }
  auto& at_hand = at_hand_[column];
  size_t outputs = 0;
  for (const Member& member : program_.columns[column].members)
    outputs = std::max(outputs, member.outputs.size());
  at_hand.assign(outputs, {});
  std::vector<size_t> order(choices.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](size_t i) { return reach[i]; });
  for (const size_t i : order)
    for (const LanePlan& lane : choices[i].lanes)
      for (size_t o = 0; o < lane.option.outputs.size(); ++o) {
        const Form& form = lane.option.outputs[o];
        if (lane.fused() && form.is_fused() && at_hand[o].size() < kMaxCandidates &&
            std::ranges::find(at_hand[o], form.placement) == at_hand[o].end())
          at_hand[o].push_back(form.placement);
      }
}

Nanoseconds Search::incoming(uint32_t column, State state) const {
  const Wants& wants = wants_[column][state];
  Nanoseconds cost = wants.joins;
  for (const Want& want : wants.wants)
    cost += convert(choices_[want.producer].choices[decided_[want.producer]], wants, want);
  return cost;
}

// What the decided readers pay for this column running by `choice`.
Nanoseconds Search::outgoing(uint32_t column, const Choice& choice) const {
  Nanoseconds cost = output_cost(column, choice);
  for (const uint32_t reader : readers_[column]) {
    const Wants& wants = wants_[reader][decided_[reader]];
    cost += wants.joins;
    for (const Want& want : wants.wants)
      if (want.producer == column) cost += convert(choice, wants, want);
  }
  return cost;
}

Nanoseconds Search::output_cost(uint32_t column, const Choice& choice) const {
  Nanoseconds cost = 0;
  for (const Member& member : program_.columns[column].members)
    for (const Number output : member.outputs)
      if (output != kNoNumber && is_model_output_[output]) cost += single(choice, output);
  return cost;
}

void Search::decide() {
  for (uint32_t column = static_cast<uint32_t>(program_.columns.size()); column-- > 0;) {
    Nanoseconds best = std::numeric_limits<Nanoseconds>::max();
    const auto& choices = choices_[column].choices;
    for (State s = 0; s < choices.size(); ++s) {
      const Nanoseconds cost = reach_[column][s] + outgoing(column, choices[s]);
      if (cost < best) {
        best = cost;
        decided_[column] = s;
      }
    }
  }
}

void Search::improve() {
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    bool changed = false;
    for (uint32_t column = 0; column < program_.columns.size(); ++column) {
      const auto& choices = choices_[column].choices;
      if (choices.size() == 1) continue;
      const auto price = [&](State s) {
        return choices[s].cost + incoming(column, s) + outgoing(column, choices[s]);
      };
      Nanoseconds best = price(decided_[column]);
      for (State s = 0; s < choices.size(); ++s) {
        const Nanoseconds cost = price(s);
        if (cost >= best) continue;
        best = cost;
        decided_[column] = s;
        changed = true;
      }
    }
    if (!changed) break;
  }
}

Nanoseconds Search::total() const {
  Nanoseconds sum = 0;
  for (uint32_t column = 0; column < program_.columns.size(); ++column) {
    const Choice& choice = choices_[column].choices[decided_[column]];
    sum += choice.cost + incoming(column, decided_[column]) + output_cost(column, choice);
  }
  return sum;
}

Alternative Search::alternative(uint32_t column, const Choice& choice) const {
  Alternative result{.strategy = choice.strategy, .cost = choice.cost, .measured = {}};
  if (cost_.figures() == nullptr) return result;
  const CostModel predicting = cost_.with(nullptr);
  result.cost = 0;
  result.measured = 0;
  for (const LanePlan& lane : choice.lanes) {
    result.cost += lane_cost(program_, program_.columns[column], predicting, lane);
    const auto measured = measured_cost(program_, program_.columns[column], cost_, lane);
    if (!measured) result.measured.reset();
    if (result.measured) *result.measured += *measured;
  }
  return result;
}

// Before the choices are moved away.
void Search::explain(std::vector<ColumnPlan>& plans) const {
  for (uint32_t column = 0; column < program_.columns.size(); ++column) {
    const auto& choices = choices_[column].choices;
    std::map<Strategy, const Choice*> best;
    std::vector<Strategy> order;
    for (const Choice& choice : choices) {
      const auto [known, added] = best.try_emplace(choice.strategy, &choice);
      if (added) order.push_back(choice.strategy);
      if (choice.cost < known->second->cost) known->second = &choice;
    }
    auto& alternatives = plans[column].alternatives;
    for (const Strategy strategy : order) alternatives.push_back(alternative(column, *best.at(strategy)));
    // Not among the choices where everything is to be stitched.
    if (program_.columns[column].members.size() < 2 || best.contains(Strategy::kApart)) continue;
    const Column& members = program_.columns[column];
    const Choice apart =
        make_choice(program_, members, cost_, apart_lanes(everyone(members)), Strategy::kApart);
    alternatives.push_back(alternative(column, apart));
  }
}

void Search::connect() {
  const size_t count = program_.columns.size();
  choices_.resize(count);
  wants_.resize(count);
  reach_.resize(count);
  at_hand_.resize(count);
  readers_.resize(count);
  fan_out_.resize(count, 0);
  decided_.resize(count, 0);
  is_model_output_.resize(program_.types.size(), false);
  reader_of_.resize(program_.types.size(), nullptr);
  for (const auto& outputs : program_.outputs)
    for (const Number number : outputs) is_model_output_[number] = true;
  for (uint32_t column = 0; column < count; ++column) {
    std::set<uint32_t> producers;
    for (const Member& member : program_.columns[column].members)
      for (const auto* numbers : {&member.operands, &member.captures})
        for (const Number number : *numbers)
          if (number != kNoNumber && program_.sources[number].produced())
            producers.insert(program_.sources[number].column);
    for (const Member& member : program_.columns[column].members)
      for (const Number number : member.operands)
        if (number != kNoNumber) reader_of_[number] = &member;
    for (const uint32_t producer : producers) {
      readers_[producer].push_back(column);
      ++fan_out_[producer];
    }
  }
}

Nanoseconds Search::price(const std::vector<ColumnPlan>& columns) {
  connect();
  for (uint32_t column = 0; column < program_.columns.size(); ++column) {
    Choice choice = make_choice(program_, program_.columns[column], cost_, columns[column].lanes,
                                columns[column].strategy);
    wants_[column].push_back(wants_of(program_.columns[column], choice));
    choices_[column].choices.push_back(std::move(choice));
  }
  return total() + cost_.run();
}

Plan Search::run() {
  const size_t count = program_.columns.size();
  connect();
  for (uint32_t column = 0; column < count; ++column) {
    enumerate(column);
    forward(column);
  }
  decide();
  improve();
  Plan plan;
  plan.predicted = total() + cost_.run();
  plan.predicted_apart = apart_cost_ + cost_.run();
  plan.predicted_sequential =
      sequential_cost_ + cost_.run() * static_cast<Nanoseconds>(program_.models->size());
  const bool may_choose = options_.strategy == StitchOptions::Strategy::kAuto && options_.forced.empty();
  const bool apart_is_better =
      may_choose && plan.predicted > plan.predicted_apart - plan.predicted_apart / kHardlyFaster;
  if (apart_is_better) {
    plan.predicted = plan.predicted_apart;
    for (uint32_t column = 0; column < count; ++column)
      decided_[column] = choices_[column].choices.size() - 1;
  }
  for (uint32_t column = 0; column < count; ++column) {
    const Choice& choice = choices_[column].choices[decided_[column]];
    if (choice.strategy == Strategy::kGroup) plan.predicted_grouped += choice.cost;
  }
  plan.columns.resize(count);
  if (options_.explain) explain(plan.columns);
  for (uint32_t column = 0; column < count; ++column) {
    auto& choices = choices_[column].choices;
    Choice& choice = choices[decided_[column]];
    ColumnPlan& result = plan.columns[column];
    result.lanes = std::move(choice.lanes);
    result.strategy = choice.strategy;
    result.refusal = std::move(choices_[column].refusal);
    const bool apart = result.strategy == Strategy::kApart && program_.columns[column].members.size() > 1;
    if (apart && result.refusal.empty())
      result.refusal = options_.strategy == StitchOptions::Strategy::kConcat
                           ? "nothing is stitched by --strategy concat"
                           : "it is predicted to be faster apart";
  }
  return plan;
}

// The columns, and what they are predicted to take.
Plan choose_columns(const Program& program, const CostModel& cost, const PlanOptions& options) {
  std::vector<KnownProposals> known;
  Plan plan = Search(program, cost, options, known).run();
  if (options.strategy != StitchOptions::Strategy::kAuto) return plan;
  // The search looks at one column after another and may end in a mixture that is hardly better, or worse,
  // than running everything as one.
  PlanOptions everything = options;
  everything.strategy = StitchOptions::Strategy::kStitch;
  Plan stitched = Search(program, cost, everything, known).run();
  const bool as_good = stitched.predicted <= plan.predicted + plan.predicted / kClosePart;
  const double grouped = static_cast<double>(stitched.predicted_grouped) /
                         static_cast<double>(std::max<Nanoseconds>(stitched.predicted, 1));
  const double slower = grouped * kSlowerGrouped + (1 - grouped) * kSlowerShared;
  const bool no_loss =
      static_cast<double>(stitched.predicted) <= (1 + slower) * static_cast<double>(plan.predicted_apart);
  return as_good && no_loss ? stitched : plan;
}

}  // namespace

Nanoseconds predicted_time(const Program& program, const CostModel& cost,
                           const std::vector<ColumnPlan>& plan) {
  const PlanOptions options;
  std::vector<KnownProposals> known;
  return Search(program, cost, options, known).price(plan);
}

Plan make_plan(const Program& program, const CostModel& cost, const PlanOptions& options) {
  Plan plan = choose_columns(program, cost, options);
  plan.groups = options.groups.empty() ? one_group(program.models->size()) : options.groups;
  plan.order = schedule(program, plan.columns, plan.groups);
  plan.predicted_memory = predicted_memory(program, plan.columns, plan.order);
  plan.floor = roofline_floor(program, cost);
  return plan;
}

}  // namespace mts
