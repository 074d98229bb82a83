// The CPU backend: oneDNN for convolution, matrix products and pools, own loops for the rest (float32; data
// movement for every type of whole bytes). Images stay channels-last from convolution to convolution.
//
// How to add a kernel: write accepts_<family> and make_<family> in a file of their own, add one row to
// kFamilies in backend.cpp, and one list of shapes to tests/exec/kernels_test.cpp.
#pragma once

#include "exec/backend.h"

#include <memory>
#include <string>

namespace mts::exec {

Result<std::unique_ptr<Backend>> make_cpu_backend();
std::string onednn_version();  // of the library in use

}  // namespace mts::exec
