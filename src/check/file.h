// Whole small files: inputs, outputs and reports (models are mapped, see mts/model_io.h).
#pragma once

#include <mts/error.h>

#include <string>
#include <string_view>

namespace mts::check {

Result<std::string> read_file(const std::string& path);  // kIo with the system's words
// Through a temporary file beside it and a rename: `path` holds all of `bytes` or what it held before.
Result<void> write_file(const std::string& path, std::string_view bytes);

}  // namespace mts::check
