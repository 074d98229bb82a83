// ONNX's conformance tests on the CPU backend: every case that the reference evaluator passes must pass here
// too. MTS_CONFORMANCE_FILTER=text runs only the cases whose name contains it.
#include "tests/ref/conformance.h"

#include <mts/executor.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mts::exec {
namespace {

using test::CaseResult;

Result<std::unique_ptr<Session>> make_cpu_session(const Model& model) {
  return create_session(model, {.device = "cpu", .threads = 1});
}

void run_all(const char* variable, const std::string& subfolder, size_t floor) {
  const char* const root = std::getenv(variable);
  if (root == nullptr) GTEST_SKIP() << "set " << variable << " to run them";
  const std::vector<std::string> cases = test::cases_in(std::string(root) + subfolder);
  if (cases.empty()) GTEST_SKIP() << "there are no conformance tests in " << root << subfolder;
  const char* const filter = std::getenv("MTS_CONFORMANCE_FILTER");
  size_t passed = 0, other = 0;
  for (const std::string& folder : cases) {
    if (filter != nullptr && folder.find(filter) == std::string::npos) continue;
    const CaseResult result = test::run_case(folder, make_cpu_session);
    if (result.outcome == CaseResult::Outcome::kPassed) {
      ++passed;
      continue;
    }
    ++other;
    EXPECT_NE(test::run_case(folder).outcome, CaseResult::Outcome::kPassed)
        << result.name << " passes on the reference evaluator, on the CPU: " << result.detail;
  }
  fmt::print("{}{}: {} passed, {} did not\n", root, subfolder, passed, other);
  if (filter != nullptr) return;
  EXPECT_GE(passed, floor) << "fewer cases pass than before";
}

TEST(Conformance, NodeTests) { run_all("MTS_ONNX_NODE_TESTS", "", 1600); }
TEST(Conformance, DebianNodeTests) { run_all("MTS_ONNX_TESTDATA", "/node", 890); }
TEST(Conformance, ConvertedModels) { run_all("MTS_ONNX_TESTDATA", "/pytorch-converted", 1); }
TEST(Conformance, ConvertedOperators) { run_all("MTS_ONNX_TESTDATA", "/pytorch-operator", 1); }
TEST(Conformance, SimpleModels) { run_all("MTS_ONNX_TESTDATA", "/simple", 1); }

}  // namespace
}  // namespace mts::exec
