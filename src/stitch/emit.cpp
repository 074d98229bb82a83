#include "stitch/emit.h"

#include "stitch/bundles.h"
#include "stitch/constants.h"

#include <algorithm>
#include <map>
#include <set>

namespace mts {
namespace {

class Emitter {
 public:
  Emitter(const Program& program, const Plan& plan, const Numbering& numbering, const EmitOptions& options,
          Graph& graph)
      : program_(program),
        plan_(plan),
        numbering_(numbering),
        options_(options),
        graph_(graph),
        builder_(graph, program.models->front().opset()),
        bundles_(program, options.allow_duplicates, builder_) {}

  void inputs(const std::vector<SharedInput>& shared_inputs, const SymbolicShapes& shapes);
  void columns();
  void outputs();

 private:
  const Model& model(uint32_t m) const { return (*program_.models)[m]; }
  Number number_of(uint32_t m, ValueId value) const { return numbering_.of[m][index(value)]; }
  // What the user calls the node.
  const std::string& node_name(uint32_t m, NodeId id) const {
    const Node& node = model(m).graph.node(id);
    return node.name.empty() ? node.op_type : node.name;
  }
  // The declared type, its symbols as the program calls them (they differ when dimensions are independent).
  Type interface_type(const Value& value, Number number) const;
  void single_member(const Member& member);
  void lane(const Column& column, const LanePlan& plan);
  std::string origin_of(std::span<const Member* const> members) const;
  void output_origin(uint32_t m, ValueId id);  // of the nodes that hand over a model's output

  const Program& program_;
  const Plan& plan_;
  const Numbering& numbering_;
  const EmitOptions& options_;
  Graph& graph_;
  Builder builder_;
  Bundles bundles_;
};

void Emitter::inputs(const std::vector<SharedInput>& shared_inputs, const SymbolicShapes& shapes) {
  std::set<ValueRef> stand_ins;
  for (const SharedInput& input : shapes.inputs) stand_ins.insert(input.members.begin(), input.members.end());
  std::map<ValueRef, const SharedInput*> shared;
  for (const SharedInput& input : shared_inputs)
    for (const ValueRef& member : input.members) shared[member] = &input;
  std::set<const SharedInput*> done;
  for (uint32_t m = 0; m < program_.models->size(); ++m)
    for (const ValueId id : model(m).graph.inputs()) {
      if (stand_ins.contains({m, id})) continue;
      const auto it = shared.find({m, id});
      if (it != shared.end() && !done.insert(it->second).second) continue;
      const Value& value = model(m).graph.value(id);
      const Number number = number_of(m, id);
      const ValueId input =
          graph_.add_input(it != shared.end() ? it->second->name : model(m).name + "/" + value.name,
                           options_.independent_dims ? interface_type(value, number) : value.type);
      graph_.value(input).doc = value.doc;
      bundles_.set_single(number, input);
    }
  for (size_t i = 0; i < shapes.shapes.size(); ++i) {
    const ValueRef first = shapes.inputs[i].members.front();
    builder_.set_origin(shapes.shapes[i].origin, "mts/shape");
    bundles_.set_single(number_of(first.model, first.value), emit_symbolic_shape(shapes.shapes[i], builder_));
  }
}

Type Emitter::interface_type(const Value& value, Number number) const {
  Type type = value.type;
  const Type& named = program_.types[number];
  if (!type.has_rank() || !named.has_rank() || named.rank() != type.rank()) return type;
  for (size_t axis = 0; axis < type.rank(); ++axis)
    if ((*type.shape)[axis].is_symbolic() && (*named.shape)[axis].is_symbolic())
      (*type.shape)[axis] = (*named.shape)[axis];
  return type;
}

std::string Emitter::origin_of(std::span<const Member* const> members) const {
  std::vector<std::pair<uint32_t, NodeId>> origins;
  for (const Member* member : members)
    origins.insert(origins.end(), member->origins.begin(), member->origins.end());
  std::ranges::sort(origins);
  std::string text;
  for (const auto& [m, node] : origins) {
    if (!text.empty()) text += ';';
    text += model(m).name + ":" + node_name(m, node);
  }
  return text;
}

void Emitter::single_member(const Member& member) {
  const Node& original = program_.node(member);
  const Member* const members[] = {&member};
  builder_.set_origin(origin_of(members), original.name);
  Node node = Builder::like(original);
  if (options_.keep_metadata) {
    node.metadata = original.metadata;
    node.doc = original.doc;
  }
  std::vector<ValueId> captures;
  for (const Number capture : member.captures) captures.push_back(bundles_.single(capture));
  // Bodies are copied with their captures pointing at the fused graph.
  size_t next = 0;
  const auto adopt = [&](const std::shared_ptr<Graph>& body) {
    auto copy = body->clone();
    const auto body_captures = copy->captures();
    for (const Capture& capture : body_captures) copy->set_capture(capture.inner, captures[next++]);
    return copy;
  };
  for (Attribute& attribute : node.attributes) {
    if (auto* one = std::get_if<std::shared_ptr<Graph>>(&attribute.value)) *one = adopt(*one);
    if (auto* many = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.value))
      for (auto& body : *many) body = adopt(body);
  }
  std::vector<ValueId> inputs;
  for (const Number operand : member.operands)
    inputs.push_back(operand == kNoNumber ? kNoValue : bundles_.single(operand));
  std::vector<Type> types;
  for (const Number output : member.outputs)
    types.push_back(output == kNoNumber ? Type{} : program_.types[output]);
  const auto outputs = builder_.nodes(std::move(node), std::move(inputs), types);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (member.outputs[i] != kNoNumber) {
      bundles_.set_single(member.outputs[i], outputs[i]);
    } else {
      graph_.set_output_of(graph_.value(outputs.front()).producer, i, kNoValue);
    }
  }
}

void Emitter::lane(const Column& column, const LanePlan& plan) {
  std::vector<const Member*> members;
  for (const uint32_t m : plan.members) members.push_back(&column.members[m]);
  if (!plan.fused()) return single_member(*members.front());
  const Node& original = program_.node(*members.front());
  builder_.set_origin(origin_of(members), original.name);
  const Lane lane = make_lane(program_, column, plan.members, options_.allow_duplicates);
  std::vector<ValueId> operands;
  for (size_t i = 0; i < plan.option.operands.size(); ++i) {
    const Form& form = plan.option.operands[i];
    if (form.kind == Form::Kind::kAbsent) {
      operands.push_back(kNoValue);
    } else if (form.kind == Form::Kind::kOnce) {
      operands.push_back(bundles_.single(members.front()->operands[i]));
    } else {
      std::vector<Number> numbers;
      for (const Member* member : members) numbers.push_back(member->operands[i]);
      operands.push_back(bundles_.fused(numbers, form.placement));
    }
  }
  const auto outputs = find_rule(original)->emit(lane, plan.option, operands, builder_);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Form& form = plan.option.outputs[i];
    if (!form.is_fused()) continue;
    std::vector<Number> numbers;
    for (const Member* member : members) numbers.push_back(member->outputs[i]);
    bundles_.add(std::move(numbers), form.placement, outputs[i]);
  }
}

void Emitter::output_origin(uint32_t m, ValueId id) {
  const Value& original = model(m).graph.value(id);
  const NodeId producer = original.producer;
  builder_.set_origin(model(m).name + ":" + (producer == kNoNode ? original.name : node_name(m, producer)),
                      model(m).name + "/" + original.name);
}

void Emitter::columns() {
  std::map<Number, std::pair<uint32_t, ValueId>> outputs;  // of a model
  for (uint32_t m = 0; m < program_.models->size(); ++m)
    for (const ValueId id : model(m).graph.outputs()) outputs.try_emplace(number_of(m, id), m, id);
  for (const auto& [c, l] : plan_.order) {
    const LanePlan& plan = plan_.columns[c].lanes[l];
    lane(program_.columns[c], plan);
    // Outputs are taken out of what was fused at once: they are held to the end, the whole need not be.
    for (const uint32_t member : plan.members)
      for (const Number number : program_.columns[c].members[member].outputs)
        if (const auto found = outputs.find(number); found != outputs.end()) {
          output_origin(found->second.first, found->second.second);
          bundles_.single(number);
        }
  }
}

void Emitter::outputs() {
  std::set<ValueId> named;
  for (uint32_t m = 0; m < program_.models->size(); ++m)
    for (const ValueId id : model(m).graph.outputs()) {
      const Value& original = model(m).graph.value(id);
      const std::string name = model(m).name + "/" + original.name;
      output_origin(m, id);
      const Number number = number_of(m, id);
      const Type type = options_.independent_dims ? interface_type(original, number) : original.type;
      ValueId value = bundles_.single(number);
      if (graph_.is_input(value) &&
          graph_.value(value).name == name) {  // an input that is an output under its own name
        graph_.add_output(value);
        continue;
      }
      // A value can have one name only: a second output, an echoed input or a constant gets its own.
      const bool free = graph_.value(value).producer != kNoNode && named.insert(value).second;
      if (!free) value = builder_.node("Identity", {value}, {}, type);
      graph_.value(value).name = name;
      graph_.value(value).type = type;
      graph_.value(value).doc = original.doc;
      graph_.add_output(value);
    }
}

// Sizes that only the planner named are unknown to a reader of the file.
void forget_invented_symbols(Graph& graph) {
  std::set<std::string> known;
  for (const auto* interface : {&graph.inputs(), &graph.outputs()})
    for (const ValueId id : *interface)
      if (graph.value(id).type.has_rank())
        for (const Dim& dim : *graph.value(id).type.shape) known.insert(dim.symbol);
  for (size_t i = 0; i < graph.value_count(); ++i) {
    Type& type = graph.value(static_cast<ValueId>(i)).type;
    if (!type.has_rank()) continue;
    for (Dim& dim : *type.shape)
      if (dim.is_symbolic() && !known.contains(dim.symbol)) dim.symbol.clear();
  }
}

// Names of the interface are given; everything else makes room.
void make_names_unique(Graph& graph) {
  std::set<std::string> taken;
  std::set<ValueId> interface(graph.inputs().begin(), graph.inputs().end());
  interface.insert(graph.outputs().begin(), graph.outputs().end());
  for (const ValueId id : interface) taken.insert(graph.value(id).name);
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    if (interface.contains(id)) continue;
    std::string& name = graph.value(id).name;
    const std::string base = name;
    for (int n = 1; !taken.insert(name).second; ++n) name = base + "_" + std::to_string(n);
  }
}

}  // namespace

Graph emit(const Program& program, const Plan& plan, const Numbering& numbering,
           const std::vector<SharedInput>& shared_inputs, const SymbolicShapes& shapes,
           const EmitOptions& options) {
  Graph graph;
  graph.name = "mts";
  Emitter emitter(program, plan, numbering, options, graph);
  emitter.inputs(shared_inputs, shapes);
  emitter.columns();
  emitter.outputs();
  graph.erase_dead_nodes();
  store_constants_once(graph);
  forget_invented_symbols(graph);
  make_names_unique(graph);
  return graph;
}

}  // namespace mts
