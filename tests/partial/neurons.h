// Weights whose elements follow from who their rows and columns are: equal in two models exactly where the
// neurons are equal, as in MTZ.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mts::testing_partial {

using Ids = std::vector<int>;  // neurons: equal numbers are one neuron

inline float element(int layer, int row, int column, int place) {
  uint64_t x = static_cast<uint64_t>(layer) * 1000003 + static_cast<uint64_t>(row) * 10007 +
               static_cast<uint64_t>(column) * 101 + static_cast<uint64_t>(place);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  x ^= x >> 31;
  return static_cast<float>(static_cast<int64_t>(x % 2000001) - 1000000) / 1000000;
}

// `float[dims] name = {...}` of the textual syntax, rows outermost unless `columns_first`.
inline std::string weight(const std::string& name, int layer, const Ids& rows, const Ids& columns,
                          int places = 1, bool columns_first = false) {
  std::string dims = columns_first ? std::to_string(columns.size()) + ", " + std::to_string(rows.size())
                                   : std::to_string(rows.size()) + ", " + std::to_string(columns.size());
  if (places > 1) dims += ", " + std::to_string(places);
  std::string values;
  const auto add = [&](int row, int column) {
    for (int place = 0; place < places; ++place)
      values += (values.empty() ? "" : ", ") + std::to_string(element(layer, row, column, place));
  };
  if (columns_first) {
    for (const int column : columns)
      for (const int row : rows) add(row, column);
  } else {
    for (const int row : rows)
      for (const int column : columns) add(row, column);
  }
  return "float[" + dims + "] " + name + " = {" + values + "}";
}

inline std::string vector(const std::string& name, int layer, const Ids& ids) {
  std::string values;
  for (const int id : ids)
    values += (values.empty() ? "" : ", ") + std::to_string(element(layer, id, 0, 7) + 2);
  return "float[" + std::to_string(ids.size()) + "] " + name + " = {" + values + "}";
}

}  // namespace mts::testing_partial
