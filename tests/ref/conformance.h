// ONNX's operator conformance tests: folders with model.onnx and test_data_set_*/{input,output}_*.pb.
#pragma once

#include <mts/executor.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mts::test {

struct CaseResult {
  enum class Outcome { kPassed, kFailed, kUnsupported };
  std::string name;  // of the folder
  Outcome outcome = Outcome::kFailed;
  std::string detail;  // why it failed or is not supported
};

using SessionMaker = std::function<Result<std::unique_ptr<Session>>(const Model&)>;

// Loads and runs one case with a session of that maker and compares with the tolerances of ONNX's own runner
// (rtol 1e-3, atol 1e-7; shapes, element types, strings and the places of NaN and infinities must be equal).
CaseResult run_case(const std::string& folder, const SessionMaker& make_session);
CaseResult run_case(const std::string& folder);  // on the reference session

// The cases below a folder, sorted; empty when there are none.
std::vector<std::string> cases_in(const std::string& folder);

}  // namespace mts::test
