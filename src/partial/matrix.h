// A weight as rows (what it makes) of columns (what it reads), each cell a few bytes; and hashes over parts
// of rows. Equal hashes are a reason to split a weight in a certain way, never a reason to take two for
// equal: the split parts are compared bytewise afterwards.
#pragma once

#include <mts/weight.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mts::partial {

class Matrix {
 public:
  // A weight [.., rows * row_unit, .., columns * column_unit, ..]. Reads it into memory when its layout
  // differs.
  Matrix(const WeightPtr& weight, size_t row_axis, size_t column_axis, int64_t row_unit, int64_t column_unit);
  // The memory that this takes.
  static size_t copied_bytes(const Weight& weight, size_t row_axis, size_t column_axis);
  // Parameters with `unit` entries a row along `axis`; everything else is one column.
  static Matrix of_parameters(const WeightPtr& weight, size_t axis, int64_t unit);

  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  size_t cell_bytes() const { return row_unit_ * cell_; }  // of one row and column
  // Over the cells of one row at `columns`, in that order.
  Digest hash(size_t row, std::span<const uint32_t> columns) const;
  // Over the cells of one column in `rows`, in that order.
  Digest hash_column(uint32_t column, std::span<const uint32_t> rows) const;
  // Over each cell of one row; fast, to look for cells that may be equal.
  void keys(size_t row, std::span<uint64_t> keys) const;
  // Bytewise, against a row of another matrix of the same columns.
  bool equal_rows(size_t row, const Matrix& other, size_t other_row) const;

 private:
  std::vector<std::byte> buffer_;  // not a string: moving it must not move the bytes
  WeightPtr keep_;
  std::span<const std::byte> bytes_;
  size_t rows_ = 0, columns_ = 0, row_unit_ = 1;
  size_t cell_ = 0;  // bytes of one column in one of the row_unit rows of the weight
};

// A hash over hashes, in order.
Digest combine(std::span<const Digest> parts);

}  // namespace mts::partial
