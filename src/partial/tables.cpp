#include "partial/tables.h"

#include "partial/merged_rows.h"

#include <algorithm>
#include <map>
#include <string>

namespace mts::partial {
namespace {

// Tables have to have at least this part of the smaller one in common: a padding row alone is no reason.
constexpr int64_t kWorthwhilePart = 128;

struct Reader {  // a Gather
  uint32_t model = 0;
  NodeId node = kNoNode;
};

ValueId table_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.is("Gather") || node.int_or("axis", 0) != 0) return kNoValue;
  const WeightPtr& weight = graph.value(node.inputs[0]).weight;
  const Type& ids = graph.value(node.inputs[1]).type;
  if (weight == nullptr || !is_float(weight->dtype()) || bit_width(weight->dtype()) < 8 ||
      weight->dims().size() != 2 || weight->dims()[0] < 2 || weight->dims()[1] < 1 ||
      graph.uses(node.inputs[0]).size() != 1 || !ids.is_tensor() ||
      (ids.dtype != DType::kInt64 && ids.dtype != DType::kInt32))
    return kNoValue;
  // Constant indices are mapped here: they must be right.
  const auto in_range = [&](int64_t row) { return row >= -weight->dims()[0] && row < weight->dims()[0]; };
  if (const WeightPtr& constant = graph.value(node.inputs[1]).weight;
      constant != nullptr && !std::ranges::all_of(constant->as_int64s(), in_range))
    return kNoValue;
  return node.inputs[0];
}

WeightPtr int32_scalar(int64_t value) {
  const auto narrow = static_cast<int32_t>(value);
  return Weight::from_bytes(DType::kInt32, {},
                            own_bytes(std::string(reinterpret_cast<const char*>(&narrow), sizeof narrow)));
}

// Adds `op(inputs)` in front of `reader`.
ValueId add_before(Graph& graph, NodeId reader, const char* op, std::vector<ValueId> inputs, Type type,
                   std::vector<Attribute> attributes = {}) {
  const ValueId out = graph.add_value(
      graph.value(graph.node(reader).outputs[0]).name + "_" + op + std::to_string(graph.value_count()),
      std::move(type));
  Node node = make_node(op, std::move(inputs), {out}, std::move(attributes));
  node.name = graph.node(reader).name;
  graph.insert_before(reader, std::move(node));
  return out;
}

void read_merged(Graph& graph, NodeId id, const WeightPtr& table, const std::vector<int64_t>& places) {
  const std::string name = graph.value(graph.node(id).inputs[0]).name;
  const ValueId ids = graph.node(id).inputs[1];
  const Type type = graph.value(ids).type;
  ValueId index;
  if (const WeightPtr& constant = graph.value(ids).weight; constant != nullptr) {
    std::vector<int64_t> moved;
    for (const int64_t row : constant->as_int64s())
      moved.push_back(places[static_cast<size_t>(row < 0 ? row + static_cast<int64_t>(places.size()) : row)]);
    index = graph.add_constant(name + "_rows" + std::to_string(graph.value_count()),
                               Weight::reshape(Weight::int64s(moved), constant->dims()));
  } else if (is_identity(places)) {
    const auto size = static_cast<int64_t>(places.size());
    WeightPtr width = type.dtype == DType::kInt64 ? Weight::int64_scalar(size) : int32_scalar(size);
    const ValueId entries =
        graph.add_constant(name + "_entries" + std::to_string(graph.value_count()), std::move(width));
    index = add_before(graph, id, "Mod", {ids, entries}, type);
  } else {
    const WeightPtr places_of = map_of(places, table->dims()[0]);
    const ValueId map = graph.add_constant(name + "_map" + std::to_string(graph.value_count()), places_of);
    Type mapped = type;
    mapped.dtype = places_of->dtype();
    index = add_before(graph, id, "Gather", {map, ids}, mapped);
    if (mapped.dtype == DType::kUint16) {
      mapped.dtype = DType::kInt32;
      index =
          add_before(graph, id, "Cast", {index}, mapped, {{"to", static_cast<int64_t>(DType::kInt32), {}}});
    }
  }
  const ValueId merged = graph.add_constant(name + "_merged" + std::to_string(graph.value_count()), table);
  graph.set_input(id, 0, merged);
  graph.set_input(id, 1, index);
}

}  // namespace

int64_t merge_tables(std::vector<Model>& models) {
  // By width and type: rows of other lengths have nothing in common.
  std::map<std::pair<int64_t, DType>, std::vector<Reader>> alike;
  for (uint32_t m = 0; m < models.size(); ++m)
    for (const NodeId id : models[m].graph.order())
      if (const ValueId table = table_of(models[m].graph, id); table != kNoValue) {
        const WeightPtr& weight = models[m].graph.value(table).weight;
        alike[{weight->dims()[1], weight->dtype()}].push_back({m, id});
      }
  int64_t count = 0;
  for (const auto& [form, readers] : alike) {
    std::vector<WeightPtr> tables;
    std::vector<size_t> table_of_reader;  // equal tables are one
    for (const Reader& reader : readers) {
      const Graph& graph = models[reader.model].graph;
      const WeightPtr& weight = graph.value(graph.node(reader.node).inputs[0]).weight;
      const auto known = std::ranges::find_if(tables, [&](const WeightPtr& one) {
        return one->dims() == weight->dims() && one->same_content(*weight);
      });
      table_of_reader.push_back(static_cast<size_t>(known - tables.begin()));
      if (known == tables.end()) tables.push_back(weight);
    }
    for (const std::vector<size_t>& group : groups_that_share(tables, kWorthwhilePart)) {
      std::vector<WeightPtr> members;
      for (const size_t t : group) members.push_back(tables[t]);
      const MergedRows merged = merge_rows(members);
      size_t before = 0;
      for (const WeightPtr& member : members) before += member->byte_size();
      if (merged.byte_size() >= before) continue;
      for (size_t r = 0; r < readers.size(); ++r) {
        const auto at = std::ranges::find(group, table_of_reader[r]);
        if (at == group.end()) continue;
        read_merged(models[readers[r].model].graph, readers[r].node, merged.table,
                    merged.places[static_cast<size_t>(at - group.begin())]);
        ++count;
      }
    }
  }
  return count;
}

}  // namespace mts::partial
