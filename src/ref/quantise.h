// What quantised operators share.
#pragma once

#include "ref/operator.h"

namespace mts::ref {

// sums * x_scale * w_scale / y_scale + y_zero_point, rounded to even and saturated to the zero point's type.
// `sums` is float64. w_scale is a scalar or has one value for each position of `axis` of the sums.
Result<Tensor> requantise(const Call& c, const Tensor& sums, const Tensor& x_scale, const Tensor& w_scale,
                          const Tensor& y_scale, const Tensor& y_zero_point, int64_t axis);

}  // namespace mts::ref
