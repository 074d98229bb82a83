#include "tests/exec/cuda/harness.h"

#include "exec/bind.h"
#include "exec/compile.h"
#include "tests/exec/cuda/shim_backend.h"

#include <mts/executor.h>

#include <gtest/gtest.h>

namespace mts::exec::cuda {

ExecPlan shim_plan(const Model& model, const std::vector<Datum>& inputs, const ShimPrecision& precision) {
  std::vector<InputType> types;
  for (const Datum& input : inputs) {
    types.push_back(input.tensor() == nullptr ? InputType{}
                                              : InputType{input.tensor()->dtype(), input.tensor()->dims()});
  }
  const std::unique_ptr<Backend> backend = make_shim_backend(nullptr, precision.held, precision.tf32);
  const auto binding = exec::bind(model, types);
  EXPECT_TRUE(binding.has_value()) << binding.error().to_string();
  auto plan = compile(model, *binding, *backend);
  EXPECT_TRUE(plan.has_value()) << plan.error().to_string();
  return std::move(*plan);
}

void expect_same_on_shim(const Model& model, const std::vector<Datum>& inputs, const std::string& what,
                         const ShimPrecision& precision) {
  const auto reference = create_session(model, {.device = "ref", .threads = 1});
  ASSERT_TRUE(reference.has_value()) << reference.error().to_string();
  const auto expected = (*reference)->run(inputs);
  ASSERT_TRUE(expected.has_value()) << what << ": " << expected.error().to_string();
  const auto session = make_shim_session(model, nullptr, precision.held, precision.tf32);
  ASSERT_TRUE(session.has_value()) << session.error().to_string();
  for (int repeat = 0; repeat < 2; ++repeat) {  // a second run must not depend on the first
    const auto actual = (*session)->run(inputs);
    ASSERT_TRUE(actual.has_value()) << what << ": " << actual.error().to_string();
    ASSERT_EQ(expected->size(), actual->size()) << what;
    for (size_t i = 0; i < expected->size(); ++i)
      expect_same((*expected)[i], (*actual)[i], what, precision.tolerance);
  }
}

void check_kernel(const Case& c, const ShimPrecision& precision) {
  std::vector<Datum> inputs;
  const Model model = model_of(c, inputs);
  const std::string what = to_string(c);
  const ExecPlan plan = shim_plan(model, inputs, precision);
  bool on_host = false;
  for (const Step& step : plan.steps) on_host = on_host || step.kind == StepKind::kHost;
  EXPECT_EQ(on_host, c.on_host) << what << "\n" << exec::to_string(plan);
  expect_same_on_shim(model, inputs, what, precision);
}

}  // namespace mts::exec::cuda
