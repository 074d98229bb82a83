#include "plan/program.h"

#include "rules/rule.h"

#include <algorithm>
#include <map>
#include <set>

namespace mts {
namespace {

// Sizes that shape inference could not name get symbols, the same ones for members whose operands have equal
// types, whose attributes agree and whose shape parameters are the same constants: such members compute equal
// shapes.
constexpr char kUnnamed[] = "?";

class SizeNames {
 public:
  SizeNames(Program& program, size_t column) : program_(program), column_(column) {}

  void name_outputs(const Member& member) {
    std::string signature;
    for (const Number operand : member.operands) {
      if (operand == kNoNumber) {
        signature += "-;";
        continue;
      }
      signature += to_string(program_.types[operand]);
      const WeightPtr& weight = program_.weights[operand];
      if (weight != nullptr && (is_integer(weight->dtype()) || weight->element_count() <= 8))
        signature += "#" + std::to_string(operand);  // it may be a shape
      // Content of run-time shape tensors is not known: such members differ.
      if (weight == nullptr && is_integer(program_.types[operand].dtype))
        signature += "@" + std::to_string(operand);
      signature += ';';
    }
    const Node& node = program_.node(member);
    size_t variant = 0;
    while (variant < kinds_.size() &&
           !(kinds_[variant].signature == signature && agree(*kinds_[variant].node, node)))
      ++variant;
    if (variant == kinds_.size()) kinds_.push_back({signature, &node});
    for (size_t i = 0; i < member.outputs.size(); ++i) {
      if (member.outputs[i] == kNoNumber) continue;
      Type& type = program_.types[member.outputs[i]];
      if (!type.has_rank()) continue;
      for (size_t axis = 0; axis < type.shape->size(); ++axis) {
        Dim& dim = (*type.shape)[axis];
        if (dim.is_known() || dim.is_symbolic()) continue;
        dim.symbol = kUnnamed + std::to_string(column_) + "." + std::to_string(variant) + "." +
                     std::to_string(i) + "." + std::to_string(axis);
      }
    }
  }

 private:
  struct Kind {
    std::string signature;
    const Node* node;
  };
  static bool agree(const Node& a, const Node& b) {
    const Node* pair[] = {&a, &b};
    return differing_attribute(pair).empty() && a.subgraphs().empty();
  }

  Program& program_;
  size_t column_;
  std::vector<Kind> kinds_;
};

Type named_type(const Type& type, const std::string& prefix, bool rename) {
  Type result = type;
  if (!result.has_rank() || !rename) return result;
  for (Dim& dim : *result.shape)
    if (dim.is_symbolic()) dim.symbol = prefix + dim.symbol;
  return result;
}

// A size can be computed in the fused graph when some graph input has it.
void mark_uncomputable_symbols(Program& program, const Numbering& numbering,
                               const std::vector<Model>& models) {
  std::set<std::string> computable;
  for (size_t m = 0; m < models.size(); ++m)
    for (const ValueId id : models[m].graph.inputs())
      if (const Type& type = program.types[numbering.of[m][index(id)]]; type.has_rank())
        for (const Dim& dim : *type.shape) computable.insert(dim.symbol);
  for (Type& type : program.types)
    if (type.has_rank())
      for (Dim& dim : *type.shape)
        if (dim.is_symbolic() && !computable.contains(dim.symbol)) dim.symbol = kUnnamed + dim.symbol;
}

Work work_of(const Program& program, const Member& member) {
  std::vector<const Type*> operands, outputs;
  const std::unique_ptr<bool[]> constant(new bool[member.operands.size() + 1]);
  for (const Number operand : member.operands) {
    if (operand == kNoNumber) continue;
    constant[operands.size()] = program.weights[operand] != nullptr;
    operands.push_back(&program.types[operand]);
  }
  for (const Number output : member.outputs)
    if (output != kNoNumber) outputs.push_back(&program.types[output]);
  return CostModel::work_of(program.node(member), operands, {constant.get(), operands.size()}, outputs);
}

}  // namespace

Program make_program(const std::vector<Model>& models, const Alignment& alignment, const Numbering& numbering,
                     const ProgramOptions& options) {
  Program program;
  program.models = &models;
  const size_t count = numbering.first.size();
  program.types.resize(count);
  program.weights.resize(count);
  program.sources.resize(count);
  program.use_counts.resize(count, 0);
  for (size_t number = 0; number < count; ++number) {
    const ValueRef ref = numbering.first[number];
    const Value& value = models[ref.model].graph.value(ref.value);
    program.types[number] = named_type(value.type, models[ref.model].name + "/", options.independent_dims);
    program.weights[number] = value.weight;
  }
  for (const std::vector<Number>& numbers : numbering.of)
    for (const Number number : numbers)
      if (number != kNoNumber && program.weights[number] != nullptr)
        program.stored_weights += static_cast<double>(program.weights[number]->byte_size());
  const auto number_of = [&](uint32_t model, ValueId value) {
    return value == kNoValue ? kNoNumber : numbering.of[model][index(value)];
  };
  for (size_t model = 0; model < models.size(); ++model) {
    const Graph& graph = models[model].graph;
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      Type& type = program.types[number_of(static_cast<uint32_t>(model), graph.inputs()[i])];
      if (!type.has_rank()) continue;
      for (size_t axis = 0; axis < type.shape->size(); ++axis) {
        Dim& dim = (*type.shape)[axis];
        // Nothing is promised about a size without a name.
        if (!dim.is_known() && dim.symbol.empty())
          dim.symbol = "i" + std::to_string(model) + "." + std::to_string(i) + "." + std::to_string(axis);
      }
    }
    auto& outputs = program.outputs.emplace_back();
    for (const ValueId output : graph.outputs()) {
      outputs.push_back(number_of(static_cast<uint32_t>(model), output));
      ++program.use_counts[outputs.back()];
    }
  }
  mark_uncomputable_symbols(program, numbering, models);
  std::map<std::vector<Number>, std::pair<uint32_t, uint32_t>> emitted;  // outputs of a node -> its member
  for (const AlignedSet& set : alignment.sets) {
    Column column;
    const auto column_index = static_cast<uint32_t>(program.columns.size());
    column.id = column_index;
    for (size_t model = 0; model < set.nodes.size(); ++model) {
      const NodeId id = set.nodes[model];
      if (id == kNoNode) continue;
      const Graph& graph = models[model].graph;
      const Node& node = graph.node(id);
      const auto m = static_cast<uint32_t>(model);
      Member member{.model = m,
                    .node = id,
                    .origins = {{m, id}},
                    .operands = {},
                    .captures = {},
                    .outputs = {},
                    .work = {},
                    .layer = kNoLayer};
      for (const ValueId input : node.inputs) member.operands.push_back(number_of(m, input));
      for (const Graph* child : node.subgraphs())
        for (const Capture& capture : child->captures())
          member.captures.push_back(number_of(m, capture.outer));
      for (const ValueId output : node.outputs) member.outputs.push_back(number_of(m, output));
      if (const auto it = emitted.find(member.outputs); it != emitted.end()) {
        auto& owner = it->second.first == column_index ? column : program.columns[it->second.first];
        owner.members[it->second.second].origins.emplace_back(m, id);
        continue;
      }
      emitted.emplace(member.outputs,
                      std::make_pair(column_index, static_cast<uint32_t>(column.members.size())));
      column.members.push_back(std::move(member));
    }
    if (column.members.empty()) continue;
    SizeNames names(program, column_index);
    for (uint32_t m = 0; m < column.members.size(); ++m) {
      const Member& member = column.members[m];
      for (uint32_t i = 0; i < member.outputs.size(); ++i)
        if (member.outputs[i] != kNoNumber) program.sources[member.outputs[i]] = {column_index, m, i};
      for (const Number operand : member.operands)
        if (operand != kNoNumber) ++program.use_counts[operand];
      for (const Number capture : member.captures) ++program.use_counts[capture];
      names.name_outputs(member);
    }
    program.columns.push_back(std::move(column));
  }
  program.bytes.resize(count);
  for (size_t number = 0; number < count; ++number)
    program.bytes[number] = CostModel::bytes(program.types[number]);
  for (Column& column : program.columns)
    for (Member& member : column.members) member.work = work_of(program, member);
  return program;
}

}  // namespace mts
