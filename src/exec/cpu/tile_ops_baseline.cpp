// Compiled for baseline (see the flags in CMakeLists.txt).
#include "exec/cpu/tile_ops.h"

namespace mts::exec::baseline {
#include "exec/cpu/tile_ops.inl"
}  // namespace mts::exec::baseline
