// What is planned: the unique work of all models. Nodes with equal value numbers are one member;
// corresponding members stand in one column; columns are in an order that is topological for every model.
#pragma once

#include "plan/cost.h"

#include <mts/align.h>
#include <mts/graph.h>
#include <mts/share.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mts {

using Number = uint32_t;  // of a value, see Numbering
inline constexpr Number kNoNumber = Numbering::kNone;

// A node that has to run, with every node of the models that it stands for.
struct Member {
  uint32_t model = 0;  // of the first of them
  NodeId node = kNoNode;
  std::vector<std::pair<uint32_t, NodeId>> origins;
  std::vector<Number> operands;  // per input; kNoNumber for absent ones
  std::vector<Number> captures;  // outer values that its subgraphs read
  std::vector<Number> outputs;   // kNoNumber for absent or unused ones
  Work work;                     // by itself
  uint32_t layer = kNoLayer;     // equal for nodes that are measured as one, see LayerFigures
};

struct Column {
  uint32_t id = 0;  // its place in the undivided program, see in_groups
  std::vector<Member> members;
};

struct ValueSource {  // of a number that a node produces
  uint32_t column = 0xffffffffu, member = 0, output = 0;
  bool produced() const { return column != 0xffffffffu; }
};

// What parts of a program have in common with it: copies hold the same elements. Filled when the program is
// made, and not changed afterwards.
template <class T>
class SharedVector {
 public:
  void resize(size_t size) { values_->resize(size); }
  size_t size() const { return values_->size(); }
  T& operator[](size_t i) { return (*values_)[i]; }
  const T& operator[](size_t i) const { return (*values_)[i]; }
  auto begin() { return values_->begin(); }
  auto end() { return values_->end(); }
  auto begin() const { return values_->cbegin(); }
  auto end() const { return values_->cend(); }

 private:
  std::shared_ptr<std::vector<T>> values_ = std::make_shared<std::vector<T>>();
};

struct Program {
  const std::vector<Model>* models = nullptr;
  std::vector<Column> columns;
  // By number:
  // Unknown sizes have symbols; equal symbols are equal sizes. Symbols that no graph input has start with
  // '?'.
  SharedVector<Type> types;
  SharedVector<WeightPtr> weights;  // null when not constant
  SharedVector<double> bytes;       // CostModel::bytes of the type
  std::vector<ValueSource> sources;
  std::vector<uint32_t> use_counts;          // operands, captures and model outputs that read it
  std::vector<std::vector<Number>> outputs;  // of each model
  double stored_weights = 0;                 // bytes in all models, whatever they share

  const Node& node(const Member& member) const { return (*models)[member.model].graph.node(member.node); }
};

struct ProgramOptions {
  bool independent_dims = false;
};
// `numbering` decides which nodes are one; `alignment` which of them correspond.
Program make_program(const std::vector<Model>& models, const Alignment& alignment, const Numbering& numbering,
                     const ProgramOptions& options = {});

}  // namespace mts
