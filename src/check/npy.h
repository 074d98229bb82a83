// NumPy's .npy files (format 1.0, 2.0 and 3.0):
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
// Reads C and Fortran order; bool, (u)int8..64, float16..64, complex64/128, unicode (U) and byte (S) strings,
// and the two-byte void type as which ml_dtypes stores bfloat16. Refuses big endian, object and structured
// arrays. Writes format 1.0 (2.0 when the header needs it), C order. What NumPy has no type for is written as
// the integers that hold its bits or values: bfloat16 as uint16 (bits), float8 as uint8 (bits), 4- and 2-bit
// integers as (u)int8 (values).
#pragma once

#include <mts/error.h>
#include <mts/tensor.h>

#include <string>
#include <string_view>

namespace mts::check {

// `name` is the file's name in messages.
Result<Tensor> parse_npy(std::string_view bytes, const std::string& name);
Result<Tensor> read_npy(const std::string& path);  // kIo: cannot be read; kModel: is no usable .npy file

Result<std::string> format_npy(const Tensor& tensor);
Result<void> write_npy(const std::string& path,
                       const Tensor& tensor);  // kIo; removes what it could not finish

}  // namespace mts::check
