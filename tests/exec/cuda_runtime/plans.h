// The bundled families and their inputs, and plans of them.
#pragma once

#include "exec/backend.h"

#include <mts/graph.h>
#include <mts/tensor.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace mts::exec::cuda {

struct Family {
  std::string name;
  std::vector<std::string> models;  // below models/
  std::vector<std::string> share_inputs;
  std::map<std::string, std::vector<int64_t>> dims;  // sizes to try, by symbol
  std::map<std::string, std::pair<double, double>> ranges;
};
void PrintTo(const Family& family, std::ostream* out);

std::vector<Family> families();

// Sizes of binding `binding`; names "model/input" and "model/symbol" of fused models count as the original's.
std::vector<Datum> inputs_of(const Model& model, const Family& family, size_t binding);

Result<ExecPlan> plan_for(const Model& model, const std::vector<Datum>& inputs, Backend& backend);

}  // namespace mts::exec::cuda
