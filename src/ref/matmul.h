// Matrix products that several operators share.
#pragma once

#include "ref/operator.h"

#include <cstdint>
#include <vector>

namespace mts::ref {

// y[m,n] = sum_k a[m,k] * b[k,n] with strides in elements; the sum in Acc, in order of k.
template <class T, class Acc, class Out>
void multiply(const T* a, int64_t a_row, int64_t a_column, const T* b, int64_t b_row, int64_t b_column,
              int64_t m, int64_t k, int64_t n, Out* y) {
  std::vector<Acc> sums(static_cast<size_t>(n));
  for (int64_t i = 0; i < m; ++i) {
    std::fill(sums.begin(), sums.end(), Acc{0});
    if (b_column == 1) {  // rows of b are contiguous: stream them
      for (int64_t p = 0; p < k; ++p) {
        const auto factor = static_cast<Acc>(a[i * a_row + p * a_column]);
        const T* row = b + p * b_row;
        for (size_t j = 0; j < sums.size(); ++j) sums[j] += factor * static_cast<Acc>(row[j]);
      }
    } else {
      for (size_t j = 0; j < sums.size(); ++j) {
        const T* column = b + static_cast<int64_t>(j) * b_column;
        Acc sum{0};
        for (int64_t p = 0; p < k; ++p) {
          sum += static_cast<Acc>(a[i * a_row + p * a_column]) * static_cast<Acc>(column[p * b_row]);
        }
        sums[j] = sum;
      }
    }
    for (size_t j = 0; j < sums.size(); ++j) y[i * n + static_cast<int64_t>(j)] = static_cast<Out>(sums[j]);
  }
}

// Numpy's matmul of two tensors of one numeric type; any rank from 1.
Result<Tensor> matmul(const Call& c, const Tensor& a, const Tensor& b);

// An integer or float tensor as float64; `zero_point` (scalar, or one a row of axis `axis`) subtracted.
Result<Tensor> centred(const Call& c, const Tensor& x, const Tensor* zero_point, int64_t axis);

}  // namespace mts::ref
