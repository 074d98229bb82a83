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
  float (*min)(const float* x, int64_t n);
  // Row softmax: out = exp(x - max) / sum.
  void (*softmax)(float* out, const float* x, int64_t n);
  // out = (x - mean) * inverse * scale + bias; scale and bias may be null.
  void (*normalise)(float* out, const float* x, const float* scale, const float* bias, int64_t n, float mean,
                    float inverse);
  // c[m x 16 panels] += a[m x k] * packed, for packed = [panels][k][16]; rows of c are `leading` floats
  // apart.
  void (*multiply_add)(float* c, int64_t leading, const float* a, const float* packed, int64_t m,
                       int64_t panels, int64_t k);
  // The same panels, filled up with zeros, of columns that lie `leading` floats apart (x[column][k])...
  void (*pack_columns)(float* packed, const float* x, int64_t leading, int64_t columns, int64_t k);
  // ... or of rows (x[k][column]).
  void (*pack_rows)(float* packed, const float* x, int64_t leading, int64_t columns, int64_t k);
  // to[r][c] = from[c][r]; rows of `to` and of `from` are so many floats apart. Any 4 bytes may be such
  // floats.
  void (*transpose)(float* to, int64_t to_leading, const float* from, int64_t from_leading, int64_t rows,
                    int64_t columns);
  // c[m x columns] = a[m x k] * packed; rows of a and c are so many floats apart.
  void (*multiply)(float* c, int64_t c_leading, const float* a, int64_t a_leading, const float* packed,
                   int64_t m, int64_t columns, int64_t k);
  // `softmax` of rows that follow each other, in place.
  void (*softmax_rows)(float* x, int64_t rows, int64_t n);
  // One sequence's step of a recurrent layer from its gates before their activations, `n` floats each.
  // Gates i, o, f, c: updates c, writes h.
  void (*lstm_cell)(float* h, float* c, const float* gates, int64_t n);
  // Gates z, r, h. linear_before_reset: `recurrent` holds the recurrent part of all three.
  void (*gru_linear_cell)(float* after, const float* before, const float* gates, const float* recurrent,
                          int64_t n);
  // Otherwise in two: out = r * before, and, with the recurrent part of the third gate, the new state.
  void (*gru_reset)(float* out, const float* before, const float* gates, int64_t n);
  void (*gru_cell)(float* after, const float* before, const float* gates, const float* recurrent, int64_t n);
  // out = x / scale, rounded half to even, plus zero, within [0, 255].
  void (*quantise)(uint8_t* out, const float* x, int64_t n, float scale, float zero);
  // float16, as its bits.
  void (*from_half)(float* out, const uint16_t* x, int64_t n);
  void (*to_half)(uint16_t* out, const float* x, int64_t n);  // to nearest even; infinity beyond the range
};

const TileOps& tile_ops();  // the best for this machine

// Each instruction set's own. Precondition: the machine has it.
namespace avx512 {
const TileOps& ops();
}
namespace avx2 {
const TileOps& ops();
}
namespace baseline {
const TileOps& ops();
}

}  // namespace mts::exec
