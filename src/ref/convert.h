// Conversion of tensors between element types, as the operator Cast defines it.
#pragma once

#include "ref/formats.h"
#include "ref/operator.h"

#include <span>
#include <vector>

namespace mts::ref {

struct Conversion {
  bool saturate = true;  // float8: what is too large becomes the largest value, not infinity or NaN
  E8M0Rounding e8m0 = E8M0Rounding::kUp;
};
// Floats become integers by truncation (out of range saturates), integers of another width wrap. kUnsupported
// for complex types, kModel for a string that is no number.
Result<Tensor> convert(const Call& c, const Tensor& in, DType to, const Conversion& how = {});

// Any numeric tensor as doubles.
Result<std::vector<double>> to_doubles(const Call& c, const Tensor& in);
// As `to`, which is any numeric type; values that are out of range saturate.
Result<Tensor> from_doubles(const Call& c, std::span<const double> values, DType to, Dims dims,
                            const Conversion& how = {});

}  // namespace mts::ref
