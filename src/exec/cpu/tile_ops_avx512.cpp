// Compiled for avx512 (see the flags in CMakeLists.txt).
#include "exec/cpu/tile_ops.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace mts::exec::avx512 {
#include "exec/cpu/tile_ops.inl"
}  // namespace mts::exec::avx512
