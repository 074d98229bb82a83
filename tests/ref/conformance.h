// ONNX's operator conformance tests: folders with model.onnx and test_data_set_*/{input,output}_*.pb.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mts::test {

struct CaseResult {
  enum class Outcome { kPassed, kFailed, kUnsupported };
  std::string name;  // of the folder
  Outcome outcome = Outcome::kFailed;
  std::string detail;  // why it failed or is not supported
};

// Loads and runs one case with the reference session and compares with the tolerances of ONNX's own runner
// (rtol 1e-3, atol 1e-7; shapes, element types, strings and the places of NaN and infinities must be equal).
CaseResult run_case(const std::string& folder);

// The cases below a folder, sorted; empty when there are none.
std::vector<std::string> cases_in(const std::string& folder);

}  // namespace mts::test
