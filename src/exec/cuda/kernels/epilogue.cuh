// Epilogues on V results of a thread at once: the interpreter is called, not inlined, since the kernels that
// use it would otherwise hold a copy for each result.
#pragma once

#include "exec/cuda/kernels/element_ops.cuh"
#include "exec/cuda/kernels/epilogue.h"
#include "exec/cuda/kernels/launch.h"

namespace mts::exec::cuda {

// Where V results lie in the output. A result that is not wanted has any position that exists.
template <int V>
struct Positions {
  uint32_t outer[V] = {}, row[V] = {}, column[V] = {};  // outer: of the first batch axis
  uint32_t middle = 0, inner = 0;                       // of the other two
};

template <int V>
__device__ MTS_NOINLINE Vec<V> interpret_epilogue(const Epilogue& epilogue, Vec<V> results,
                                                  const Positions<V>& at) {
  const auto operand = [&](int k) {
    const EpilogueOperand& o = epilogue.operands[k];
    const int64_t base = at.middle * o.outer[1] + at.inner * o.outer[2];
    Vec<V> values;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const int64_t offset = base + at.outer[i] * o.outer[0] + at.row[i] * o.row + at.column[i] * o.column;
      values.v[i] = load<1>(o.data, offset, o.type).v[0];
    }
    return values;
  };
  return run_program<V, 0>(epilogue.program, results, operand);
}

template <int V>
__device__ __forceinline__ Vec<V> run_epilogue(const Epilogue& epilogue, const Vec<V>& results,
                                               const Positions<V>& at) {
  return epilogue.program.length == 0 ? results : interpret_epilogue<V>(epilogue, results, at);
}

}  // namespace mts::exec::cuda
