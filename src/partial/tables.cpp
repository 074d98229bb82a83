#include "partial/tables.h"

#include "partial/matrix.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

namespace mts::partial {
namespace {

// Merged tables have to save at least this part of the smallest of them.
constexpr size_t kWorthwhilePart = 128;

// A row of a table, by value.
struct Row {
  uint32_t member = 0;
  int64_t row = 0;
};

// Where the rows of each member are in the merged table.
struct Merged {
  WeightPtr table;
  std::vector<std::vector<int64_t>> places;  // by member
};

ValueId table_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.is("Gather") || node.int_or("axis", 0) != 0) return kNoValue;
  const WeightPtr& weight = graph.value(node.inputs[0]).weight;
  const Type& ids = graph.value(node.inputs[1]).type;
  if (weight == nullptr || !is_float(weight->dtype()) || bit_width(weight->dtype()) < 8 ||
      weight->dims().size() != 2 || weight->dims()[0] < 2 || graph.value(node.inputs[1]).weight != nullptr ||
      graph.uses(node.inputs[0]).size() != 1 || !ids.is_tensor() ||
      (ids.dtype != DType::kInt64 && ids.dtype != DType::kInt32))
    return kNoValue;
  return node.inputs[0];
}

Merged merge(const std::vector<WeightPtr>& tables) {
  Merged merged;
  std::vector<WeightPtr> parts;
  std::map<Digest, Row> known;
  std::map<Digest, int64_t> place_of;
  std::vector<Matrix> rows;
  rows.reserve(tables.size());
  int64_t total = 0;
  const std::vector<uint32_t> all = {0};
  for (uint32_t m = 0; m < tables.size(); ++m) {
    rows.emplace_back(tables[m], 0, 1, 1, tables[m]->dims()[1]);
    auto& places = merged.places.emplace_back();
    std::vector<int64_t> fresh;
    for (int64_t r = 0; r < tables[m]->dims()[0]; ++r) {
      const Digest digest = rows[m].hash(static_cast<size_t>(r), all);
      const auto found = known.find(digest);
      const bool same =
          found != known.end() && rows[m].equal_rows(static_cast<size_t>(r), rows[found->second.member],
                                                     static_cast<size_t>(found->second.row));
      // All rows of the first table stay where they are.
      if (same && m > 0) {
        places.push_back(place_of.at(digest));
        continue;
      }
      places.push_back(total + static_cast<int64_t>(fresh.size()));
      if (found == known.end()) {
        known[digest] = {m, r};
        place_of[digest] = places.back();
      }
      fresh.push_back(r);
    }
    total += static_cast<int64_t>(fresh.size());
    if (!fresh.empty()) parts.push_back(Weight::gather(tables[m], 0, std::move(fresh)));
  }
  merged.table = Weight::concat(std::move(parts), 0);
  return merged;
}

WeightPtr int32_scalar(int64_t value) {
  const auto narrow = static_cast<int32_t>(value);
  return Weight::from_bytes(DType::kInt32, {},
                            own_bytes(std::string(reinterpret_cast<const char*>(&narrow), sizeof narrow)));
}

bool is_identity(const std::vector<int64_t>& places) {
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// Adds `op(inputs)` in front of `reader`.
ValueId add_before(Graph& graph, NodeId reader, const char* op, std::vector<ValueId> inputs, Type type,
                   std::vector<Attribute> attributes = {}) {
  Node node;
  node.op_type = op;
  node.name = graph.node(reader).name;
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const ValueId out = graph.add_value(
      graph.value(graph.node(reader).outputs[0]).name + "_" + op + std::to_string(graph.value_count()),
      std::move(type));
  node.outputs = {out};
  graph.insert_before(reader, std::move(node));
  return out;
}

void read_merged(Graph& graph, NodeId id, const WeightPtr& table, const std::vector<int64_t>& places) {
  const std::string name = graph.value(graph.node(id).inputs[0]).name;
  const ValueId ids = graph.node(id).inputs[1];
  const Type type = graph.value(ids).type;
  ValueId index;
  if (is_identity(places)) {
    const auto size = static_cast<int64_t>(places.size());
    WeightPtr width = type.dtype == DType::kInt64 ? Weight::int64_scalar(size) : int32_scalar(size);
    const ValueId entries =
        graph.add_constant(name + "_entries" + std::to_string(graph.value_count()), std::move(width));
    index = add_before(graph, id, "Mod", {ids, entries}, type);
  } else {
    const ValueId map =
        graph.add_constant(name + "_map" + std::to_string(graph.value_count()), Weight::int64s(places));
    Type mapped = type;
    mapped.dtype = DType::kInt64;
    index = add_before(graph, id, "Gather", {map, ids}, mapped);
  }
  const ValueId merged = graph.add_constant(name + "_merged" + std::to_string(graph.value_count()), table);
  graph.set_input(id, 0, merged);
  graph.set_input(id, 1, index);
}

}  // namespace

bool has_different_tables(const std::vector<Model>& models) {
  std::map<Digest, size_t> seen;
  size_t count = 0;
  for (const Model& model : models)
    for (const NodeId id : model.graph.order())
      if (const ValueId table = table_of(model.graph, id); table != kNoValue) {
        ++seen[model.graph.value(table).weight->digest()];
        ++count;
      }
  return seen.size() > 1 && count > 1;
}

int64_t merge_tables(std::vector<Model>& models, const Alignment& alignment) {
  int64_t count = 0;
  for (const AlignedSet& set : alignment.sets) {
    // By width: rows of other lengths have nothing in common.
    std::map<std::pair<int64_t, DType>, std::vector<uint32_t>> alike;
    for (uint32_t m = 0; m < models.size(); ++m) {
      if (set.nodes[m] == kNoNode) continue;
      const ValueId table = table_of(models[m].graph, set.nodes[m]);
      if (table == kNoValue) continue;
      const WeightPtr& weight = models[m].graph.value(table).weight;
      alike[{weight->dims()[1], weight->dtype()}].push_back(m);
    }
    for (const auto& [form, members] : alike) {
      std::vector<WeightPtr> tables;
      std::vector<uint32_t> owners;  // index into `tables` of each member: equal tables are one
      for (const uint32_t m : members) {
        const WeightPtr& weight = models[m].graph.value(models[m].graph.node(set.nodes[m]).inputs[0]).weight;
        const auto known = std::ranges::find_if(tables, [&](const WeightPtr& one) {
          return one->dims() == weight->dims() && one->same_content(*weight);
        });
        owners.push_back(static_cast<uint32_t>(known - tables.begin()));
        if (known == tables.end()) tables.push_back(weight);
      }
      if (tables.size() < 2) continue;
      const Merged merged = merge(tables);
      size_t before = 0, smallest = tables.front()->byte_size(), maps = 0;
      for (uint32_t t = 0; t < tables.size(); ++t) {
        before += tables[t]->byte_size();
        smallest = std::min(smallest, tables[t]->byte_size());
        if (!is_identity(merged.places[t])) maps += merged.places[t].size() * sizeof(int64_t);
      }
      const size_t after = merged.table->byte_size() + maps;
      if (after >= before || (before - after) * kWorthwhilePart < smallest) continue;
      for (size_t i = 0; i < members.size(); ++i)
        read_merged(models[members[i]].graph, set.nodes[members[i]], merged.table, merged.places[owners[i]]);
      count += static_cast<int64_t>(members.size());
    }
  }
  return count;
}

}  // namespace mts::partial
