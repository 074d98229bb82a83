// Which sizes the dynamic dimensions of a model's inputs take when it is run for a check.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace mts::check {

using Binding = std::map<std::string, int64_t>;  // symbol -> size

struct NamedType {
  std::string name;  // of the input
  Type type;
};

// What --dim calls dimension `axis` of `input`: its symbol, or "input:axis" where it has none.
std::string symbol_of(const std::string& input, size_t axis, const Dim& dim);

// The sizes of `input` under `binding`. A symbol that is a formula over bound ones ("past + 1", as dynamo
// writes them) is computed. kUsage when a symbol is not bound or the rank is unknown; the message says which
// flag helps.
Result<Dims> bind(const std::string& input, const Type& type, const Binding& binding);

// The symbols that have to be bound, in order of appearance (formulas are not among them).
std::vector<std::string> symbols_of(std::span<const NamedType> inputs);

// What --dim fixes, by symbol. "N" also means "a/N" and "b/N", as the symbols of models that were stitched
// with
// --independent-dims are called. kUsage when none of `symbols` is meant.
Result<Binding> resolve_dims(const Binding& given, std::span<const std::string> symbols);

// Several bindings that differ in what can go wrong: batch sizes 1, 2, 3 and the number of models, different
// sizes for different symbols. Each entry lists alternatives, best first, for models that do not run with any
// size (two symbols that must be equal, images that are too small). `fixed` holds in all of them.
std::vector<std::vector<Binding>> default_bindings(std::span<const NamedType> inputs, size_t models,
                                                   const Binding& fixed);

}  // namespace mts::check
