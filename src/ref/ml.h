// What the models of ai.onnx.ml share.
#pragma once

#include "ref/operator.h"

#include <string>
#include <vector>

namespace mts::ref {

// Applies post_transform (NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO, PROBIT) to each row of `width` scores.
Result<void> post_transform(const Call& c, const std::string& name, std::vector<double>& scores,
                            size_t width);

// The labels of a classifier: strings or int64, from the first attribute that is there.
struct Labels {
  std::vector<std::string> strings;
  std::vector<int64_t> ints;
  size_t size() const { return strings.empty() ? ints.size() : strings.size(); }
  // One label a row.
  Result<Tensor> pick(const Call& c, const std::vector<size_t>& chosen) const;
};

// An input [N, C] (or [C], taken as one row) as doubles.
struct Rows2D {
  int64_t rows = 1, columns = 0;
  std::vector<double> values;
};
Result<Rows2D> rows_of(const Call& c, const Tensor& x);

Tensor float_rows(const std::vector<double>& values, int64_t rows, int64_t columns);

}  // namespace mts::ref
