#include "stitch/layer_model.h"

#include "plan/lanes.h"
#include "rules/rule.h"
#include "stitch/bundles.h"
#include "stitch/constants.h"

#include <mts/model_io.h>

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace mts {
namespace {

constexpr int64_t kSpelledOut = 8;  // elements of an integer constant: it may be a shape

std::string digest_text(const Weight& weight) {
  const Digest digest = weight.digest();
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

struct AttributeText {
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(float value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const WeightPtr& value) const { return digest_text(*value); }
  std::string operator()(const Encoded& value) const { return value.attribute_proto; }
  template <class T>
  std::string operator()(const std::vector<T>& values) const {
    std::string text = "[";
    for (const T& value : values) text += (*this)(value) + " ";
    return text + "]";
  }
  std::string operator()(const std::shared_ptr<Graph>&) const { return {}; }  // no layer has subgraphs
};

// Empty where the node is no layer.
std::string text_of(const Program& program, const Member& member) {
  const Node& node = program.node(member);
  if (!node.subgraphs().empty() || !member.captures.empty()) return {};
  std::string text =
      fmt::format("{}.{}.{}", node.domain, node.op_type, (*program.models)[member.model].opset());
  std::map<std::string, std::string> attributes;
  for (const Attribute& attribute : node.attributes)
    attributes[attribute.name] = std::visit(AttributeText{}, attribute.value);
  for (const auto& [name, value] : attributes) text += fmt::format("|{}={}", name, value);
  size_t activations = 0;
  for (const Number operand : member.operands) {
    if (operand == kNoNumber) {
      text += "|-";
      continue;
    }
    const Type& type = program.types[operand];
    const WeightPtr& weight = program.weights[operand];
    if (weight == nullptr) {
      if (!is_float(type.dtype) || !static_dims(type)) return {};
      ++activations;
    }
    text += (weight != nullptr ? "|const " : "|") + to_string(type);
    if (weight != nullptr && is_integer(weight->dtype()) && weight->element_count() <= kSpelledOut)
      text += "=" + digest_text(*weight);
  }
  return activations > 0 ? fmt::format("{}|{} outputs", text, member.outputs.size()) : "";
}

class Emitter {
 public:
  Emitter(const Program& program, Graph& graph)
      : program_(program),
        graph_(graph),
        builder_(graph, program.models->front().opset()),
        bundles_(program, /*allow_duplicates=*/false, builder_) {
    builder_.set_origin("layer", "layer");
  }

  void single(const Member& member) {
    for (const Number operand : member.operands) need(operand);
    std::vector<ValueId> inputs;
    for (const Number operand : member.operands)
      inputs.push_back(operand == kNoNumber ? kNoValue : bundles_.single(operand));
    std::vector<Type> types;
    for (const Number output : member.outputs)
      types.push_back(output == kNoNumber ? Type{} : program_.types[output]);
    const auto made = builder_.nodes(Builder::like(program_.node(member)), std::move(inputs), types);
    for (size_t i = 0; i < made.size(); ++i) {
      if (member.outputs[i] != kNoNumber) {
        graph_.add_output(made[i]);
      } else {
        graph_.set_output_of(graph_.value(made.front()).producer, i, kNoValue);
      }
    }
  }

  void fused(const Column& column, const LanePlan& plan) {
    const Member& first = column.members[plan.members.front()];
    const Lane lane = make_lane(program_, column, plan.members, /*distinct_weights=*/false);
    std::vector<ValueId> operands;
    for (size_t i = 0; i < plan.option.operands.size(); ++i) {
      const Form& form = plan.option.operands[i];
      if (form.kind == Form::Kind::kAbsent) {
        operands.push_back(kNoValue);
        continue;
      }
      if (form.kind == Form::Kind::kOnce) {
        need(first.operands[i]);
        operands.push_back(bundles_.single(first.operands[i]));
        continue;
      }
      std::vector<Number> numbers;
      for (const uint32_t m : plan.members) numbers.push_back(column.members[m].operands[i]);
      need(numbers, form.placement);
      operands.push_back(bundles_.fused(numbers, form.placement));
    }
    for (const ValueId output : find_rule(program_.node(first))->emit(lane, plan.option, operands, builder_))
      if (output != kNoValue) graph_.add_output(output);
  }

 private:
  // An activation is an input, by itself ...
  void need(Number number) {
    if (number != kNoNumber && program_.weights[number] == nullptr && given_.insert(number).second)
      bundles_.set_single(number, graph_.add_input(name(), program_.types[number]));
  }
  // ... or, where several stand together, as they stand.
  void need(const std::vector<Number>& numbers, Placement placement) {
    const bool activations =
        std::ranges::all_of(numbers, [&](Number n) { return program_.weights[n] == nullptr; });
    const bool one = std::ranges::all_of(numbers, [&](Number n) { return n == numbers.front(); });
    if (!activations || one) {
      for (const Number number : numbers) need(number);
    } else if (bundled_.insert(numbers).second) {
      std::vector<Type> types;
      for (const Number number : numbers) types.push_back(program_.types[number]);
      bundles_.add(numbers, placement, graph_.add_input(name(), fused_type(types, placement)));
    }
  }
  std::string name() { return fmt::format("x{}", graph_.inputs().size()); }

  const Program& program_;
  Graph& graph_;
  Builder builder_;
  Bundles bundles_;
  std::set<Number> given_;
  std::set<std::vector<Number>> bundled_;
};

}  // namespace

std::vector<std::string> number_layers(Program& program, const std::map<std::string, int64_t>& dims) {
  SharedVector<Type> types;  // other copies of the program keep theirs
  types.resize(program.types.size());
  for (size_t n = 0; n < types.size(); ++n) {
    types[n] = program.types[n];
    if (!types[n].has_rank()) continue;
    for (Dim& dim : *types[n].shape) {
      if (!dim.is_symbolic() || dim.symbol.starts_with('?')) continue;
      const auto given = dims.find(dim.symbol);
      dim = Dim::known(given != dims.end() ? given->second : 1);
    }
  }
  program.types = std::move(types);
  std::vector<std::string> layers;
  std::map<std::string, uint32_t> known;
  for (Column& column : program.columns)
    for (Member& member : column.members) {
      std::string text = text_of(program, member);
      if (text.empty()) continue;
      const auto [it, added] = known.try_emplace(text, static_cast<uint32_t>(layers.size()));
      if (added) layers.push_back(std::move(text));
      member.layer = it->second;
    }
  return layers;
}

Result<Model> layer_model(const Program& program, const Column& column, std::span<const LanePlan> lanes) {
  Model model;
  model.name = "layer";
  model.producer_name = "mts";
  for (const Model& given : *program.models) {
    model.ir_version = std::max(model.ir_version, given.ir_version);
    for (const auto& [domain, version] : given.opsets)
      model.opsets[domain] = std::max(model.opsets[domain], version);
  }
  Emitter emitter(program, model.graph);
  for (const LanePlan& lane : lanes) {
    if (lane.fused()) {
      emitter.fused(column, lane);
    } else {
      emitter.single(column.members[lane.members.front()]);
    }
  }
  model.graph.erase_dead_nodes();
  store_constants_once(model.graph);
  for (size_t i = 0; i < model.graph.value_count(); ++i)
    model.graph.value(static_cast<ValueId>(i)).name = fmt::format("v{}", i);
  MTS_TRY(model.graph.sort());
  MTS_TRY(verify_ir(model));
  return model;
}

}  // namespace mts
