#include "partial/tables.h"

#include "partial/matrix.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

namespace mts::partial {
namespace {

// Tables have to have at least this part of the smaller one in common: a padding row alone is no reason.
constexpr int64_t kWorthwhilePart = 128;

struct Reader {  // a Gather
  uint32_t model = 0;
  NodeId node = kNoNode;
};

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

template <class T>
WeightPtr integers(DType dtype, Dims dims, const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) {
    const auto narrow = static_cast<T>(value);
    bytes.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
  }
  return Weight::from_bytes(dtype, std::move(dims), own_bytes(std::move(bytes)));
}

WeightPtr int32_scalar(int64_t value) { return integers<int32_t>(DType::kInt32, {}, {value}); }

// Where the entries of one member are in a table of `rows` rows, in the narrowest type that can say so and is
// no type of weights; Gather takes int32 for indices as it is.
WeightPtr map_of(const std::vector<int64_t>& places, int64_t rows) {
  const Dims dims = {static_cast<int64_t>(places.size())};
  if (rows <= int64_t{1} << 16) return integers<uint16_t>(DType::kUint16, dims, places);
  if (rows < int64_t{1} << 31) return integers<int32_t>(DType::kInt32, dims, places);
  return Weight::int64s(places);
}

bool is_identity(const std::vector<int64_t>& places) {
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i] != static_cast<int64_t>(i)) return false;
  return true;
}

// Tables that have enough rows in common, transitively, in groups of at least two.
std::vector<std::vector<size_t>> groups_that_share(const std::vector<WeightPtr>& tables) {
  std::map<Digest, std::vector<size_t>> owners;
  const std::vector<uint32_t> all = {0};
  for (size_t t = 0; t < tables.size(); ++t) {
    const Matrix rows(tables[t], 0, 1, 1, tables[t]->dims()[1]);
    for (size_t r = 0; r < rows.rows(); ++r) {
      auto& list = owners[rows.hash(r, all)];
      if (list.empty() || list.back() != t) list.push_back(t);
    }
  }
  std::map<std::pair<size_t, size_t>, int64_t> common;  // rows
  for (const auto& [digest, list] : owners)
    for (size_t i = 1; i < list.size(); ++i) ++common[{list[i - 1], list[i]}];
  std::vector<size_t> parent(tables.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto find = [&](size_t t) {
    while (parent[t] != t) t = parent[t] = parent[parent[t]];
    return t;
  };
  for (const auto& [pair, rows] : common)
    if (rows * kWorthwhilePart >= std::min(tables[pair.first]->dims()[0], tables[pair.second]->dims()[0]))
      parent[std::max(find(pair.first), find(pair.second))] = std::min(find(pair.first), find(pair.second));
  std::map<size_t, std::vector<size_t>> groups;
  for (size_t t = 0; t < tables.size(); ++t) groups[find(t)].push_back(t);
  std::vector<std::vector<size_t>> result;
  for (auto& [first, group] : groups)
    if (group.size() > 1) result.push_back(std::move(group));
  return result;
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
    for (const std::vector<size_t>& group : groups_that_share(tables)) {
      std::vector<WeightPtr> members;
      for (const size_t t : group) members.push_back(tables[t]);
      const Merged merged = merge(members);
      size_t before = 0, maps = 0;
      for (size_t k = 0; k < members.size(); ++k) {
        before += members[k]->byte_size();
        if (!is_identity(merged.places[k]))
          maps += map_of(merged.places[k], merged.table->dims()[0])->byte_size();
      }
      if (merged.table->byte_size() + maps >= before) continue;
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
