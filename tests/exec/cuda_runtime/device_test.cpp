// On a GPU: single nodes, the bundled families (alone and fused) and ONNX's conformance tests give the
// reference's outputs. Skipped, with the reason, where there is no GPU. tools/gpu_check runs it in pieces
// (GTEST_FILTER, GTEST_TOTAL_SHARDS); MTS_CONFORMANCE_PART=i/n runs every n-th conformance case.
#include "tests/exec/cuda_runtime/node_cases.h"
#include "tests/exec/cuda_runtime/plans.h"
#include "tests/ref/conformance.h"

#include <mts/device_session.h>
#include <mts/model_io.h>
#include <mts/stitch.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

// Why nothing can run here; empty where a GPU is.
std::string refusal() {
  static const std::string text = [] {
    std::vector<Datum> inputs;
    const Model model = model_of(Case{"MatMul", {}, {input({2, 2}), weight({2, 2})}}, inputs);
    const auto session = create_session(model, {.device = "cuda"});
    return session ? std::string() : session.error().to_string();
  }();
  return text;
}

void expect_same_on_gpu(const Model& model, const std::vector<Datum>& inputs, const std::string& what,
                        Precision precision = Precision::kStrict, double tolerance = 1e-4) {
  auto reference = create_session(model, {.device = "ref"});
  ASSERT_TRUE(reference.has_value()) << reference.error().to_string();
  const auto expected = (*reference)->run(inputs);
  ASSERT_TRUE(expected.has_value()) << what << ": " << expected.error().to_string();
  for (const int streams : {1, 16}) {
    auto session = create_session(model, {.device = "cuda", .precision = precision});
    ASSERT_TRUE(session.has_value()) << session.error().to_string();
    as_device(**session)->set_max_streams(streams);
    for (int repeat = 0; repeat < 3; ++repeat) {
      const auto actual = (*session)->run(inputs);
      ASSERT_TRUE(actual.has_value()) << what << ": " << actual.error().to_string();
      ASSERT_EQ(expected->size(), actual->size());
      for (size_t i = 0; i < actual->size(); ++i)
        expect_same((*expected)[i], (*actual)[i], what + " output " + std::to_string(i), tolerance);
    }
  }
}

class GpuNodes : public testing::TestWithParam<Case> {};
TEST_P(GpuNodes, EqualTheReference) {
  if (!refusal().empty()) GTEST_SKIP() << refusal();
  std::vector<Datum> inputs;
  const Model model = model_of(GetParam(), inputs);
  expect_same_on_gpu(model, inputs, to_string(GetParam()));
}
INSTANTIATE_TEST_SUITE_P(Gpu, GpuNodes, testing::ValuesIn(node_cases()));

TEST_P(GpuNodes, AreNearTheReferenceInLessPrecision) {
  if (!refusal().empty()) GTEST_SKIP() << refusal();
  std::vector<Datum> inputs;
  const Model model = model_of(GetParam(), inputs);
  expect_same_on_gpu(model, inputs, to_string(GetParam()) + " tf32", Precision::kTf32, 5e-3);
  expect_same_on_gpu(model, inputs, to_string(GetParam()) + " float16", Precision::kFloat16, 5e-3);
  expect_same_on_gpu(model, inputs, to_string(GetParam()) + " bfloat16", Precision::kBfloat16, 2e-2);
}

class GpuFamilies : public testing::TestWithParam<Family> {};
TEST_P(GpuFamilies, EqualTheReferenceAloneAndFused) {
  if (!refusal().empty()) GTEST_SKIP() << refusal();
  const Family& family = GetParam();
  std::vector<Model> originals;
  for (const std::string& path : family.models) {
    auto model = load_model("models/" + path, std::filesystem::path(path).stem().string());
    ASSERT_TRUE(model.has_value()) << model.error().to_string();
    originals.push_back(std::move(*model));
  }
  expect_same_on_gpu(originals[0], inputs_of(originals[0], family, 1), family.models[0]);
  expect_same_on_gpu(originals[0], inputs_of(originals[0], family, 1), family.models[0] + " in float16",
                     Precision::kFloat16, 5e-3);
  StitchOptions options;
  options.share_inputs = family.share_inputs;
  auto fused = stitch(std::move(originals), options);
  ASSERT_TRUE(fused.has_value()) << fused.error().to_string();
  expect_same_on_gpu(fused->model, inputs_of(fused->model, family, 1), "fused");
}
INSTANTIATE_TEST_SUITE_P(Gpu, GpuFamilies, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GpuFamilies);

TEST(GpuConformance, NodeTests) {
  if (!refusal().empty()) GTEST_SKIP() << refusal();
  const char* const root = std::getenv("MTS_ONNX_NODE_TESTS");
  if (root == nullptr) GTEST_SKIP() << "set MTS_ONNX_NODE_TESTS to run them";
  int part = 0, parts = 1;
  if (const char* const text = std::getenv("MTS_CONFORMANCE_PART")) std::sscanf(text, "%d/%d", &part, &parts);
  const std::vector<std::string> cases = test::cases_in(root);
  int passed = 0, other = 0;
  for (size_t i = static_cast<size_t>(part); i < cases.size(); i += static_cast<size_t>(parts)) {
    const auto on_gpu = [](const Model& model) { return create_session(model, {.device = "cuda"}); };
    const test::CaseResult result = test::run_case(cases[i], on_gpu);
    if (result.outcome == test::CaseResult::Outcome::kPassed) {
      ++passed;
      continue;
    }
    ++other;
    EXPECT_NE(test::run_case(cases[i]).outcome, test::CaseResult::Outcome::kPassed)
        << result.name << " passes on the reference evaluator, on the GPU: " << result.detail;
  }
  std::printf("%d passed, %d did not\n", passed, other);
}

}  // namespace
}  // namespace mts::exec::cuda
