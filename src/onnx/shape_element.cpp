#include "onnx/shape_element.h"

#include <algorithm>
#include <limits>

namespace mts::onnxio {

Element number(int64_t value) {
  Element element;
  element.set_dim_value(value);
  return element;
}
std::optional<int64_t> number_of(const Element& e) {
  return e.has_dim_value() ? std::optional<int64_t>(e.dim_value()) : std::nullopt;
}
bool is_number(const Element& e, int64_t value) { return e.has_dim_value() && e.dim_value() == value; }
bool is_symbol(const Element& e) { return e.has_dim_param() && !e.dim_param().empty(); }
bool same(const Element& a, const Element& b) {
  return (a.has_dim_value() && is_number(b, a.dim_value())) ||
         (is_symbol(a) && is_symbol(b) && a.dim_param() == b.dim_param());
}

namespace {

// Applies `operation` where both are numbers and nothing overflows.
template <class Operation>
Element checked(const Element& a, const Element& b, Operation operation) {
  int64_t result = 0;
  return a.has_dim_value() && b.has_dim_value() && !operation(a.dim_value(), b.dim_value(), &result)
             ? number(result)
             : Element();
}

Element add(const Element& a, const Element& b) {
  if (is_number(a, 0)) return b;
  if (is_number(b, 0)) return a;
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_add_overflow(x, y, r); });
}
Element subtract(const Element& a, const Element& b) {
  if (is_number(b, 0)) return a;
  if (same(a, b)) return number(0);
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_sub_overflow(x, y, r); });
}
Element divide(const Element& a, const Element& b) {
  if (is_number(b, 1)) return a;
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) {
    if (y == 0 || (y == -1 && x == std::numeric_limits<int64_t>::min())) return true;
    *r = x / y;
    return false;
  });
}
Element modulo(const Element& a, const Element& b) {
  if (is_number(b, 1)) return number(0);
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) {
    if (y <= 0) return true;
    *r = (x % y + y) % y;
    return false;
  });
}
Element minimum(const Element& a, const Element& b) {
  if (same(a, b)) return a;
  return a.has_dim_value() && b.has_dim_value() ? number(std::min(a.dim_value(), b.dim_value())) : Element();
}
Element maximum(const Element& a, const Element& b) {
  if (same(a, b)) return a;
  return a.has_dim_value() && b.has_dim_value() ? number(std::max(a.dim_value(), b.dim_value())) : Element();
}
Element equal(const Element& a, const Element& b) {
  if (same(a, b)) return number(1);
  if (a.has_dim_value() && b.has_dim_value()) return number(0);
  // A symbol is not negative.
  const bool differ = (is_symbol(a) && b.has_dim_value() && b.dim_value() < 0) ||
                      (is_symbol(b) && a.has_dim_value() && a.dim_value() < 0);
  return differ ? number(0) : Element();
}

}  // namespace

Element multiply(const Element& a, const Element& b) {
  if (is_number(a, 1) || is_number(b, 0)) return b;
  if (is_number(b, 1) || is_number(a, 0)) return a;
  return checked(a, b, [](int64_t x, int64_t y, int64_t* r) { return __builtin_mul_overflow(x, y, r); });
}

Binary binary_of(const std::string& op_type) {
  if (op_type == "Add") return add;
  if (op_type == "Sub") return subtract;
  if (op_type == "Mul") return multiply;
  if (op_type == "Div") return divide;
  if (op_type == "Mod") return modulo;
  if (op_type == "Min") return minimum;
  if (op_type == "Max") return maximum;
  if (op_type == "Equal") return equal;
  return nullptr;
}

}  // namespace mts::onnxio
