#include "partial/merged_rows.h"

#include "partial/matrix.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

namespace mts::partial {
namespace {

// A row of a table, by value.
struct Row {
  uint32_t member = 0;
  int64_t row = 0;
};

template <class T>
WeightPtr integers(DType dtype, Dims dims, const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) {
    const auto narrow = static_cast<T>(value);
    bytes.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
  }
  return Weight::from_bytes(dtype, std::move(dims), own_bytes(std::move(bytes)));
}

}  // namespace

MergedRows merge_rows(const std::vector<WeightPtr>& tables) {
  MergedRows merged;
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

size_t MergedRows::byte_size() const {
  size_t bytes = table->byte_size();
  for (const auto& member : places)
    if (!is_identity(member)) bytes += map_of(member, table->dims()[0])->byte_size();
  return bytes;
}

std::vector<std::vector<size_t>> groups_that_share(const std::vector<WeightPtr>& tables,
                                                   int64_t worthwhile_part) {
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
    if (rows * worthwhile_part >= std::min(tables[pair.first]->dims()[0], tables[pair.second]->dims()[0]))
      parent[std::max(find(pair.first), find(pair.second))] = std::min(find(pair.first), find(pair.second));
  std::map<size_t, std::vector<size_t>> groups;
  for (size_t t = 0; t < tables.size(); ++t) groups[find(t)].push_back(t);
  std::vector<std::vector<size_t>> result;
  for (auto& [first, group] : groups)
    if (group.size() > 1) result.push_back(std::move(group));
  return result;
}

}  // namespace mts::partial
