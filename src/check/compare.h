// Comparing one output of an original with the same output of the fused model.
#pragma once

#include <mts/tensor.h>
#include <mts/verify.h>

#include <string>

namespace mts::check {

// How far an output may be off. Floats: |error| <= relative * max|reference|, and where the output is
// quantised (quantum > 0) also <= 2 quanta. Integers: |error| <= 2 * quantum, so 0 unless a quantizer wrote
// them.
struct Tolerance {
  double relative = 0;
  double quantum = 0;
};

OutputDifference compare(std::string output, const Datum& reference, const Datum& fused,
                         const Tolerance& tolerance);

// The elements as doubles (any numeric or bool dtype; empty for strings).
std::vector<double> doubles_of(const Tensor& tensor);
std::string to_string(const Dims& dims);  // "[2,3]"

}  // namespace mts::check
