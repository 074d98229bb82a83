#include "partial/matrix.h"

#include <algorithm>
#include <cstring>

#define XXH_INLINE_ALL  // a state on the stack, and cells of a few bytes
#include <xxhash.h>

namespace mts::partial {

Matrix::Matrix(const WeightPtr& weight, size_t row_axis, size_t column_axis, int64_t row_unit,
               int64_t column_unit)
    : row_unit_(static_cast<size_t>(row_unit)) {
  std::vector<int64_t> order = {static_cast<int64_t>(row_axis), static_cast<int64_t>(column_axis)};
  for (size_t axis = 0; axis < weight->dims().size(); ++axis)
    if (axis != row_axis && axis != column_axis) order.push_back(static_cast<int64_t>(axis));
  rows_ = static_cast<size_t>(weight->dims()[row_axis] / row_unit);
  columns_ = static_cast<size_t>(weight->dims()[column_axis] / column_unit);
  keep_ = Weight::transpose(weight, order);
  cell_ = rows_ * columns_ > 0 ? weight->byte_size() / (rows_ * row_unit_ * columns_) : 0;
  bytes_ = keep_->bytes();
  if (bytes_.empty()) {
    buffer_.resize(keep_->byte_size());
    keep_->read(buffer_);
    bytes_ = buffer_;
  }
}

size_t Matrix::copied_bytes(const Weight& weight, size_t row_axis, size_t column_axis) {
  const bool as_it_lies = row_axis == 0 && column_axis == 1 && !weight.bytes().empty();
  return as_it_lies ? 0 : weight.byte_size();
}

Matrix Matrix::of_parameters(const WeightPtr& weight, size_t axis, int64_t unit) {
  std::vector<int64_t> order = {static_cast<int64_t>(axis)};
  for (size_t k = 0; k < weight->dims().size(); ++k)
    if (k != axis) order.push_back(static_cast<int64_t>(k));
  const int64_t rows = weight->dims()[axis];
  const int64_t width = rows > 0 ? weight->element_count() / rows : 1;
  return Matrix(Weight::reshape(Weight::transpose(weight, order), {rows, width}), 0, 1, unit,
                std::max(width, int64_t{1}));
}

Digest Matrix::hash(size_t row, std::span<const uint32_t> columns) const {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (size_t k = 0; k < row_unit_; ++k) {
    const std::byte* line = bytes_.data() + (row * row_unit_ + k) * columns_ * cell_;
    for (size_t i = 0; i < columns.size();) {
      size_t end = i + 1;
      while (end < columns.size() && columns[end] == columns[end - 1] + 1) ++end;
      XXH3_128bits_update(&state, line + columns[i] * cell_, (end - i) * cell_);
      i = end;
    }
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.low64, hash.high64};
}

void Matrix::keys(size_t row, std::span<uint64_t> keys) const {
  std::ranges::fill(keys, 0);
  for (size_t k = 0; k < row_unit_; ++k) {
    const std::byte* line = bytes_.data() + (row * row_unit_ + k) * columns_ * cell_;
    for (size_t c = 0; c < keys.size(); ++c) keys[c] = XXH3_64bits_withSeed(line + c * cell_, cell_, keys[c]);
  }
}

bool Matrix::equal_rows(size_t row, const Matrix& other, size_t other_row) const {
  const size_t line = row_unit_ * columns_ * cell_;
  return line == other.row_unit_ * other.columns_ * other.cell_ &&
         std::memcmp(bytes_.data() + row * line, other.bytes_.data() + other_row * line, line) == 0;
}

Digest Matrix::hash_column(uint32_t column, std::span<const uint32_t> rows) const {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const uint32_t row : rows)
    for (size_t k = 0; k < row_unit_; ++k)
      XXH3_128bits_update(&state, bytes_.data() + ((row * row_unit_ + k) * columns_ + column) * cell_, cell_);
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.low64, hash.high64};
}

Digest combine(std::span<const Digest> parts) {
  const XXH128_hash_t hash = XXH3_128bits(parts.data(), parts.size_bytes());
  return {hash.low64, hash.high64};
}

}  // namespace mts::partial
