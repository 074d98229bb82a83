// How much of a layer's weight other models store too, when rows and columns may lie at other places.
//
// in:  the weights that one operand of a layer has in different models, and which of their axes are rows
// (output
//      channels) and columns (input channels)
// out: for each, the bytes of it that another model's weight holds: rows of equal content, and in the other
// rows
//      those elements (or kernels of elements, for convolutions) that a row of another model has in common
//      with it
// A measure for people, no proof: it reads digests and is estimated from a sample where a layer has more than
// kSampled numbers. Single elements of less than 4 bytes and zeros say nothing and count only in whole rows.
// Cost: reads every weight once, one at a time; a table of about kSampled elements.
#pragma once

#include <mts/weight.h>

#include <cstdint>
#include <span>
#include <vector>

namespace mts::share {

inline constexpr size_t kSampled = size_t{1} << 20;

struct Matrix {
  WeightPtr weight;
  uint32_t model = 0;
  int64_t rows = 0;      // the axis of output channels
  int64_t columns = -1;  // the axis of input channels; -1: rows are compared as a whole only
};

std::vector<uint64_t> common_bytes(std::span<const Matrix> matrices);

}  // namespace mts::share
