// ONNX's conformance tests through the own CUDA kernels, on the host: every case that the reference evaluator
// passes must pass here too. MTS_CONFORMANCE_FILTER=text runs only the cases whose name contains it;
// MTS_CONFORMANCE_HOST=1 lists the operators that ran on the host, with the number of steps.
#include "tests/ref/conformance.h"

#include "tests/exec/cuda/shim_backend.h"

#include <mts/executor.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

using test::CaseResult;

// Kernels that only the CPU has: Pad other than by a constant, Trilu, and Einsum of two operands. No bundled
// or light model has them (models_test.cpp).
const std::set<std::string_view> kOnlyCpu = {"Einsum", "Pad", "Trilu"};

void run_all(const char* variable, const std::string& subfolder, size_t floor, size_t most_on_host) {
  const char* const root = std::getenv(variable);
  if (root == nullptr) GTEST_SKIP() << "set " << variable << " to run them";
  const std::vector<std::string> cases = test::cases_in(std::string(root) + subfolder);
  if (cases.empty()) GTEST_SKIP() << "there are no conformance tests in " << root << subfolder;
  const char* const filter = std::getenv("MTS_CONFORMANCE_FILTER");
  size_t passed = 0, other = 0;
  std::map<std::string, StepCounts> counts;
  for (const std::string& folder : cases) {
    if (filter != nullptr && folder.find(filter) == std::string::npos) continue;
    const CaseResult result =
        test::run_case(folder, [&](const Model& model) { return make_shim_session(model, &counts); });
    if (result.outcome == CaseResult::Outcome::kPassed) {
      ++passed;
      continue;
    }
    ++other;
    EXPECT_NE(test::run_case(folder).outcome, CaseResult::Outcome::kPassed)
        << result.name << " passes on the reference evaluator, on the CUDA kernels: " << result.detail;
  }
  size_t kernels = 0, host = 0;
  for (const auto& [op, count] : counts) {
    EXPECT_TRUE(count.only_cpu == 0 || kOnlyCpu.contains(op))
        << "the CPU has a kernel that is missing here: " << op;
    kernels += count.kernels;
    host += count.host;
    if (std::getenv("MTS_CONFORMANCE_HOST") != nullptr && count.host > 0)
      fmt::print("host {} kernel {} {}\n", count.host, count.kernels, op);
  }
  fmt::print("{}{}: {} passed, {} did not; {} steps by kernels, {} on the host\n", root, subfolder, passed,
             other, kernels, host);
  if (filter != nullptr) return;
  EXPECT_GE(passed, floor) << "fewer cases pass than before";
  EXPECT_LE(host, most_on_host) << "more steps run on the host than before";
}

TEST(CudaConformance, NodeTests) { run_all("MTS_ONNX_NODE_TESTS", "", 1614, 534); }
TEST(CudaConformance, SimpleModels) { run_all("MTS_ONNX_TESTDATA", "/simple", 21, 1); }

}  // namespace
}  // namespace mts::exec::cuda
