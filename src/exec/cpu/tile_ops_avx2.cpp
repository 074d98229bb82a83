// Compiled for avx2 (see the flags in CMakeLists.txt).
#include "exec/cpu/tile_ops.h"

namespace mts::exec::avx2 {
#include "exec/cpu/tile_ops.inl"
}  // namespace mts::exec::avx2
