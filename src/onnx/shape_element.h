// Arithmetic on the elements of shape tensors: numbers, symbols and what is not known. Sound: a result is
// known only where it follows whatever the symbols stand for, and where nothing overflows.
#pragma once

#include "onnx/shape_values.h"

#include <cstdint>
#include <optional>
#include <string>

namespace mts::onnxio {

Element number(int64_t value);
std::optional<int64_t> number_of(const Element& e);
bool is_number(const Element& e, int64_t value);
bool is_symbol(const Element& e);
bool same(const Element& a, const Element& b);  // provably equal

Element multiply(const Element& a, const Element& b);
// Of Add, Sub, Mul, Div, Mod, Min, Max and Equal; null for other operators.
using Binary = Element (*)(const Element&, const Element&);
Binary binary_of(const std::string& op_type);

}  // namespace mts::onnxio
