// Expected failures as values. Every fallible function of mts returns Result<T>; nothing throws across a
// folder.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace mts {

// The value is the exit code of the command line tool (see `mts --help`).
enum class ErrorCode : int {
  kCheckFailed = 1,  // a check (verify, a required threshold) failed
  kUsage = 2,        // wrong flags, duplicate model names, bad shared input, output path that is an input
  kModel = 3,        // a model is malformed, refused or cannot be converted
  kIo = 4,           // reading or writing failed
  kDevice = 5,       // the device or its libraries are not available
  kUnsupported = 6,  // the executor does not support an operator that would have to run
  kInternal = 70,    // a defect in mts
};

struct Where {
  std::string file;   // path or model name; empty when it does not apply
  std::string node;   // "name (OpType)"
  std::string value;  // value, weight or input name
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  Where where;

  // "file: node: value: message", leaving out what is empty.
  std::string to_string() const;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, Where where = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(where)});
}

}  // namespace mts

// Error propagation, the only macros of the project.
#define MTS_CONCAT_INNER(a, b) a##b
#define MTS_CONCAT(a, b) MTS_CONCAT_INNER(a, b)
// Returns the error of `expr` (a Result<void> or any Result whose value is not needed) from the enclosing
// function.
#define MTS_TRY(expr)                                                          \
  do {                                                                         \
    auto mts_result_ = (expr);                                                 \
    if (!mts_result_) return ::tl::unexpected(std::move(mts_result_).error()); \
  } while (false)
// `MTS_ASSIGN(auto x, f());` : x = value of f(), or returns its error.
#define MTS_ASSIGN(lhs, expr) MTS_ASSIGN_INNER(MTS_CONCAT(mts_result_, __LINE__), lhs, expr)
#define MTS_ASSIGN_INNER(result, lhs, expr)                        \
  auto result = (expr);                                            \
  if (!result) return ::tl::unexpected(std::move(result).error()); \
  lhs = std::move(result).value()
