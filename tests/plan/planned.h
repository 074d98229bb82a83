// Builds the program that the planner sees, from textual models.
#pragma once

#include "plan/program.h"

#include <mts/align.h>
#include <mts/model_io.h>
#include <mts/share.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace mts::testing {

// The body of a textual graph with everything around it that does not matter.
inline std::string graph_text(const std::string& graph) {
  return "<ir_version: 8, opset_import: [\"\" : 17]>\n" + graph;
}

struct ProgramCase {
  std::vector<std::string> graphs;       // of models "a", "b", ...: see graph_text
  std::vector<std::string> shared = {};  // names of inputs that all models share
  std::vector<std::string> widened =
      {};  // [1,1] float constants that become distinct or equal [128,128] ones
  bool independent_dims = false;
};

// Owns the models that its program refers to.
class Planned {
 public:
  explicit Planned(const ProgramCase& given) {
    for (const std::string& text : given.graphs) {
      auto model = parse_text(graph_text(text), std::string(1, static_cast<char>('a' + models.size())));
      EXPECT_TRUE(model) << model.error().to_string();
      for (const std::string& name : given.widened) widen(model->graph, name);
      EXPECT_TRUE(infer_types(*model));
      models.push_back(std::move(*model));
    }
    std::vector<SharedInput> shared_inputs;
    for (const std::string& name : given.shared) {
      SharedInput input{.name = name, .members = {}};
      for (uint32_t m = 0; m < models.size(); ++m)
        for (const ValueId id : models[m].graph.inputs())
          if (models[m].graph.value(id).name == name) input.members.push_back({m, id});
      shared_inputs.push_back(std::move(input));
    }
    const WeightClasses classes = classify_weights(models);
    numbering = number_values(models, classes, shared_inputs);
    const Alignment alignment = align(models, classes, numbering);
    program = make_program(models, alignment, numbering, {.independent_dims = given.independent_dims});
  }
  Planned(const Planned&) = delete;
  Planned& operator=(const Planned&) = delete;

  Number number(uint32_t model, const std::string& name) const {
    const Graph& graph = models[model].graph;
    for (size_t i = 0; i < graph.value_count(); ++i)
      if (graph.value(static_cast<ValueId>(i)).name == name) return numbering.of[model][i];
    ADD_FAILURE() << "no value " << name;
    return kNoNumber;
  }
  const Type& type(uint32_t model, const std::string& name) const {
    return program.types[number(model, name)];
  }
  // The only column whose nodes are of this type.
  uint32_t column_index(const std::string& op_type) const {
    for (uint32_t c = 0; c < program.columns.size(); ++c)
      if (program.node(program.columns[c].members.front()).is(op_type)) return c;
    ADD_FAILURE() << "no column of " << op_type;
    return 0;
  }
  const Column& column(const std::string& op_type) const { return program.columns[column_index(op_type)]; }

  std::vector<Model> models;
  Numbering numbering;
  Program program;

 private:
  // Text has no room for a constant of 64 KB: its one number says what the big one holds.
  static void widen(Graph& graph, const std::string& name) {
    for (size_t i = 0; i < graph.value_count(); ++i) {
      Value& value = graph.value(static_cast<ValueId>(i));
      if (value.name != name || value.weight == nullptr) continue;
      std::vector<float> content(128 * 128);
      std::iota(content.begin(), content.end(), static_cast<float>(value.weight->as_doubles().front()));
      value.weight = Weight::floats(content, {128, 128});
      value.type = Type::tensor(DType::kFloat32, {Dim::known(128), Dim::known(128)});
    }
  }
};

}  // namespace mts::testing
