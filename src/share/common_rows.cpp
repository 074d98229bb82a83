#include "share/common_rows.h"

#include <algorithm>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include <xxhash.h>

namespace mts::share {
namespace {

constexpr size_t kTelling = 4;       // bytes of an element that two models do not have by chance
constexpr size_t kLeastCommon = 2;   // elements that a row must have in common with another one
constexpr size_t kMostRepeated = 8;  // occurrences a model of an element beyond which it tells nothing

// A weight as rows of elements, row by row. An element is what one row holds for one column.
struct Content {
  std::vector<std::byte> bytes;
  size_t rows = 0, elements = 0, element_bytes = 0;  // elements: of a row; 0: no columns
  std::vector<uint64_t> row_digests;

  std::span<const std::byte> row(size_t r) const {
    return std::span(bytes).subspan(r * row_bytes(), row_bytes());
  }
  size_t row_bytes() const { return rows == 0 ? 0 : bytes.size() / rows; }
};

Content read(const Matrix& matrix) {
  const Dims& dims = matrix.weight->dims();
  std::vector<int64_t> order = {matrix.rows};
  if (matrix.columns >= 0) order.push_back(matrix.columns);
  for (int64_t axis = 0; axis < static_cast<int64_t>(dims.size()); ++axis)
    if (axis != matrix.rows && axis != matrix.columns) order.push_back(axis);

  Content content;
  content.bytes.resize(matrix.weight->byte_size());
  // Packed types (int4) have no rows that begin at a byte: read as they lie, compared as one row.
  if (bit_width(matrix.weight->dtype()) % 8 != 0) {
    matrix.weight->read(content.bytes);
    content.rows = 1;
  } else {
    Weight::transpose(matrix.weight, order)->read(content.bytes);
    content.rows = static_cast<size_t>(dims[static_cast<size_t>(matrix.rows)]);
    if (matrix.columns >= 0)
      content.elements = static_cast<size_t>(dims[static_cast<size_t>(matrix.columns)]);
    if (content.elements > 0) content.element_bytes = content.row_bytes() / content.elements;
  }
  for (size_t r = 0; r < content.rows; ++r) {
    const auto row = content.row(r);
    content.row_digests.push_back(XXH3_64bits_withSeed(row.data(), row.size(), content.element_bytes));
  }
  return content;
}

struct RowId {
  uint32_t matrix, row;
  auto operator<=>(const RowId&) const = default;
};

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// Rows that are not equal to a row of another model may have elements in common with one.
class Elements {
 public:
  explicit Elements(std::span<const Matrix> matrices) : matrices_(matrices) {
    uint64_t count = 0;
    for (const Matrix& matrix : matrices) count += static_cast<uint64_t>(matrix.weight->element_count());
    // Elements are drawn by their digest, so that the models draw the same ones.
    const uint64_t all = std::numeric_limits<uint64_t>::max();
    if (count > kSampled) drawn_below_ = all / count * kSampled;
  }

  void add(uint32_t matrix, const Content& content) {
    if (content.element_bytes < kTelling) return;
    for (uint32_t r = 0; r < content.rows; ++r) add_row({matrix, r}, content);
  }

  // The part of the row's elements that rows of other models hold, at most one row a model.
  double common_part(RowId id) const {
    const auto found = digests_.find(id);
    if (found == digests_.end()) return 0;
    const std::vector<uint64_t>& row = found->second;
    std::map<RowId, size_t> counts;
    for (const uint64_t digest : row)
      for (const RowId other : holders(digest))
        if (matrices_[other.matrix].model != matrices_[id.matrix].model) ++counts[other];
    std::map<uint32_t, std::pair<size_t, RowId>> best;  // by model
    for (const auto& [other, count] : counts) {
      auto& so_far = best[matrices_[other.matrix].model];
      if (count >= kLeastCommon && count > so_far.first) so_far = {count, other};
    }
    size_t common = 0;
    for (const uint64_t digest : row)
      common += std::ranges::any_of(holders(digest), [&](const RowId& holder) {
        const auto partner = best.find(matrices_[holder.matrix].model);
        return partner != best.end() && partner->second.first > 0 && partner->second.second == holder;
      });
    return static_cast<double>(common) / static_cast<double>(row.size());
  }

 private:
  void add_row(RowId id, const Content& content) {
    std::vector<uint64_t> row;
    for (size_t e = 0; e < content.elements; ++e) {
      const auto element = content.row(id.row).subspan(e * content.element_bytes, content.element_bytes);
      const uint64_t digest = XXH3_64bits(element.data(), element.size());
      if (digest > drawn_below_) continue;
      // A zero stays in the row, as something that nobody else has, but not in the table.
      row.push_back(digest);
      if (!is_zero(element)) holders_[digest].push_back(id);
    }
    if (!row.empty()) digests_.emplace(id, std::move(row));
  }

  std::span<const RowId> holders(uint64_t digest) const {
    const auto found = holders_.find(digest);
    if (found == holders_.end() || found->second.size() > kMostRepeated * matrices_.size()) return {};
    return found->second;
  }

  std::span<const Matrix> matrices_;
  uint64_t drawn_below_ = std::numeric_limits<uint64_t>::max();
  std::map<RowId, std::vector<uint64_t>> digests_;
  std::unordered_map<uint64_t, std::vector<RowId>> holders_;
};

}  // namespace

std::vector<uint64_t> common_bytes(std::span<const Matrix> matrices) {
  // One weight at a time is in memory.
  std::vector<std::vector<uint64_t>> rows;
  Elements elements(matrices);
  for (uint32_t i = 0; i < matrices.size(); ++i) {
    const Content content = read(matrices[i]);
    elements.add(i, content);
    rows.push_back(content.row_digests);
  }

  constexpr uint32_t kSeveral = 0xffffffffU;
  std::unordered_map<uint64_t, uint32_t> owner;  // of a row's content: a model, or kSeveral
  for (size_t i = 0; i < matrices.size(); ++i)
    for (const uint64_t digest : rows[i]) {
      const auto [entry, fresh] = owner.emplace(digest, matrices[i].model);
      if (!fresh && entry->second != matrices[i].model) entry->second = kSeveral;
    }

  std::vector<uint64_t> result;
  for (uint32_t i = 0; i < matrices.size(); ++i) {
    double common = 0;
    for (uint32_t r = 0; r < rows[i].size(); ++r)
      common += owner.at(rows[i][r]) == kSeveral ? 1.0 : elements.common_part({i, r});
    const auto bytes = static_cast<double>(matrices[i].weight->byte_size());
    result.push_back(static_cast<uint64_t>(
        bytes * common / static_cast<double>(std::max<size_t>(1, rows[i].size())) + 0.5));
  }
  return result;
}

}  // namespace mts::share
