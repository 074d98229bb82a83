// The bundled model families as tests iterate over them.
#pragma once

#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace mts::exec {

using Json = nlohmann::json;

struct Family {
  std::string name;
  Json entry;
};
void PrintTo(const Family& family, std::ostream* out);

std::vector<Family> families();  // of models/families.json

// A random input for the `binding`-th choice of the family's symbolic dimensions (1 where it says nothing).
Datum random_input(const Value& value, const Json& entry, size_t binding, unsigned seed);

}  // namespace mts::exec
