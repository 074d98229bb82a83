#include "exec/cpu/tile_ops.h"

namespace mts::exec {
const TileOps& tile_ops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    return avx512::ops();
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::ops();
#endif
  return baseline::ops();
}

}  // namespace mts::exec
