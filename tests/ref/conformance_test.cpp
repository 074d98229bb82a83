// Runs ONNX's conformance tests through the reference session. Fails when a case computes something else than
// expected and is not among the known failures, or when fewer cases pass than the floor.
// MTS_CONFORMANCE_FILTER=text runs only the cases whose name contains it.
#include "tests/ref/conformance.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mts::test {
namespace {

// Cases that compute something else than expected, each with the reason why that is accepted.
struct KnownFailure {
  std::string_view name, reason;
};
constexpr std::string_view kWraps =
    "the data wraps where the operator saturates; corrected in later ONNX releases";
constexpr std::string_view kUint16 = "the data files hold bfloat16 as uint16";
constexpr std::string_view kEpsilon = "computed with epsilon = 0.01, which the node does not say";
constexpr std::string_view kNoise = "the data has float32 noise of 2e-7 where the result is 0";
constexpr std::string_view kOutputMode =
    "Attention: later ONNX releases and engines cap the scores before they mask them, and count the output "
    "modes so";
constexpr KnownFailure kNodeFailures[] = {
    {"test_attention_3d_with_past_and_present_qk_matmul_bias", kOutputMode},
    {"test_attention_3d_with_past_and_present_qk_matmul_softcap", kOutputMode},
    {"test_attention_4d_with_past_and_present_qk_matmul_bias", kOutputMode},
    {"test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask", kOutputMode},
    {"test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal", kOutputMode},
    {"test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask", kOutputMode},
    {"test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal", kOutputMode},
    {"test_attention_4d_with_qk_matmul_bias", kOutputMode},
    {"test_attention_4d_with_qk_matmul_softcap", kOutputMode},
    {"test_adam_multiple", kEpsilon},
    {"test_dft_inverse", kNoise},
    {"test_dft_inverse_opset19", kNoise},
    {"test_l2normalization_axis_0", "0 / 0 is NaN in the data; later ONNX releases and engines give 0"},
    {"test_qlinearmatmul_2D_int8_float16", kWraps},
    {"test_qlinearmatmul_2D_int8_float32", kWraps},
    {"test_qlinearmatmul_3D_int8_float16", kWraps},
    {"test_qlinearmatmul_3D_int8_float32", kWraps},
};
constexpr KnownFailure kDebianFailures[] = {
    {"test_adam_multiple", kEpsilon},
    {"test_cast_BFLOAT16_to_FLOAT", kUint16},
    {"test_cast_FLOAT_to_BFLOAT16", kUint16},
    {"test_castlike_BFLOAT16_to_FLOAT", kUint16},
    {"test_castlike_BFLOAT16_to_FLOAT_expanded", kUint16},
    {"test_castlike_FLOAT_to_BFLOAT16", kUint16},
    {"test_castlike_FLOAT_to_BFLOAT16_expanded", kUint16},
};

void run_all(const char* variable, const std::string& subfolder, size_t floor,
             std::span<const KnownFailure> accepted) {
  const auto is_known = [&](const std::string& name) {
    return std::ranges::any_of(accepted, [&](const KnownFailure& known) { return known.name == name; });
  };
  const char* root = std::getenv(variable);
  if (!root) GTEST_SKIP() << "set " << variable << " to run them";
  const std::vector<std::string> cases = cases_in(std::string(root) + subfolder);
  if (cases.empty()) GTEST_SKIP() << "there are no conformance tests in " << root << subfolder;
  const char* filter = std::getenv("MTS_CONFORMANCE_FILTER");
  size_t passed = 0, failed = 0, unsupported = 0, known = 0;
  std::map<std::string, size_t> reasons;
  for (const std::string& folder : cases) {
    if (filter && folder.find(filter) == std::string::npos) continue;
    const CaseResult result = run_case(folder);
    switch (result.outcome) {
      case CaseResult::Outcome::kPassed:
        ++passed;
        EXPECT_FALSE(is_known(result.name)) << result.name << " passes now: take it off the known failures";
        break;
      case CaseResult::Outcome::kUnsupported:
        ++unsupported;
        ++reasons[result.detail];
        if (filter) fmt::print("unsupported {}: {}\n", result.name, result.detail);
        break;
      case CaseResult::Outcome::kFailed:
        if (is_known(result.name)) {
          ++known;
        } else {
          ++failed;
          ADD_FAILURE() << result.name << ": " << result.detail;
        }
    }
  }
  fmt::print(
      "{}{}\n  passed          {:5}\n  failed          {:5}\n  known failures  {:5}\n  unsupported     "
      "{:5}\n",
      root, subfolder, passed, failed, known, unsupported);
  for (const auto& [reason, count] : reasons) fmt::print("    {:4}  {}\n", count, reason);
  if (!filter) {
    EXPECT_GE(passed, floor) << "fewer cases pass than before";
  }
}

TEST(Conformance, NodeTests) { run_all("MTS_ONNX_NODE_TESTS", "", 1600, kNodeFailures); }
TEST(Conformance, DebianNodeTests) { run_all("MTS_ONNX_TESTDATA", "/node", 890, kDebianFailures); }

}  // namespace
}  // namespace mts::test
