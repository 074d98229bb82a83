#include "exit_codes.h"

#include <mts/dtype.h>
#include <mts/verify.h>

#include <array>
#include <utility>

#include <fmt/format.h>

namespace mts::tool {
namespace {

struct Meaning {
  int code;
  const char* text;
};
constexpr std::array kMeanings = {
    Meaning{kDone, "done"},
    Meaning{static_cast<int>(ErrorCode::kCheckFailed), "a check failed (verify, a required threshold)"},
    Meaning{static_cast<int>(ErrorCode::kUsage),
            "wrong usage: flags, equal model names, an output that is an input"},
    Meaning{static_cast<int>(ErrorCode::kModel), "a model is malformed, refused or cannot be converted"},
    Meaning{static_cast<int>(ErrorCode::kIo), "reading or writing failed"},
    Meaning{static_cast<int>(ErrorCode::kDevice), "the device or its libraries are not available"},
    Meaning{static_cast<int>(ErrorCode::kUnsupported),
            "the executor does not support an operator that has to run"},
    Meaning{static_cast<int>(ErrorCode::kInternal), "a defect in mts"},
};

}  // namespace

std::string exit_code_table() {
  std::string text = "Exit codes:\n";
  for (const auto& [code, meaning] : kMeanings) text += fmt::format("  {:>2}  {}\n", code, meaning);
  return text;
}

std::string tolerance_table() {
  const auto row = [](const char* what, DType dtype) {
    return fmt::format("  {:<18}{:g}\n", what, tolerance_of(dtype));
  };
  return "Tolerances (largest error / largest magnitude of the reference output):\n" +
         row("float64, float32", DType::kFloat32) + row("TF32, float16", DType::kFloat16) +
         row("bfloat16", DType::kBfloat16) +
         "  quantised         2 quanta of the output's scale, at most 0.02\n"
         "  others            equal; an index (ArgMax, TopK) may differ where the values tie\n";
}

}  // namespace mts::tool
