// CopyCall on mts's own copy kernel.
#pragma once

#include "exec/cuda/library_calls.h"

namespace mts::exec::cuda {

PreparedResult prepare_copy(const CopyCall& call);

}  // namespace mts::exec::cuda
