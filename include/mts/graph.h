// The intermediate representation: a light SSA graph. Nodes and values live in vectors and are named by ids
// that stay valid until the graph is destroyed; use-lists are kept up to date by Graph's own functions.
// Subgraphs (If, Loop, Scan) are child graphs whose captures of outer values are explicit.
#pragma once

#include <mts/dtype.h>
#include <mts/error.h>
#include <mts/weight.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mts {

enum class ValueId : uint32_t {};
enum class NodeId : uint32_t {};
inline constexpr ValueId kNoValue{0xffffffffu};  // an optional input or output that is not there
inline constexpr NodeId kNoNode{0xffffffffu};
constexpr size_t index(ValueId id) { return static_cast<size_t>(id); }
constexpr size_t index(NodeId id) { return static_cast<size_t>(id); }

// A dimension: known (value >= 0), symbolic (value < 0, symbol not empty) or unknown.
struct Dim {
  int64_t value = -1;
  std::string symbol;

  static Dim known(int64_t v) { return Dim{v, {}}; }
  static Dim symbolic(std::string s) { return Dim{-1, std::move(s)}; }
  static Dim unknown() { return Dim{}; }
  bool is_known() const { return value >= 0; }
  bool is_symbolic() const { return value < 0 && !symbol.empty(); }
  // Provably equal: both known and equal, or the same symbol. Two unknown dimensions are not.
  bool same_as(const Dim& other) const {
    return (is_known() && value == other.value) ||
           (is_symbolic() && other.value < 0 && symbol == other.symbol);
  }
  bool operator==(const Dim&) const = default;
};
using Shape = std::vector<Dim>;

// The type of a value. Tensors are understood; every other kind is kept as its serialised onnx.TypeProto.
struct Type {
  enum class Kind { kUnknown, kTensor, kOther };
  Kind kind = Kind::kUnknown;
  DType dtype = DType::kUndefined;  // tensors
  std::optional<Shape> shape;       // tensors; absent when the rank is unknown
  std::string encoded;              // kOther: serialised TypeProto

  static Type tensor(DType dtype, Shape shape) { return Type{Kind::kTensor, dtype, std::move(shape), {}}; }
  static Type tensor(DType dtype) { return Type{Kind::kTensor, dtype, std::nullopt, {}}; }
  bool is_tensor() const { return kind == Kind::kTensor; }
  bool has_rank() const { return is_tensor() && shape.has_value(); }
  size_t rank() const { return shape->size(); }  // requires has_rank()
  bool operator==(const Type&) const = default;
};
std::string to_string(
    const Type& type);  // "float32[N,3,224,224]", "int64[?]", "float32[...]" for unknown rank
// All dimensions known: the static dims.
std::optional<Dims> static_dims(const Type& type);

using Metadata = std::vector<std::pair<std::string, std::string>>;

class Graph;

// An attribute. What mts does not interpret (sparse tensors, type protos, ...) is kept serialised in
// `Encoded`.
struct Encoded {
  std::string attribute_proto;
  bool operator==(const Encoded&) const = default;
};
using AttributeValue = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                                    std::vector<std::string>, WeightPtr, std::vector<WeightPtr>,
                                    std::shared_ptr<Graph>, std::vector<std::shared_ptr<Graph>>, Encoded>;
struct Attribute {
  std::string name;
  AttributeValue value;
  std::string doc;
};

struct Node {
  std::string op_type;
  std::string domain;  // "" is ai.onnx (the reader maps "ai.onnx" to "")
  std::string overload;
  std::string name;
  std::string doc;
  // Read freely; change only through Graph (use-lists).
  std::vector<ValueId> inputs;   // kNoValue for an absent optional input
  std::vector<ValueId> outputs;  // kNoValue for an absent optional output
  std::vector<Attribute> attributes;
  Metadata metadata;
  std::string extra;  // serialised NodeProto fields that mts does not interpret (device configurations, ...)

  bool is(std::string_view type) const { return op_type == type && domain.empty(); }
  const Attribute* find(std::string_view attribute) const;
  int64_t int_or(std::string_view attribute, int64_t fallback) const;
  float float_or(std::string_view attribute, float fallback) const;
  std::string string_or(std::string_view attribute, std::string fallback) const;
  std::vector<int64_t> ints_or(std::string_view attribute, std::vector<int64_t> fallback) const;
  void set(std::string attribute, AttributeValue value);  // adds or replaces
  void remove(std::string_view attribute);
  // Child graphs of all attributes, in order.
  std::vector<Graph*> subgraphs() const;
  // "name (OpType)" for messages.
  std::string label() const;
};

// An ai.onnx node with these inputs, outputs and attributes.
Node make_node(std::string op_type, std::vector<ValueId> inputs, std::vector<ValueId> outputs = {},
               std::vector<Attribute> attributes = {});

struct Use {
  NodeId node;
  int32_t input;  // position in Node::inputs; -1: captured by a subgraph of the node
  bool operator==(const Use&) const = default;
};

struct Value {
  std::string name;  // unique in its graph once written; names mean nothing to mts
  Type type;
  NodeId producer = kNoNode;  // kNoNode: graph input, constant or capture
  uint32_t output = 0;        // position in the producer's outputs
  WeightPtr weight;           // set for constants (initializers)
  Metadata metadata;
  std::string doc;

  bool is_constant() const { return weight != nullptr; }
};

struct Capture {
  ValueId outer;  // value of the enclosing graph
  ValueId inner;  // value of this graph that stands for it
};

class Graph {
 public:
  std::string name;
  std::string doc;
  Metadata metadata;
  std::string
      extra;  // serialised GraphProto fields that mts does not interpret (quantization_annotation, ...)

  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) noexcept = default;
  Graph& operator=(Graph&&) noexcept = default;

  // Values.
  ValueId add_value(std::string name, Type type);            // no producer yet
  ValueId add_constant(std::string name, WeightPtr weight);  // type from the weight
  ValueId add_input(std::string name, Type type);
  ValueId add_capture(ValueId outer, std::string name, Type type);  // in a child graph
  void add_output(ValueId value);
  void set_output(size_t position, ValueId value);
  void remove_input(size_t position);  // the value must be unused
  void remove_output(size_t position);
  void remove_capture(ValueId inner);              // must be unused
  void set_capture(ValueId inner, ValueId outer);  // the enclosing graph must refresh_captures() of the node
  const Value& value(ValueId id) const { return values_[index(id)]; }
  Value& value(ValueId id) {
    return values_[index(id)];
  }                                                      // name, type, weight, metadata may be changed freely
  size_t value_count() const { return values_.size(); }  // dead ones included: ids are < value_count()
  const std::vector<Use>& uses(ValueId id) const { return uses_[index(id)]; }
  bool is_output(ValueId id) const;  // is a graph output
  bool is_input(ValueId id) const;
  bool is_unused(ValueId id) const { return uses(id).empty() && !is_output(id); }
  // Every use (node inputs, captures by subgraphs, graph outputs) of `from` becomes one of `to`.
  void replace_uses(ValueId from, ValueId to);

  // Nodes. `order()` holds the live nodes; it is topological after `sort()`, and `add_node` appends.
  // Outputs of `node` are values without producer, or kNoValue.
  NodeId add_node(Node node);
  NodeId insert_before(NodeId position, Node node);
  void set_input(NodeId node, size_t position, ValueId value);
  void append_input(NodeId node, ValueId value);
  void resize_inputs(NodeId node, size_t count);                    // drops trailing ones or adds kNoValue
  void set_output_of(NodeId node, size_t position, ValueId value);  // old value loses its producer
  void resize_outputs(NodeId node, size_t count);
  void erase_node(NodeId id);        // all its outputs must be unused
  void refresh_captures(NodeId id);  // after the captures of a subgraph of the node changed
  const Node& node(NodeId id) const { return nodes_[index(id)]; }
  Node& node(NodeId id) { return nodes_[index(id)]; }
  size_t node_count() const { return nodes_.size(); }  // dead ones included
  bool is_alive(NodeId id) const { return alive_[index(id)]; }
  const std::vector<NodeId>& order() const;
  // Stable topological sort; fails on a cycle, naming a node on it.
  Result<void> sort();
  // Deletes nodes whose outputs are all unused, transitively; returns how many.
  size_t erase_dead_nodes();

  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }  // a value may occur twice
  const std::vector<Capture>& captures() const { return captures_; }

  std::shared_ptr<Graph> clone() const;  // deep; ids are kept

 private:
  void add_use(ValueId id, Use use);
  void remove_use(ValueId id, Use use);
  void wire(NodeId id);

  std::vector<Node> nodes_;
  std::vector<bool> alive_;
  std::vector<std::vector<ValueId>> captured_;  // per node: outer values that its subgraphs capture
  mutable std::vector<NodeId> order_;           // compacted by order() after erasures
  mutable size_t dead_in_order_ = 0;
  std::vector<Value> values_;
  std::vector<std::vector<Use>> uses_;
  std::vector<ValueId> inputs_, outputs_;
  std::vector<Capture> captures_;
};

struct Model {
  std::string name;  // how the user calls it: file stem or `name=path`
  std::string path;  // for messages
  int64_t ir_version = 0;
  std::map<std::string, int64_t> opsets;  // domain ("" = ai.onnx) -> version
  std::string producer_name, producer_version, domain, doc;
  int64_t model_version = 0;
  Metadata metadata;
  std::string extra;  // serialised ModelProto fields that mts does not interpret (training_info, ...)
  Graph graph;

  int64_t opset() const;  // of ai.onnx; 0 when not imported
  Model clone() const;    // deep; ids are kept, weight bytes are shared
};

// Checks every invariant of the IR: ids in range, one producer a value, use-lists exact, order topological,
// names unique and not empty, captures of child graphs refer to live outer values. Messages name the node.
Result<void> verify_ir(const Graph& graph);
inline Result<void> verify_ir(const Model& model) { return verify_ir(model.graph); }

}  // namespace mts
