#include "tests/rules/harness.h"

#include "ref/interpreter.h"
#include "rules/rule.h"
#include "stitch/constants.h"
#include "stitch/relayout.h"
#include "tests/rules/values.h"

#include <mts/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace mts::testing {
namespace {

constexpr std::string_view kVarying = "NHWST";

std::vector<std::string> parts_of(const std::string& dims) {
  std::vector<std::string> parts;
  std::istringstream stream(dims);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

bool is_letter(const std::string& part) { return part[0] >= 'A' && part[0] <= 'Z'; }
bool has_letter(const Slot& slot, char letter) { return slot.dims.find(letter) != std::string::npos; }

// Sizes of the letters, per member.
using Sizes = std::map<char, std::vector<int64_t>>;

Dims dims_of(const Slot& slot, const Sizes& sizes, size_t member) {
  Dims dims;
  for (const std::string& part : parts_of(slot.dims))
    dims.push_back(is_letter(part) ? sizes.at(part[0])[member] : std::stoll(part));
  return dims;
}

// A setting: how many members, which sizes they have, and which letters the rule sees as symbols.
struct Setting {
  std::string name;
  size_t members = 2;
  std::string symbolic;         // letters
  std::vector<Sizes> bindings;  // run with each; one when nothing is symbolic
};

Sizes sizes_with(size_t members, std::initializer_list<std::pair<char, int64_t>> given) {
  Sizes sizes{{'K', std::vector<int64_t>(members, 3)}, {'L', std::vector<int64_t>(members, 4)}};
  for (const auto& [letter, value] : given) sizes[letter].assign(members, value);
  return sizes;
}

std::vector<Setting> settings_of(const RuleCase& rule_case) {
  std::vector<Setting> settings;
  for (const size_t members : {2u, 3u}) {
    const auto m = static_cast<int64_t>(members);
    const std::string prefix = std::to_string(members) + " members, ";
    std::vector<Sizes> bindings;
    for (const int64_t batch : {int64_t{1}, int64_t{2}, m, int64_t{5}}) {
      const Sizes sizes = sizes_with(members, {{'N', batch}, {'H', 6}, {'W', 5}, {'S', 3}, {'T', 4}});
      if (!(batch == m && m == 2))
        settings.push_back({prefix + "N=" + std::to_string(batch), members, "", {sizes}});
      bindings.push_back(sizes_with(
          members, {{'N', batch}, {'H', 5 + batch}, {'W', 6}, {'S', batch == 5 ? 1 : 2}, {'T', m}}));
    }
    std::vector<Sizes> batches;
    for (const int64_t batch : {int64_t{1}, m, int64_t{5}})
      batches.push_back(sizes_with(members, {{'N', batch}, {'H', 6}, {'W', 5}, {'S', 3}, {'T', 4}}));
    settings.push_back({prefix + "symbolic N", members, "N", batches});
    settings.push_back({prefix + "all symbolic", members, std::string(kVarying), bindings});
    for (const char letter : rule_case.ragged) {
      Sizes sizes = batches[1];
      for (size_t i = 0; i < members; ++i) sizes[letter][i] = static_cast<int64_t>(i == 1 ? 1 : 2 + i);
      settings.push_back({prefix + "ragged " + letter, members, "", {sizes}});
    }
  }
  return settings;
}

std::string describe(const Option& option) {
  std::string text = std::string(name_of(option.strategy)) + ":";
  for (const Form& form : option.operands) text += " " + to_string(form);
  text += " ->";
  for (const Form& form : option.outputs) text += " " + to_string(form);
  return text;
}

Type type_with(const Slot& slot, const Sizes& sizes, size_t member, const std::string& symbolic) {
  Shape shape;
  for (const std::string& part : parts_of(slot.dims)) {
    const bool symbol = is_letter(part) && symbolic.find(part[0]) != std::string::npos;
    shape.push_back(symbol            ? Dim::symbolic(part)
                    : is_letter(part) ? Dim::known(sizes.at(part[0])[member])
                                      : Dim::known(std::stoll(part)));
  }
  return Type::tensor(slot.dtype, std::move(shape));
}

std::vector<Placement> every_placement(int32_t rank) {
  std::vector<Placement> all;
  for (int32_t axis = 0; axis <= rank; ++axis)
    for (const Fold fold : {Fold::kConcat, Fold::kStacked, Fold::kInterleaved}) all.push_back({axis, fold});
  return all;
}

// One mapping of one case in one setting.
class Trial {
 public:
  Trial(const RuleCase& rule_case, const std::string& mapping, const Setting& setting)
      : case_(rule_case),
        mapping_(mapping),
        setting_(setting),
        env_{.opset = rule_case.opset, .opsets = {}, .run_subgraph = {}, .seed = 0} {}

  // False when the setting makes no sense for the mapping.
  bool prepare();
  Proposal propose_all() const { return propose(lane_); }
  void run(const Option& option);

 private:
  bool constant(size_t slot) const { return mapping_[slot] == 'O' || mapping_[slot] == 'M'; }
  bool mapped(size_t slot) const { return mapping_[slot] == 'm' || mapping_[slot] == 'M'; }
  bool present(size_t slot) const { return mapping_[slot] != '-'; }
  Tensor value_of(size_t slot, size_t member, const Sizes& sizes) const;
  Result<std::vector<Datum>> single(size_t member, const Sizes& sizes) const;
  bool infer_outputs();
  ValueId input(Graph& graph, Builder& builder, size_t slot, size_t member);

  const RuleCase& case_;
  const std::string mapping_;
  Setting setting_;
  Env env_;
  std::vector<Node> nodes_;
  Lane lane_;
  std::vector<std::pair<size_t, size_t>> inputs_;  // of the fused graph: slot, member
};

Tensor Trial::value_of(size_t slot, size_t member, const Sizes& sizes) const {
  const Slot& s = case_.slots[slot];
  if (s.fixed != nullptr) return Tensor::from_weight(*s.fixed);
  const size_t owner = mapped(slot) ? member : 0;
  return random_tensor(s.dtype, dims_of(s, sizes, member), s.low, s.high,
                       static_cast<uint32_t>(1000 * slot + owner + 7));
}

Result<std::vector<Datum>> Trial::single(size_t member, const Sizes& sizes) const {
  std::vector<Datum> data;
  std::vector<const Datum*> pointers;
  data.reserve(case_.slots.size());
  for (size_t slot = 0; slot < case_.slots.size(); ++slot) {
    data.emplace_back(present(slot) ? Datum(value_of(slot, member, sizes)) : Datum());
    pointers.push_back(present(slot) ? &data.back() : nullptr);
  }
  while (!pointers.empty() && pointers.back() == nullptr) pointers.pop_back();
  return evaluate(nodes_[member], pointers, env_);
}

// Sizes of the outputs: those that are a letter's size in two bindings are the letter, those that never
// change are numbers, others are symbols of their own.
bool Trial::infer_outputs() {
  Sizes probes[2];
  for (int i = 0; i < 2; ++i) {
    probes[i] = setting_.bindings.front();
    for (size_t letter = 0; letter < kVarying.size(); ++letter)
      if (setting_.symbolic.find(kVarying[letter]) != std::string::npos)
        probes[i][kVarying[letter]].assign(setting_.members, 16 + 3 * static_cast<int64_t>(letter) + 8 * i);
  }
  lane_.outputs.assign(case_.outputs, {});
  for (size_t member = 0; member < setting_.members; ++member) {
    const auto first = single(member, probes[0]), second = single(member, probes[1]);
    if (!first || !second) {
      ADD_FAILURE() << (first ? second : first).error().to_string();
      return false;
    }
    for (size_t output = 0; output < case_.outputs; ++output) {
      const Tensor *a = (*first)[output].tensor(), *b = (*second)[output].tensor();
      Shape shape;
      for (size_t axis = 0; axis < a->dims().size(); ++axis) {
        if (a->dims()[axis] == b->dims()[axis]) {
          shape.push_back(Dim::known(a->dims()[axis]));
          continue;
        }
        std::string symbol = "o" + std::to_string(output) + "." + std::to_string(axis);
        for (const char letter : setting_.symbolic)
          if (probes[0][letter][member] == a->dims()[axis] && probes[1][letter][member] == b->dims()[axis])
            symbol = letter;
        shape.push_back(Dim::symbolic(symbol));
      }
      lane_.outputs[output].push_back(Type::tensor(a->dtype(), std::move(shape)));
    }
  }
  return true;
}

bool Trial::prepare() {
  const Sizes& sizes = setting_.bindings.front();
  std::string symbolic;
  bool used = false;
  for (const char letter : setting_.symbolic) {
    bool in_constant = false, in_activation = false;
    for (size_t slot = 0; slot < case_.slots.size(); ++slot)
      if (present(slot) && has_letter(case_.slots[slot], letter))
        (constant(slot) ? in_constant : in_activation) = true;
    if (in_activation && !in_constant) symbolic += letter;
    used |= in_activation && !in_constant;
  }
  if (!setting_.symbolic.empty() && !used) return false;
  setting_.symbolic = symbolic;
  for (Sizes& binding : setting_.bindings)  // what is not symbolic has one size
    for (auto& [letter, values] : binding)
      if (symbolic.find(letter) == std::string::npos) values = sizes.at(letter);
  for (size_t slot = 0; slot < case_.slots.size(); ++slot) {
    if (!present(slot) || mapped(slot)) continue;  // what is the same for all has one size
    for (const auto& [letter, values] : sizes)
      if (has_letter(case_.slots[slot], letter) &&
          std::ranges::adjacent_find(values, std::ranges::not_equal_to{}) != values.end())
        return false;
  }
  Node node;
  node.op_type = case_.op;
  node.name = "node";
  node.attributes = case_.attributes;
  for (size_t slot = 0; slot < case_.slots.size(); ++slot)
    node.inputs.push_back(present(slot) ? ValueId(slot) : kNoValue);
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
  for (size_t output = 0; output < case_.outputs; ++output) node.outputs.push_back(ValueId(100 + output));
  nodes_.assign(setting_.members, node);
  for (const Node& n : nodes_) lane_.nodes.push_back(&n);
  lane_.opset = case_.opset;
  lane_.operands.resize(node.inputs.size());
  for (size_t slot = 0; slot < lane_.operands.size(); ++slot) {
    Operand& operand = lane_.operands[slot];
    if (!present(slot)) continue;
    operand.kind = mapped(slot) ? Operand::Kind::kMapped : Operand::Kind::kOnce;
    operand.constant = constant(slot);
    for (size_t member = 0; member < (mapped(slot) ? setting_.members : 1); ++member) {
      if (constant(slot)) {
        operand.weights.push_back(weight_of(value_of(slot, member, sizes)));
        Shape shape;
        for (const int64_t dim : operand.weights.back()->dims()) shape.push_back(Dim::known(dim));
        operand.types.push_back(Type::tensor(operand.weights.back()->dtype(), std::move(shape)));
      } else {
        operand.types.push_back(type_with(case_.slots[slot], sizes, member, symbolic));
      }
    }
    if (mapped(slot) && !constant(slot))
      for (const Placement& p : every_placement(operand.rank()))
        if (placeable(operand.types, p)) operand.candidates.push_back(p);
  }
  return infer_outputs();
}

ValueId Trial::input(Graph& graph, Builder& builder, size_t slot, size_t member) {
  const Operand& operand = lane_.operands[slot];
  const size_t at = mapped(slot) ? member : 0;
  if (operand.constant) return builder.constant(operand.weights[at]);
  inputs_.emplace_back(slot, member);
  return graph.add_input("in" + std::to_string(slot) + "." + std::to_string(member), operand.types[at]);
}

void Trial::run(const Option& option) {
  SCOPED_TRACE(describe(option) + " variant " + std::to_string(option.variant));
  ASSERT_EQ(option.operands.size(), lane_.operands.size());
  ASSERT_EQ(option.outputs.size(), case_.outputs);
  Model model;
  Graph& graph = model.graph;
  Builder builder(graph, case_.opset);
  inputs_.clear();
  std::vector<ValueId> operands;
  for (size_t slot = 0; slot < lane_.operands.size(); ++slot) {
    const Form& form = option.operands[slot];
    const Operand& operand = lane_.operands[slot];
    if (form.kind == Form::Kind::kAbsent) {
      operands.push_back(kNoValue);  // a rule may drop a parameter that it re-derives
    } else if (form.kind == Form::Kind::kOnce) {
      ASSERT_TRUE(operand.once()) << "operand " << slot << " is asked for once";
      operands.push_back(input(graph, builder, slot, 0));
    } else if (operand.once()) {
      operands.push_back(
          repeat(input(graph, builder, slot, 0), operand.type(), setting_.members, form.placement, builder));
    } else {
      ASSERT_TRUE(operand.mapped());
      std::vector<ValueId> parts;
      for (size_t member = 0; member < setting_.members; ++member)
        parts.push_back(input(graph, builder, slot, member));
      operands.push_back(assemble(parts, operand.types, form.placement, false, builder));
    }
  }
  const Rule* rule = find_rule(lane_.node());
  ASSERT_NE(rule, nullptr);
  const auto outputs = rule->emit(lane_, option, operands, builder);
  ASSERT_EQ(outputs.size(), case_.outputs);
  for (size_t output = 0; output < outputs.size(); ++output) {
    if (option.outputs[output].kind == Form::Kind::kAbsent) continue;
    ASSERT_TRUE(option.outputs[output].is_fused());
    const Type promised = fused_type(lane_.outputs[output], option.outputs[output].placement);
    EXPECT_EQ(to_string(graph.value(outputs[output]).type), to_string(promised));
    graph.add_output(outputs[output]);
    for (const ValueId part :
         extract(outputs[output], lane_.outputs[output], option.outputs[output].placement, builder))
      graph.add_output(part);
  }
  graph.erase_dead_nodes();
  store_constants_once(graph);
  const auto sound = verify_ir(graph);
  ASSERT_TRUE(sound) << sound.error().to_string();
  size_t stored = 0, unique = 1024;
  for (size_t i = 0; i < graph.value_count(); ++i)
    if (const WeightPtr& w = graph.value(static_cast<ValueId>(i)).weight;
        w != nullptr && is_float(w->dtype()))
      stored += w->byte_size();
  for (const Operand& operand : lane_.operands)
    for (const WeightPtr& w : operand.weights) unique += w->byte_size();
  EXPECT_LE(stored, unique) << "weights are stored more than once";
  dump_model(model, case_.name, case_.opset);

  for (const Sizes& sizes : setting_.bindings) {
    std::string text;
    for (const char letter : setting_.symbolic)
      text += std::string(1, letter) + "=" + std::to_string(sizes.at(letter)[0]) + " ";
    SCOPED_TRACE(text);
    std::vector<Datum> data;
    for (const auto& [slot, member] : inputs_) data.emplace_back(value_of(slot, member, sizes));
    const auto fused = interpret(graph, data, env_);
    ASSERT_TRUE(fused) << fused.error().to_string();
    std::vector<std::vector<Datum>> singles;
    for (size_t member = 0; member < setting_.members; ++member) {
      auto result = single(member, sizes);
      ASSERT_TRUE(result) << result.error().to_string();
      singles.push_back(std::move(*result));
    }
    size_t next = 0;
    for (size_t output = 0; output < outputs.size(); ++output) {
      if (option.outputs[output].kind == Form::Kind::kAbsent) continue;
      const Tensor& whole = *(*fused)[next++].tensor();
      const auto dims = static_dims(graph.value(outputs[output]).type);
      if (dims) {
        EXPECT_EQ(whole.dims(), *dims) << "the type of the fused output is wrong";
      }
      for (size_t member = 0; member < setting_.members; ++member) {
        const std::string difference =
            compare(*(*fused)[next++].tensor(), *singles[member][output].tensor(), case_.exact ? 0 : 1e-5);
        ASSERT_EQ(difference, "") << "output " << output << " of member " << member;
      }
    }
  }
}

std::vector<std::string> mappings_of(const RuleCase& rule_case) {
  std::vector<std::string> mappings{""};
  for (const Slot& slot : rule_case.slots) {
    std::vector<std::string> longer;
    for (const std::string& mapping : mappings)
      for (const char kind : slot.kinds) longer.push_back(mapping + kind);
    mappings = std::move(longer);
  }
  std::erase_if(mappings, [](const std::string& m) { return m.find_first_of("mM") == std::string::npos; });
  return mappings;
}

}  // namespace

Slot Slot::in(double from, double to) const {
  Slot slot = *this;
  slot.low = from;
  slot.high = to;
  return slot;
}
Slot Slot::as(DType type) const {
  Slot slot = *this;
  slot.dtype = type;
  return slot;
}

Slot activation(std::string dims) { return {.dims = std::move(dims), .kinds = "om", .fixed = nullptr}; }
Slot weight(std::string dims) { return {.dims = std::move(dims), .kinds = "OM", .fixed = nullptr}; }
Slot any(std::string dims) { return {.dims = std::move(dims), .kinds = "omOM", .fixed = nullptr}; }
Slot optional(Slot slot) {
  slot.kinds += '-';
  return slot;
}
Slot numbers(std::vector<int64_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {
      .dims = std::to_string(count), .kinds = "O", .dtype = DType::kInt64, .fixed = Weight::int64s(values)};
}
Slot number(int64_t value) {
  return {.dims = "", .kinds = "O", .dtype = DType::kInt64, .fixed = Weight::int64_scalar(value)};
}
Slot fixed_floats(std::vector<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {.dims = std::to_string(count), .kinds = "O", .fixed = Weight::floats(values, {count})};
}
Slot absent() { return {.dims = "", .kinds = "-", .fixed = nullptr}; }

void PrintTo(const RuleCase& rule_case, std::ostream* out) { *out << rule_case.name; }

std::vector<RuleCase> all_cases() {
  std::vector<RuleCase> all;
  for (const auto& family : {elementwise_cases(), linear_cases(), convolution_cases(), normalization_cases(),
                             axis_cases(), movement_cases(), indexed_cases(), shape_cases(), other_cases()})
    all.insert(all.end(), family.begin(), family.end());
  return all;
}

void check(const RuleCase& rule_case) {
  const auto mappings = mappings_of(rule_case);
  std::set<std::string> known(mappings.begin(), mappings.end());
  for (const Expected& expected : rule_case.legal)
    ASSERT_TRUE(known.contains(expected.mapping)) << "no mapping " << expected.mapping;
  for (const std::string& mapping : rule_case.refused)
    ASSERT_TRUE(known.contains(mapping)) << "no mapping " << mapping;
  size_t options = 0;
  for (const std::string& mapping : mappings) {
    SCOPED_TRACE("mapping " + mapping);
    for (const Setting& setting : settings_of(rule_case)) {
      SCOPED_TRACE(setting.name);
      Trial trial(rule_case, mapping, setting);
      if (!trial.prepare()) {
        if (::testing::Test::HasFatalFailure() || ::testing::Test::HasNonfatalFailure()) return;
        continue;
      }
      const Proposal proposal = trial.propose_all();
      std::set<std::string> offered;
      std::string list;
      for (const Option& option : proposal.options) {
        EXPECT_TRUE(offered.insert(describe(option) + std::to_string(option.variant)).second)
            << "offered twice: " << describe(option);
        list += "  " + describe(option) + "\n";
        trial.run(option);
        if (::testing::Test::HasFailure()) return;
      }
      options += proposal.options.size();
      if (proposal.options.empty()) {
        EXPECT_NE(proposal.refusal, "");
        list = "  " + proposal.refusal + "\n";
      }
      const bool ragged = setting.name.find("ragged") != std::string::npos;
      for (const Expected& expected : rule_case.legal) {
        if (expected.mapping != mapping || ragged) continue;
        const bool found = std::ranges::any_of(
            proposal.options, [&](const Option& o) { return describe(o) == expected.option; });
        EXPECT_TRUE(found) << "not offered: " << expected.option << "\nbut:\n" << list;
      }
      if (std::ranges::find(rule_case.refused, mapping) != rule_case.refused.end()) {
        EXPECT_TRUE(proposal.options.empty()) << "offered:\n" << list;
      }
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_EQ(options > 0, !rule_case.refuses_all) << options << " options were offered";
}

}  // namespace mts::testing
