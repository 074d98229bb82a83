// Sizes as integer polynomials over symbols: what a dimension or an element of a shape tensor is for every
// binding of the symbols. Equal polynomials are equal sizes; unequal ones may still be equal at run time.
//
// Symbols are dimensions (>= 0) or opaque atoms for what is not known or not a polynomial, such as
// floor(H/2). An atom whose name begins with '?' may be negative; all others are >= 0.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace mts::canon {

class Size {
 public:
  Size() = default;  // 0
  static Size known(int64_t value);
  static Size symbol(std::string name);
  static Size dimension(
      const std::string& name);  // a named dimension of the file, whatever characters it has

  std::optional<int64_t> constant() const;  // when there are no symbols
  bool is(int64_t value) const { return constant() == value; }
  // Every term has a positive coefficient and only symbols that are >= 0.
  bool is_nonnegative() const;
  // *this <= other for every size, for none, or (nullopt) not provable.
  std::optional<bool> at_most(const Size& other) const;
  Size smaller(const Size& other) const;  // an atom where the order is not known; requires both >= 0
  std::optional<Size> larger(const Size& other) const;
  // nullopt: not provable either way.
  std::optional<bool> equals(const Size& other) const;

  Size operator+(const Size& other) const;
  Size operator-(const Size& other) const;
  Size operator*(const Size& other) const;
  // The quotient where it is a polynomial without remainder (divisor: a constant or one product of symbols,
  // not zero).
  std::optional<Size> divided_by(const Size& divisor) const;
  // Integer division of sizes: exact where possible, else an atom; nullopt when a sign is not known.
  std::optional<Size> floor_divided_by(const Size& divisor) const;

  // The quotient rounded down of a size that is known not to be negative.
  Size floor_of(int64_t divisor) const;

  std::string to_string() const;  // canonical: equal sizes, equal text; "2*N+1"
  // to_string() where all symbols have names.
  std::optional<std::string> expression() const;
  // Not a constant, and a polynomial over these symbols (as to_string() writes them) alone.
  bool is_over(const std::set<std::string>& symbols) const;
  bool operator==(const Size&) const = default;

 private:
  using Product =
      std::vector<std::string>;  // sorted symbols, repeated for powers; empty for the constant term
  void add(const Product& product, int64_t coefficient);
  std::map<Product, int64_t> terms_;  // no zero coefficients
};

}  // namespace mts::canon
