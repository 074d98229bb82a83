#include "tests/exec/cuda_runtime/plans.h"

#include "exec/bind.h"
#include "exec/compile.h"
#include "tests/exec/harness.h"

#include <algorithm>
#include <fstream>
#include <random>

#include <nlohmann/json.hpp>

namespace mts::exec::cuda {
namespace {

std::string last_part(const std::string& name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

std::vector<Family> families() {
  std::vector<Family> result;
  std::ifstream file("models/families.json");
  if (!file) return result;
  for (const auto& entry : nlohmann::json::parse(file)) {
    Family family;
    family.name = entry["name"];
    family.models = entry["models"].get<std::vector<std::string>>();
    family.share_inputs = entry["share_inputs"].get<std::vector<std::string>>();
    family.dims = entry["dims"].get<std::map<std::string, std::vector<int64_t>>>();
    for (const auto& [name, range] : entry["ranges"].items()) family.ranges[name] = {range[0], range[1]};
    result.push_back(std::move(family));
  }
  return result;
}

std::vector<Datum> inputs_of(const Model& model, const Family& family, size_t binding) {
  std::vector<Datum> inputs;
  unsigned seed = 0;
  for (ValueId id : model.graph.inputs()) {
    const Value& value = model.graph.value(id);
    Dims dims;
    for (const Dim& dim : *value.type.shape) {
      if (dim.is_known()) {
        dims.push_back(dim.value);
        continue;
      }
      auto found = family.dims.find(dim.symbol);
      if (found == family.dims.end()) found = family.dims.find(last_part(dim.symbol));
      dims.push_back(found == family.dims.end() ? 1
                                                : found->second[std::min(binding, found->second.size() - 1)]);
    }
    double low = -2, high = 2;
    auto range = family.ranges.find(value.name);
    if (range == family.ranges.end()) range = family.ranges.find(last_part(value.name));
    if (range != family.ranges.end()) {
      low = range->second.first, high = range->second.second - 1e-3;
    } else if (is_integer(value.type.dtype)) {
      low = 0, high = 9.99;
    }
    std::mt19937 random(++seed);
    if (value.type.dtype == DType::kFloat16) {
      Tensor half(DType::kFloat16, dims);
      for (int64_t i = 0; i < half.element_count(); ++i)
        half.mutable_as<uint16_t>()[i] =
            static_cast<uint16_t>(0x3800 + random() % 0x400 + (random() % 2) * 0x8000);
      inputs.emplace_back(half);
      continue;
    }
    std::uniform_real_distribution<double> uniform(low, high);
    std::vector<double> values(static_cast<size_t>(element_count(dims)));
    for (double& v : values) v = uniform(random);
    inputs.emplace_back(random_tensor(value.type.dtype, dims, seed, values));
  }
  return inputs;
}

Result<ExecPlan> plan_for(const Model& model, const std::vector<Datum>& inputs, Backend& backend) {
  std::vector<InputType> types;
  for (const Datum& input : inputs) {
    types.push_back(input.tensor() == nullptr ? InputType{}
                                              : InputType{input.tensor()->dtype(), input.tensor()->dims()});
  }
  MTS_ASSIGN(const Binding binding, exec::bind(model, types));
  return compile(model, binding, backend);
}

}  // namespace mts::exec::cuda
