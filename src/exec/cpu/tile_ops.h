// The inner loops of elementwise work, compiled once for each instruction set and chosen at run time. A tile
// is a short contiguous piece that stays in the first-level cache.
#pragma once

#include "exec/program.h"

#include <cstdint>
#include <span>

namespace mts::exec {

// out[i] = op(a[i], b[i]); `b` is ignored by unary operators. `out` may be `a` or `b`.
using TileOp = void (*)(float* out, const float* a, const float* b, int64_t n, float alpha, float beta);

struct TileOps {
  const TileOp* elementwise;  // by ElementOp
  // Sums and extrema over a contiguous piece.
  float (*sum)(const float* x, int64_t n);
  float (*sum_of_squares)(const float* x, int64_t n, float shift);  // of x[i] - shift
  float (*max)(const float* x, int64_t n);
  // Row softmax: out = exp(x - max) / sum.
  void (*softmax)(float* out, const float* x, int64_t n);
  // out = (x - mean) * inverse * scale + bias; scale and bias may be null.
  void (*normalise)(float* out, const float* x, const float* scale, const float* bias, int64_t n, float mean,
                    float inverse);
  // float16, as its bits.
  void (*from_half)(float* out, const uint16_t* x, int64_t n);
  void (*to_half)(uint16_t* out, const float* x, int64_t n);  // to nearest even; infinity beyond the range
};

const TileOps& tile_ops();  // the best for this machine

}  // namespace mts::exec
