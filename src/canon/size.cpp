#include "canon/size.h"

#include <algorithm>

namespace mts::canon {

Size Size::known(int64_t value) {
  Size size;
  size.add({}, value);
  return size;
}

Size Size::symbol(std::string name) {
  Size size;
  size.add({std::move(name)}, 1);
  return size;
}

Size Size::dimension(const std::string& name) {
  return symbol(name.starts_with('#') || name.starts_with('?') ? "'" + name : name);
}

void Size::add(const Product& product, int64_t coefficient) {
  if (coefficient == 0) return;
  const auto [it, inserted] = terms_.try_emplace(product, coefficient);
  if (inserted) return;
  it->second += coefficient;
  if (it->second == 0) terms_.erase(it);
}

std::optional<int64_t> Size::constant() const {
  if (terms_.empty()) return 0;
  if (terms_.size() > 1 || !terms_.begin()->first.empty()) return std::nullopt;
  return terms_.begin()->second;
}

bool Size::is_nonnegative() const {
  return std::ranges::all_of(terms_, [](const auto& term) {
    return term.second > 0 &&
           std::ranges::none_of(term.first, [](const std::string& s) { return s.starts_with('?'); });
  });
}

std::optional<bool> Size::equals(const Size& other) const {
  const Size difference = *this - other;
  if (const auto constant_difference = difference.constant()) return *constant_difference == 0;
  // A sum of sizes plus something positive is not zero.
  const auto positive = [](const Size& s) {
    const auto constant_term = s.terms_.find({});
    return s.is_nonnegative() && constant_term != s.terms_.end();
  };
  if (positive(difference) || positive(other - *this)) return false;
  return std::nullopt;
}

std::optional<bool> Size::at_most(const Size& other) const {
  if ((other - *this).is_nonnegative()) return true;
  if ((*this - other - known(1)).is_nonnegative()) return false;
  return std::nullopt;
}

Size Size::smaller(const Size& other) const {
  if (const auto order = at_most(other)) return *order ? *this : other;
  if (other.at_most(*this) == true) return other;
  const std::string a = to_string(), b = other.to_string();
  return symbol("min(" + std::min(a, b) + "," + std::max(a, b) + ")");
}

std::optional<Size> Size::larger(const Size& other) const {
  if (const auto order = at_most(other)) return *order ? other : *this;
  if (other.at_most(*this) == true) return *this;
  return std::nullopt;
}

Size Size::operator+(const Size& other) const {
  Size sum = *this;
  for (const auto& [product, coefficient] : other.terms_) sum.add(product, coefficient);
  return sum;
}

Size Size::operator-(const Size& other) const {
  Size difference = *this;
  for (const auto& [product, coefficient] : other.terms_) difference.add(product, -coefficient);
  return difference;
}

Size Size::operator*(const Size& other) const {
  Size result;
  for (const auto& [left, left_coefficient] : terms_)
    for (const auto& [right, right_coefficient] : other.terms_) {
      Product product;
      std::ranges::merge(left, right, std::back_inserter(product));
      result.add(product, left_coefficient * right_coefficient);
    }
  return result;
}

std::optional<Size> Size::divided_by(const Size& divisor) const {
  if (divisor.terms_.size() != 1)
    return *this == divisor && !terms_.empty() ? std::optional(known(1)) : std::nullopt;
  const auto& [factor, scale] = *divisor.terms_.begin();
  Size quotient;
  for (const auto& [product, coefficient] : terms_) {
    if (coefficient % scale != 0 || !std::ranges::includes(product, factor)) return std::nullopt;
    Product rest;
    std::ranges::set_difference(product, factor, std::back_inserter(rest));
    quotient.add(rest, coefficient / scale);
  }
  return quotient;
}

std::optional<Size> Size::floor_divided_by(const Size& divisor) const {
  if (divisor.is(0)) return std::nullopt;
  if (auto exact = divided_by(divisor)) return exact;
  const auto constant_divisor = divisor.constant();
  const bool divisor_positive = constant_divisor ? *constant_divisor > 0 : divisor.is_nonnegative();
  if (!is_nonnegative() || !divisor_positive) return std::nullopt;
  if (const auto value = constant(); value && constant_divisor) return known(*value / *constant_divisor);
  return symbol("floor((" + to_string() + ")/(" + divisor.to_string() + "))");
}

Size Size::floor_of(int64_t divisor) const {
  if (auto exact = divided_by(known(divisor))) return *exact;
  if (const auto value = constant()) return known(*value / divisor);
  return symbol("floor((" + to_string() + ")/(" + std::to_string(divisor) + "))");
}

std::string Size::to_string() const {
  if (terms_.empty()) return "0";
  std::string text;
  const auto append = [&](const Product& product, int64_t coefficient) {
    if (!text.empty() && coefficient > 0) text += '+';
    if (coefficient == -1 && !product.empty()) text += '-';
    const bool number = product.empty() || (coefficient != 1 && coefficient != -1);
    if (number) text += std::to_string(coefficient);
    for (size_t i = 0; i < product.size(); ++i) {
      if (i > 0 || number) text += '*';
      text += product[i];
    }
  };
  for (const auto& [product, coefficient] : terms_)
    if (!product.empty()) append(product, coefficient);
  if (const auto last = terms_.find({}); last != terms_.end()) append({}, last->second);
  return text;
}

std::optional<std::string> Size::expression() const {
  std::string text = to_string();
  return text.find('#') == std::string::npos && text.find('?') == std::string::npos
             ? std::optional(std::move(text))
             : std::nullopt;
}

bool Size::is_over(const std::set<std::string>& symbols) const {
  return !constant() && std::ranges::all_of(terms_, [&](const auto& term) {
    return std::ranges::all_of(term.first, [&](const std::string& s) { return symbols.contains(s); });
  });
}

}  // namespace mts::canon
