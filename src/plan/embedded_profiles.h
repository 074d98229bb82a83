// The files of src/plan/profiles/, compiled in by src/plan/CMakeLists.txt.
#pragma once

#include <span>
#include <string_view>

namespace mts::embedded {

std::span<const std::string_view> profile_names();
std::span<const std::string_view> profile_texts();  // in the order of the names

}  // namespace mts::embedded
