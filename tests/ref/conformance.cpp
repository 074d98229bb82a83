#include "tests/ref/conformance.h"

#include "ir/number.h"
#include "onnx/tensor_pb.h"
#include "ref/interpreter.h"

#include <mts/model_io.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

namespace mts::test {
namespace {

namespace fs = std::filesystem;

constexpr double kRelative = 1e-3, kAbsolute = 1e-7;

std::string difference(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype()) {
    return fmt::format("it is {} instead of {}", name_of(actual.dtype()), name_of(expected.dtype()));
  }
  if (actual.dims() != expected.dims()) {
    const auto text = [](const Dims& dims) {
      std::string result;
      for (int64_t d : dims) result += fmt::format("{},", d);
      return result;
    };
    return fmt::format("its shape is [{}] instead of [{}]", text(actual.dims()), text(expected.dims()));
  }
  if (expected.dtype() == DType::kString) {
    for (size_t i = 0; i < expected.strings().size(); ++i) {
      if (actual.strings()[i] != expected.strings()[i]) {
        return fmt::format("string {} is '{}' instead of '{}'", i, actual.strings()[i],
                           expected.strings()[i]);
      }
    }
    return {};
  }
  const int64_t count = expected.element_count();
  if (expected.dtype() == DType::kFloat4E2M1) {
    const bool equal = std::equal(actual.data(), actual.data() + actual.byte_size(), expected.data());
    return equal ? "" : "its bits differ";
  }
  const auto numbers = [&](const Tensor& t) {
    return read_numbers<double>(t.dtype(), {t.data(), t.byte_size()}, count);
  };
  const std::vector<double> a = numbers(actual), b = numbers(expected);
  if (a.size() != static_cast<size_t>(count))
    return fmt::format("{} cannot be compared", name_of(expected.dtype()));
  for (size_t i = 0; i < a.size(); ++i) {
    const bool both_nan = std::isnan(a[i]) && std::isnan(b[i]);
    const bool close = a[i] == b[i] || std::fabs(a[i] - b[i]) <= kAbsolute + kRelative * std::fabs(b[i]);
    if (!both_nan && (!close || std::isinf(a[i]) != std::isinf(b[i]))) {
      return fmt::format("element {} of {} is {} instead of {}", i, count, a[i], b[i]);
    }
  }
  return {};
}

std::string difference(const Datum& actual, const Datum& expected) {
  if (actual.value.index() != expected.value.index()) return "it is another kind of value";
  if (const Tensor* tensor = expected.tensor()) return difference(*actual.tensor(), *tensor);
  if (const auto* sequence = std::get_if<Sequence>(&expected.value)) {
    const auto& other = std::get<Sequence>(actual.value);
    if (other.size() != sequence->size())
      return fmt::format("{} elements instead of {}", other.size(), sequence->size());
    for (size_t i = 0; i < sequence->size(); ++i) {
      if (std::string found = difference(other[i], (*sequence)[i]); !found.empty())
        return fmt::format("element {}: {}", i, found);
    }
  }
  return {};
}

Result<std::vector<Datum>> load_all(const Graph& graph, const std::vector<ValueId>& values,
                                    const fs::path& folder, std::string_view stem) {
  std::vector<Datum> result;
  for (size_t i = 0; i < values.size(); ++i) {
    MTS_ASSIGN(Datum datum,
               load_datum_pb(folder / fmt::format("{}_{}.pb", stem, i), graph.value(values[i]).type));
    result.push_back(std::move(datum));
  }
  return result;
}

// Empty when all is well.
Result<std::string> run_set(const Model& model, Session& session, const fs::path& folder) {
  MTS_ASSIGN(const std::vector<Datum> inputs, load_all(model.graph, model.graph.inputs(), folder, "input"));
  MTS_ASSIGN(const std::vector<Datum> expected,
             load_all(model.graph, model.graph.outputs(), folder, "output"));
  MTS_ASSIGN(const std::vector<Datum> actual, session.run(inputs));
  if (actual.size() != expected.size())
    return fmt::format("{} outputs instead of {}", actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::string found = difference(actual[i], expected[i]); !found.empty())
      return fmt::format("output {}: {}", i, found);
  }
  return std::string();
}

CaseResult from_error(std::string name, const Error& error) {
  const bool unsupported = error.code == ErrorCode::kUnsupported;
  return {std::move(name), unsupported ? CaseResult::Outcome::kUnsupported : CaseResult::Outcome::kFailed,
          error.message};
}

}  // namespace

CaseResult run_case(const std::string& folder) { return run_case(folder, make_reference_session); }

CaseResult run_case(const std::string& folder, const SessionMaker& make_session) {
  const std::string name = fs::path(folder).filename().string();
  const auto model = load_model((fs::path(folder) / "model.onnx").string(), "case");
  if (!model) {
    CaseResult result = from_error(name, model.error());
    if (result.detail.find("is outside of") != std::string::npos)
      result.outcome = CaseResult::Outcome::kUnsupported;  // opset
    return result;
  }
  const auto session = make_session(*model);
  if (!session) return from_error(name, session.error());
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    const Result<std::string> problem = run_set(*model, **session, entry.path());
    if (!problem) return from_error(name, problem.error());
    if (!problem->empty()) return {name, CaseResult::Outcome::kFailed, *problem};
  }
  return {name, CaseResult::Outcome::kPassed, {}};
}

std::vector<std::string> cases_in(const std::string& folder) {
  std::vector<std::string> cases;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    if (fs::exists(entry.path() / "model.onnx")) cases.push_back(entry.path().string());
  }
  std::ranges::sort(cases);
  return cases;
}

}  // namespace mts::test
