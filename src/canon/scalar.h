// Constants with one number.
#pragma once

#include <mts/weight.h>

namespace mts::canon {

// A 0-D constant of a float or 8- to 64-bit integer type, rounded to it; null for other types.
WeightPtr scalar_of(DType dtype, double value);
// 1-D, `count` times the same number.
WeightPtr filled(DType dtype, double value, int64_t count);

}  // namespace mts::canon
