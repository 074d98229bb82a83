// The names that the values of a graph get in a file: what the graph says where that is unique, else made
// unique, the same on every run.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace mts::onnxio {

class Names {
 public:
  // Inputs and outputs of the top graph keep their names: kInternal when one is empty or two different values
  // share one. In subgraphs, captures are called as the outer graph calls them, and no other name of an outer
  // graph is used again.
  static Result<Names> assign(const Graph& graph, const Names* outer);

  // Empty for kNoValue.
  const std::string& of(ValueId id) const { return id == kNoValue ? none_ : names_[index(id)]; }

 private:
  Names(const Graph& graph, const Names* outer) : outer_(outer), names_(graph.value_count()) {}

  bool is_taken(const std::string& name) const;
  bool is_taken_outside(const std::string& name) const { return outer_ != nullptr && outer_->is_taken(name); }
  // Gives the value the name that it asks for, unless that is empty or taken.
  bool claim(ValueId id, const std::string& wish);
  void invent(ValueId id, std::string_view base);

  const Names* outer_;
  std::string none_;
  std::vector<std::string> names_;
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, uint32_t> next_;  // number to try first, by base
};

// Values that are written: inputs, captures, what live nodes produce, and the constants that something uses.
std::vector<ValueId> written_values(const Graph& graph);
// Constants that something uses, in the order of their ids.
std::vector<ValueId> used_constants(const Graph& graph);

}  // namespace mts::onnxio
