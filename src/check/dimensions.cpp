#include "check/dimensions.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace mts::check {
namespace {

// sum := product (('+' | '-') product)*; product := atom (('*' | '//') atom)*; atom := number | name | '('
// sum ')'
class Formula {
 public:
  Formula(std::string_view text, const Binding& binding) : text_(text), binding_(binding) {}

  std::optional<int64_t> value() {
    const std::optional<int64_t> result = sum();
    skip();
    return at_ == text_.size() ? result : std::nullopt;
  }

 private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(std::string_view token) {
    skip();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  std::optional<int64_t> sum() {
    std::optional<int64_t> left = product();
    while (left) {
      const bool plus = take("+");
      if (!plus && !take("-")) break;
      const std::optional<int64_t> right = product();
      if (!right) return std::nullopt;
      left = plus ? *left + *right : *left - *right;
    }
    return left;
  }
  std::optional<int64_t> product() {
    std::optional<int64_t> left = atom();
    while (left) {
      const bool divide = take("//");
      if (!divide && !take("*")) break;
      const std::optional<int64_t> right = atom();
      if (!right || (divide && *right == 0)) return std::nullopt;
      left = divide ? *left / *right : *left * *right;
    }
    return left;
  }
  std::optional<int64_t> atom() {
    if (take("(")) {
      const std::optional<int64_t> inner = sum();
      return take(")") ? inner : std::nullopt;
    }
    skip();
    const size_t start = at_;
    const auto is_word = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
    };
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string word(text_.substr(start, at_ - start));
    if (word.empty()) return std::nullopt;
    int64_t number = 0;
    const char* const end = word.data() + word.size();
    if (std::from_chars(word.data(), end, number).ptr == end) return number;
    const auto bound = binding_.find(word);
    return bound != binding_.end() ? std::optional(bound->second) : std::nullopt;
  }

  std::string_view text_;
  const Binding& binding_;
  size_t at_ = 0;
};

bool is_formula(const std::string& symbol) { return symbol.find_first_of("+-*/(") != std::string::npos; }

enum class Role { kBatch, kLength, kSpatial };

struct Symbol {
  std::string name;
  Role role;
};

std::vector<Symbol> collect(std::span<const NamedType> inputs) {
  std::vector<Symbol> symbols;
  for (const auto& [name, type] : inputs) {
    if (!type.has_rank()) continue;
    for (size_t axis = 0; axis < type.rank(); ++axis) {
      const Dim& dim = (*type.shape)[axis];
      if (dim.is_known()) continue;
      std::string symbol = symbol_of(name, axis, dim);
      if (std::ranges::find(symbols, symbol, &Symbol::name) != symbols.end()) continue;
      const Role role = axis == 0                       ? Role::kBatch
                        : type.rank() >= 4 && axis >= 2 ? Role::kSpatial
                                                        : Role::kLength;
      symbols.push_back({std::move(symbol), role});
    }
  }
  // A formula is computed when all that it names is there; else it is a symbol like any other.
  Binding all;
  for (const Symbol& symbol : symbols) {
    if (!is_formula(symbol.name)) all[symbol.name] = 1;
  }
  std::erase_if(symbols, [&](const Symbol& symbol) {
    return is_formula(symbol.name) && Formula(symbol.name, all).value().has_value();
  });
  return symbols;
}

struct Sizes {
  int64_t batch, length, spatial;
};

Binding assign(const std::vector<Symbol>& symbols, const Sizes& sizes, bool different, const Binding& fixed) {
  Binding binding;
  int64_t batches = 0;
  int64_t others = 0;
  for (const auto& [name, role] : symbols) {
    const int64_t step = different ? (role == Role::kBatch ? batches++ : others++) : 0;
    switch (role) {
      case Role::kBatch:
        binding[name] = sizes.batch + step;
        break;
      case Role::kLength:
        binding[name] = sizes.length + step;
        break;
      case Role::kSpatial:
        binding[name] = sizes.spatial + 8 * step;
        break;
    }
  }
  for (const auto& [name, size] : fixed) binding[name] = size;
  return binding;
}

}  // namespace

std::string symbol_of(const std::string& input, size_t axis, const Dim& dim) {
  return dim.is_symbolic() ? dim.symbol : fmt::format("{}:{}", input, axis);
}

Result<Dims> bind(const std::string& input, const Type& type, const Binding& binding) {
  if (!type.is_tensor()) {
    return fail(ErrorCode::kUsage, "is no tensor and cannot be drawn; give it with --inputs DIR",
                {{}, {}, input});
  }
  if (!type.has_rank()) {
    return fail(ErrorCode::kUsage, "has no declared rank; give its value with --inputs DIR", {{}, {}, input});
  }
  Dims dims;
  for (size_t axis = 0; axis < type.rank(); ++axis) {
    const Dim& dim = (*type.shape)[axis];
    if (dim.is_known()) {
      dims.push_back(dim.value);
      continue;
    }
    const std::string symbol = symbol_of(input, axis, dim);
    const auto bound = binding.find(symbol);
    const std::optional<int64_t> size =
        bound != binding.end() ? std::optional(bound->second) : Formula(symbol, binding).value();
    if (!size) {
      return fail(ErrorCode::kUsage,
                  fmt::format("dimension {} has no size; give it with --dim '{}=1'", axis, symbol),
                  {{}, {}, input});
    }
    if (*size < 0) {
      return fail(ErrorCode::kUsage, fmt::format("dimension {} would have the size {}", axis, *size),
                  {{}, {}, input});
    }
    dims.push_back(*size);
  }
  return dims;
}

std::vector<std::string> symbols_of(std::span<const NamedType> inputs) {
  std::vector<std::string> names;
  for (Symbol& symbol : collect(inputs)) names.push_back(std::move(symbol.name));
  return names;
}

Result<Binding> resolve_dims(const Binding& given, std::span<const std::string> symbols) {
  Binding resolved;
  for (const auto& [name, size] : given) {
    size_t meant = 0;
    for (const std::string& symbol : symbols) {
      const bool own = symbol == name;
      if (!own && !symbol.ends_with("/" + name)) continue;
      ++meant;
      if (own) {
        resolved[symbol] = size;
      } else if (!given.contains(symbol)) {  // the whole name is more exact
        resolved.emplace(symbol, size);
      }
    }
    if (meant > 0) continue;
    return fail(ErrorCode::kUsage,
                fmt::format("--dim {}={}: no input has this dimension; there are: {}", name, size,
                            symbols.empty() ? "none" : fmt::format("{}", fmt::join(symbols, ", "))));
  }
  return resolved;
}

std::vector<std::vector<Binding>> default_bindings(std::span<const NamedType> inputs, size_t models,
                                                   const Binding& fixed) {
  const std::vector<Symbol> symbols = collect(inputs);
  std::vector<std::vector<Binding>> result;
  const auto add = [&](const Sizes& sizes) {
    std::vector<Binding> alternatives;
    const auto offer = [&](Binding binding) {
      if (std::ranges::find(alternatives, binding) == alternatives.end())
        alternatives.push_back(std::move(binding));
    };
    offer(assign(symbols, sizes, true, fixed));
    offer(assign(symbols, sizes, false, fixed));
    offer(assign(symbols, {sizes.batch, 32, 224}, false, fixed));
    const auto same = [&](const std::vector<Binding>& other) {
      return other.front() == alternatives.front();
    };
    if (std::ranges::none_of(result, same)) result.push_back(std::move(alternatives));
  };
  // A size of 1 broadcasts by accident, and so does the number of models where a model axis was added.
  add({1, 8, 32});
  add({2, 5, 40});
  add({3, 16, 32});
  if (models > 3 && models <= 16) add({static_cast<int64_t>(models), 8, 32});
  return result;
}

}  // namespace mts::check
