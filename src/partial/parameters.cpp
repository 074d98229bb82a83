#include "partial/parameters.h"

#include "partial/merged_rows.h"

#include <algorithm>
#include <map>
#include <string>

namespace mts::partial {
namespace {

// Parts (one over this) that vectors must have in common to be compared, and that must be saved.
constexpr int64_t kCommonPart = 16, kSavedPart = 64;

struct Norm {
  uint32_t model = 0;
  NodeId node = kNoNode;
};

// [elements, parameters]: a row is what one channel has. nullptr where there is nothing to take apart.
WeightPtr parameters_of(const Graph& graph, const Node& node) {
  if ((!node.is("LayerNormalization") && !node.is("RMSNormalization")) || !node.domain.empty())
    return nullptr;
  std::vector<WeightPtr> columns;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const WeightPtr weight = node.inputs[i] == kNoValue ? nullptr : graph.value(node.inputs[i]).weight;
    if (weight == nullptr || weight->dtype() != DType::kFloat32 || weight->dims().size() != 1) return nullptr;
    if (i > 1 && weight->dims() != graph.value(node.inputs[1]).weight->dims()) return nullptr;
    const std::vector<double> values = weight->as_doubles();
    if (std::ranges::all_of(values, [&](double value) { return value == values.front(); })) return nullptr;
    columns.push_back(Weight::reshape(weight, {weight->dims()[0], 1}));
  }
  return columns.empty() ? nullptr : Weight::concat(std::move(columns), 1);
}

class Reader {
 public:
  Reader(Graph& graph, NodeId norm) : graph_(graph), norm_(norm) {}
  void read(const MergedRows& merged, const std::vector<int64_t>& places);

 private:
  ValueId constant(const char* what, WeightPtr weight) {
    return graph_.add_constant(name_of(what), std::move(weight));
  }
  ValueId add(const char* op, std::vector<ValueId> inputs, Type type, std::vector<Attribute> attributes = {});
  std::string name_of(const char* what) const {
    return graph_.value(graph_.node(norm_).outputs[0]).name + "_" + what +
           std::to_string(graph_.value_count());
  }

  Graph& graph_;
  NodeId norm_;
};

ValueId Reader::add(const char* op, std::vector<ValueId> inputs, Type type,
                    std::vector<Attribute> attributes) {
  Node node;
  node.op_type = op;
  node.name = graph_.node(norm_).name;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const ValueId out = graph_.add_value(name_of(op), std::move(type));
  node.outputs = {out};
  graph_.insert_before(norm_, std::move(node));
  return out;
}

void Reader::read(const MergedRows& merged, const std::vector<int64_t>& places) {
  const int64_t rows = merged.table->dims()[0];
  const auto count = static_cast<int64_t>(places.size());
  const std::vector<Dim> shape = {Dim::known(count)};
  ValueId index = kNoValue;
  if (!is_identity(places)) {
    const WeightPtr map = map_of(places, rows);
    index = constant("map", map);
    if (map->dtype() == DType::kUint16)
      index = add("Cast", {index}, Type::tensor(DType::kInt32, shape),
                  {{"to", static_cast<int64_t>(DType::kInt32), {}}});
  }
  for (size_t i = 1; i < graph_.node(norm_).inputs.size(); ++i) {
    const auto column = static_cast<int64_t>(i) - 1;
    const ValueId all =
        constant("merged", Weight::reshape(Weight::slice(merged.table, 1, column, 1), {rows}));
    const auto ints = [&](int64_t value) {
      return constant("at", Weight::int64s(std::vector<int64_t>{value}));
    };
    const Type type = Type::tensor(DType::kFloat32, shape);
    const ValueId mine = index == kNoValue ? add("Slice", {all, ints(0), ints(count), ints(0)}, type)
                                           : add("Gather", {all, index}, type, {{"axis", int64_t{0}, {}}});
    graph_.set_input(norm_, i, mine);
  }
}

}  // namespace

int64_t merge_parameters(std::vector<Model>& models) {
  struct Alike {
    std::vector<Norm> norms;
    std::vector<WeightPtr> parameters;  // distinct ones
    std::vector<size_t> parameters_of;  // by norm
  };
  std::map<int64_t, Alike> alike;  // by the number of parameters
  for (uint32_t m = 0; m < models.size(); ++m)
    for (const NodeId id : models[m].graph.order())
      if (const WeightPtr own = parameters_of(models[m].graph, models[m].graph.node(id)); own != nullptr) {
        Alike& those = alike[own->dims()[1]];
        const auto known = std::ranges::find_if(those.parameters, [&](const WeightPtr& one) {
          return one->dims() == own->dims() && one->same_content(*own);
        });
        those.norms.push_back({m, id});
        those.parameters_of.push_back(static_cast<size_t>(known - those.parameters.begin()));
        if (known == those.parameters.end()) those.parameters.push_back(own);
      }
  int64_t count = 0;
  for (const auto& [columns, those] : alike)
    for (const std::vector<size_t>& group : groups_that_share(those.parameters, kCommonPart)) {
      std::vector<WeightPtr> members;
      size_t before = 0;
      for (const size_t p : group) {
        members.push_back(those.parameters[p]);
        before += members.back()->byte_size();
      }
      const MergedRows merged = merge_rows(members);
      if (merged.byte_size() + before / kSavedPart >= before) continue;
      for (size_t n = 0; n < those.norms.size(); ++n) {
        const auto at = std::ranges::find(group, those.parameters_of[n]);
        if (at == group.end()) continue;
        Reader(models[those.norms[n].model].graph, those.norms[n].node)
            .read(merged, merged.places[static_cast<size_t>(at - group.begin())]);
        ++count;
      }
    }
  return count;
}

}  // namespace mts::partial
