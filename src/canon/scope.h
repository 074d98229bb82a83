// What the passes share: a walk over a graph and its subgraphs, constants seen through captures, and
// replacing a value.
//
// In: a Model whose IR holds (verify_ir). Every function keeps it so, except that the node order may need
// Graph::sort() where that is said. New constants are added to the top graph and captured downwards, so that
// equal ones meet.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace mts::canon {

// Makes value names that no graph of the model uses.
class Names {
 public:
  explicit Names(const Graph& top);
  std::string fresh(std::string_view base);

 private:
  void collect(const Graph& graph);
  std::unordered_set<std::string> taken_;
};

// One graph of the model with the way to its enclosing graphs.
class Scope {
 public:
  Scope(Graph& graph, Scope* parent, NodeId owner, Names& names)
      : graph_(graph), parent_(parent), owner_(owner), names_(names) {}

  Graph& graph() const { return graph_; }
  Scope* parent() const { return parent_; }
  bool is_top() const { return parent_ == nullptr; }

  // The constant that a value is, also when it is captured; null otherwise (and for kNoValue).
  WeightPtr weight(ValueId id) const;
  // Its elements: integer or bool constants only.
  std::optional<std::vector<int64_t>> ints(ValueId id) const;
  // The one element of a numeric constant with a single element.
  std::optional<double> number(ValueId id) const;

  std::string fresh_name(std::string_view base) const { return names_.fresh(base); }
  ValueId add_value(std::string_view base, Type type) const {
    return graph_.add_value(names_.fresh(base), std::move(type));
  }
  // A new constant of the top graph, as this graph sees it.
  ValueId add_constant(std::string_view base, WeightPtr weight) const;
  ValueId add_ints(std::string_view base, const std::vector<int64_t>& values) const;

  // Adds a node with one output before `position` and returns that output.
  ValueId insert(NodeId position, Node node, std::string_view base, Type type) const;

  // Every use of `from` becomes one of `to`, which must hold the same content. Graph outputs keep their
  // names: where `from` is an output, `to` takes over its name if it can (`to` is made by a node of this
  // graph and is no output itself); else only the other uses change. Returns whether anything did. The node
  // that made `from` is erased when nothing needs it any more. Preconditions: `to` does not depend on `from`;
  // for the first case the node that makes `from` has no other used output.
  bool forward(ValueId from, ValueId to) const;

 private:
  Graph& graph_;
  Scope* parent_;
  NodeId owner_;  // the node of the parent graph that holds this graph
  Names& names_;
};

// Calls `visit` for every graph of the model, enclosing graphs first; true when one call returned true.
// Subgraphs of nodes that `visit` erased are not visited.
Result<bool> for_each_graph(Model& model, const std::function<Result<bool>(Scope&)>& visit);

// Whether input `position` is given.
bool has_input(const Node& node, size_t position);
// Whether output `position` exists and is read or a graph output.
bool uses_output(const Graph& graph, const Node& node, size_t position);
// The only node input that reads `id`, when there is exactly one use and it is no graph output.
std::optional<Use> single_use(const Graph& graph, ValueId id);
// The node that makes a value, null for inputs, constants and captures.
const Node* producer_of(const Graph& graph, ValueId id);
// Like producer_of, but only an ai.onnx operator of this type.
const Node* producer_of(const Graph& graph, ValueId id, std::string_view op_type);

// Turns a 2-D constant of this graph; its readers are the caller's business.
void transpose_in_place(Graph& graph, ValueId constant);

// Provably equal shapes: ranks known and every dimension same_as the other's.
bool same_shape(const Type& a, const Type& b);

// A random operator (fresh numbers a run), an operator of a domain that mts does not know, or a node with
// subgraphs: not to be merged or folded.
bool is_pure(const Node& node);

// Normalises a negative axis; nullopt when out of range.
std::optional<size_t> normalise_axis(int64_t axis, size_t rank);

}  // namespace mts::canon
