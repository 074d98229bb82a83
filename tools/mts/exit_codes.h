// The exit codes and tolerances of the program, as `mts --help` shows them: the one place where they are put
// into words.
#pragma once

#include <mts/error.h>

#include <string>

namespace mts::tool {

inline constexpr int kDone = 0;
inline int exit_code(ErrorCode code) { return static_cast<int>(code); }

std::string exit_code_table();
std::string tolerance_table();

}  // namespace mts::tool
