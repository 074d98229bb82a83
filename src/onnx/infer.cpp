// infer_types: walks a graph in topological order and asks ONNX's schemas for the types of each node's
// outputs.
#include "base/log.h"
#include "onnx/encode.h"
#include "onnx/infer_context.h"
#include "onnx/type_proto.h"

#include <mts/model_io.h>

#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

namespace mts {
namespace onnxio {
namespace {

using Opsets = std::map<std::string, int64_t>;

class GraphInference {
 public:
  GraphInference(Graph& graph, const Opsets& opsets)
      : graph_(graph), opsets_(opsets), facts_(graph.value_count()), is_output_(graph.value_count(), false) {
    for (const ValueId id : graph.outputs()) is_output_[index(id)] = true;
    for (size_t i = 0; i < graph.value_count(); ++i) {
      const Value& value = graph.value(static_cast<ValueId>(i));
      encode_type(value.type, facts_.types[i]);
      if (!value.is_constant()) continue;
      if (value.weight->byte_size() <= kSmallTensor)
        set_data(i, encode_plain_tensor(*value.weight, kSmallTensor));
      facts_.content[i] = content_of(*value.weight);
    }
  }

  void take_captures(const ValueFacts& outer) {
    for (const Capture& capture : graph_.captures()) {
      const size_t from = index(capture.outer);
      const size_t to = index(capture.inner);
      set_type(capture.inner, decode_type(outer.types[from]));
      facts_.data[to] = outer.data[from];
      facts_.content[to] = outer.content[from];
    }
  }

  void take_inputs(const std::vector<const onnx::TypeProto*>& types) {
    for (size_t i = 0; i < types.size() && i < graph_.inputs().size(); ++i)
      if (types[i] != nullptr) set_type(graph_.inputs()[i], decode_type(*types[i]));
  }

  void run() {
    for (const NodeId id : graph_.order()) infer(graph_.node(id));
  }

  std::vector<const onnx::TypeProto*> output_types() const {
    std::vector<const onnx::TypeProto*> types;
    for (const ValueId id : graph_.outputs()) types.push_back(&facts_.types[index(id)]);
    return types;
  }

  ShapeFacts shape_facts() const {
    ShapeFacts result{std::vector<std::vector<Dim>>(graph_.value_count()),
                      std::vector<bool>(graph_.value_count())};
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const Type& type = graph_.value(static_cast<ValueId>(i)).type;
      if (!facts_.content[i] || !may_have_content(type) || type.dtype == DType::kBool) continue;
      bool known = facts_.content[i]->dim_size() == 0;
      for (const auto& dim : facts_.content[i]->dim()) {
        result.content[i].push_back(decode_dim(dim.has_dim_value(), dim.dim_value(), dim.dim_param()));
        known = known || result.content[i].back() != Dim::unknown();
      }
      result.known[i] = known;
      if (!known) result.content[i].clear();
    }
    return result;
  }

 private:
  void set_data(size_t i, onnx::TensorProto tensor) {
    facts_.owned_data.push_back(std::move(tensor));
    facts_.data[i] = &facts_.owned_data.back();
  }

  // What the graph declares as its outputs stays; elsewhere what was inferred goes before what the file said.
  void set_type(ValueId id, const Type& inferred) {
    Value& value = graph_.value(id);
    const bool declared = is_output_[index(id)] && value.type.kind != Type::Kind::kUnknown;
    const bool opaque = inferred.kind == Type::Kind::kOther && value.type.kind == Type::Kind::kOther;
    Type merged = declared || opaque ? merge_types(value.type, inferred) : merge_types(inferred, value.type);
    if (merged == value.type) return;
    if (value.type.is_tensor() && inferred.is_tensor() && merge_types(value.type, inferred) != merged)
      log::debug("value '{}': {} is declared, {} is inferred", value.name, to_string(value.type),
                 to_string(inferred));
    value.type = std::move(merged);
    facts_.types[index(id)].Clear();
    encode_type(value.type, facts_.types[index(id)]);
  }

  const onnx::OpSchema* find_schema(const Node& node) const {
    const auto opset = opsets_.find(node.domain);
    if (opset == opsets_.end()) return nullptr;
    const auto* schema =
        onnx::OpSchemaRegistry::Schema(node.op_type, static_cast<int>(opset->second), node.domain);
    if (schema == nullptr) return nullptr;
    const auto fits = [](size_t count, int low, int high) {
      return count >= static_cast<size_t>(low) && count <= static_cast<size_t>(high);
    };
    // Inference functions rely on the operand counts, and those of control flow on the types of all operands.
    if (!fits(node.inputs.size(), schema->min_input(), schema->max_input()) ||
        node.outputs.size() > static_cast<size_t>(schema->max_output()))
      return nullptr;
    if (!node.subgraphs().empty())
      for (const ValueId input : node.inputs)
        if (input != kNoValue && facts_.types[index(input)].value_case() == onnx::TypeProto::VALUE_NOT_SET)
          return nullptr;
    return schema;
  }

  void infer(const Node& node) {
    std::vector<std::unique_ptr<GraphInference>> children;
    const auto infer_child = [&](Graph& child, const std::vector<const onnx::TypeProto*>& inputs) {
      children.push_back(std::make_unique<GraphInference>(child, opsets_));
      children.back()->take_captures(facts_);
      children.back()->take_inputs(inputs);
      children.back()->run();
      return children.back()->output_types();
    };
    NodeInference context(node, facts_, infer_child);
    try {
      if (const auto* schema = find_schema(node)) infer_by_schema(node, *schema, context);
    } catch (const std::exception& error) {
      log::debug("{}: its output types cannot be inferred: {}", node.label(), error.what());
    }
    for (Graph* child : node.subgraphs())
      if (!context.has_inferred(child)) infer_child(*child, {});
  }

  void infer_by_schema(const Node& node, const onnx::OpSchema& schema, NodeInference& context) {
    if (schema.has_type_and_shape_inference_function()) {
      schema.GetTypeAndShapeInferenceFunction()(context);
    } else if (schema.HasFunction()) {
      onnx::shape_inference::DataValueMap ignored;
      onnx::shape_inference::InferShapeForFunctionNode(
          *schema.GetFunction(), onnx::OpSchemaRegistry::Instance(), context,
          onnx::ShapeInferenceOptions(false, 0, true), {}, nullptr, &ignored);
    }
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (node.outputs[i] != kNoValue) set_type(node.outputs[i], decode_type(*context.getOutputType(i)));
    if (node.is("Constant")) remember_constant(node);
    if (node.subgraphs().empty()) propagate_content(node);
  }

  // Contents of shape arithmetic, and the output shapes that follow from them.
  void propagate_content(const Node& node) {
    std::vector<Type> input_types, output_types;
    std::vector<const Content*> inputs;
    for (const ValueId id : node.inputs) {
      input_types.push_back(id == kNoValue ? Type() : graph_.value(id).type);
      auto* content = id == kNoValue ? nullptr : &facts_.content[index(id)];
      if (content != nullptr && !*content) *content = open_content(input_types.back());
      inputs.push_back(content != nullptr && *content ? &**content : nullptr);
    }
    if (auto shape = refine_shape(node, inputs, input_types); shape && node.outputs[0] != kNoValue)
      set_type(node.outputs[0], Type::tensor(graph_.value(node.outputs[0]).type.dtype, std::move(*shape)));
    for (const ValueId id : node.outputs)
      output_types.push_back(id == kNoValue ? Type() : graph_.value(id).type);
    auto contents = propagate(node, inputs, input_types, output_types);
    for (size_t i = 0; i < contents.size(); ++i)
      if (contents[i] && node.outputs[i] != kNoValue)
        facts_.content[index(node.outputs[i])] = std::move(contents[i]);
  }

  void remember_constant(const Node& node) {
    const Attribute* attribute = node.attributes.size() == 1 ? &node.attributes.front() : nullptr;
    if (attribute == nullptr || node.outputs.size() != 1 || node.outputs[0] == kNoValue) return;
    WeightPtr weight;
    if (const auto* tensor = std::get_if<WeightPtr>(&attribute->value)) weight = *tensor;
    if (const auto* value = std::get_if<int64_t>(&attribute->value)) weight = Weight::int64_scalar(*value);
    if (const auto* values = std::get_if<std::vector<int64_t>>(&attribute->value))
      weight = Weight::int64s(*values);
    if (const auto* value = std::get_if<float>(&attribute->value)) weight = Weight::floats({value, 1}, {});
    if (const auto* values = std::get_if<std::vector<float>>(&attribute->value))
      weight = Weight::floats(*values, {static_cast<int64_t>(values->size())});
    if (weight == nullptr) return;
    const size_t i = index(node.outputs[0]);
    if (weight->byte_size() <= kSmallTensor) set_data(i, encode_plain_tensor(*weight, kSmallTensor));
    facts_.content[i] = content_of(*weight);
  }

  Graph& graph_;
  const Opsets& opsets_;
  ValueFacts facts_;
  std::vector<bool> is_output_;
};

}  // namespace
}  // namespace onnxio

Result<ShapeFacts> infer_types(Model& model) {
  MTS_TRY(model.graph.sort());
  try {
    onnxio::GraphInference inference(model.graph, model.opsets);
    inference.run();
    return inference.shape_facts();
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string("type inference failed: ") + error.what(),
                {.file = model.path.empty() ? model.name : model.path, .node = {}, .value = {}});
  }
}

}  // namespace mts
