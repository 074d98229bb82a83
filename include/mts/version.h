#pragma once

#include <string_view>

namespace mts {

// The version of this library, "major.minor.patch". Part of what makes an output reproducible: the same
// inputs, flags and version give byte-identical files.
[[nodiscard]] std::string_view version() noexcept;

}  // namespace mts
