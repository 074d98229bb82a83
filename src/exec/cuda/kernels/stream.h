// What the launchers of this folder take and give, for callers that see no CUDA header.
#pragma once

namespace mts::exec::cuda {

using StreamHandle = void*;       // a cudaStream_t; ignored by the host build
using LaunchError = const char*;  // null: enqueued; else why not, a string that lives for ever

}  // namespace mts::exec::cuda
