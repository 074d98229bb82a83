// Included once for each instruction set, inside a namespace of its own. No function of the standard library
// is called here: an inline function compiled for a newer instruction set could otherwise be linked into code
// for an older one.

using mts::exec::ElementOp;
using mts::exec::TileOp;
using mts::exec::TileOps;

// Sixteen floats, whatever the machine's vectors hold. By reference only: how a function takes vectors depends
// on the instruction set.
typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int kLanes = 16;

inline const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
inline Vector& at(float* x) { return *reinterpret_cast<Vector*>(x); }

// The first n < 16 floats, the others `fill`. Going through memory float by float would stall the vector load.
inline void load_some(Vector& v, const float* x, long n, float fill) {
#if defined(__AVX512F__)
  const auto mask = static_cast<__mmask16>((1u << n) - 1u);
  v = (Vector)_mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, x);
#else
  v = Vector{} + fill;
  for (long l = 0; l < n; ++l) v[l] = x[l];
#endif
}
inline void store_some(float* x, const Vector& v, long n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(x, static_cast<__mmask16>((1u << n) - 1u), (__m512)v);
#else
  for (long l = 0; l < n; ++l) x[l] = v[l];
#endif
}

// exp = 2^n (1 + q): q = exp(r) - 1 by Cephes' polynomial, r in [-0.35, 0.35].
struct Exponential {
  float q;
  int n;
};
inline Exponential exponential_of(float x) {
  const float t = x * 1.44269504f + 12582912.f;  // its last bits are the nearest whole number
  const float n = t - 12582912.f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return {p * r * r + r, __builtin_bit_cast(int, t) - 0x4b400000};
}
inline float power_of_two(int n) { return __builtin_bit_cast(float, (n + 127) << 23); }  // n in [-126, 127]

// Relative error 2e-7. Flushes to 0 below -87.3, infinity above 88.7, NaN stays.
inline float exp_of(float x) {
  const Exponential e = exponential_of(x < -87.33f ? -87.33f : (x > 89.f ? 89.f : x));
  // Two steps, since n = 128 is reached near the upper end.
  const int half = e.n >> 1;
  const float y = (e.q + 1.f) * power_of_two(half) * power_of_two(e.n - half);
  return x < -87.33f ? 0.f : y;
}
// For x <= 0: one step.
inline float exp_below_of(float x) {
  const Exponential e = exponential_of(x < -87.33f ? -87.33f : x);
  const float y = (e.q + 1.f) * power_of_two(e.n);
  return x < -87.33f ? 0.f : y;
}
// exp(x) - 1 for x <= 0, relative error 3e-7: for small x, n is 0 and nothing cancels.
inline float expm1_below_of(float x) {
  const Exponential e = exponential_of(x < -30.f ? -30.f : x);
  const float power = power_of_two(e.n);
  return e.q * power + (power - 1.f);
}

inline float sigmoid_of(float x) { return 1.f / (1.f + exp_of(-x)); }

// tanh: odd rational approximation on [-7.9, 7.9] (as in Eigen), relative error 4e-7; beyond it rounds to 1.
inline float tanh_of(float x) {
  const float c = x < -7.9053111f ? -7.9053111f : (x > 7.9053111f ? 7.9053111f : x);
  const float s = c * c;
  float p = -2.76076847742355e-16f;
  p = p * s + 2.00018790482477e-13f;
  p = p * s - 8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  p = p * c;
  float q = 1.19825839466702e-06f;
  q = q * s + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return x != x ? x : p / q;
}

// The gate of a recurrent layer: sigmoid by tanh, absolute error 2e-7 (sigmoid_of's error is relative).
inline float gate_of(float x) { return 0.5f * tanh_of(0.5f * x) + 0.5f; }

// erf: Abramowitz and Stegun 7.1.26 is too coarse; a rational approximation on [-4, 4] (as in Eigen), error
// 3e-7.
inline float erf_of(float x) {
  const float c = x < -4.f ? -4.f : (x > 4.f ? 4.f : x);
  const float s = c * c;
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  p = p * c;
  float q = -1.45660718464996e-05f;
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return x != x ? x : p / q;
}

// log(1 + m) for m in [-0.293, 0.415], plus e log(2): Cephes.
inline float log_sum_of(float m, float e) {
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = p * m * z;
  y = y - e * 2.12194440e-4f - 0.5f * z;
  return m + y + e * 0.693359375f;
}

// Relative error 1e-7. -infinity at 0, NaN below.
inline float log_of(float x) {
  const float small = 1.17549435e-38f;
  const bool denormal = x < small;
  const float scaled = denormal ? x * 8388608.f : x;
  const int bits = __builtin_bit_cast(int, scaled);
  int exponent = ((bits >> 23) & 0xff) - 126;
  float m = __builtin_bit_cast(float, (bits & 0x007fffff) | 0x3f000000);  // [0.5, 1)
  const bool low = m < 0.707106781f;
  m = low ? m + m - 1.f : m - 1.f;
  exponent -= low ? 1 : 0;
  const float y = log_sum_of(m, static_cast<float>(exponent) - (denormal ? 23.f : 0.f));
  const float infinity = __builtin_inff();
  return x != x || x < 0.f ? __builtin_nanf("") : (x == 0.f ? -infinity : (x == infinity ? x : y));
}

// softplus: max(x, 0) + log(1 + u) for u = exp(-|x|) in [0, 1], relative error 4e-7. NaN stays.
inline float softplus_of(float x) {
  const float u = exp_below_of(-__builtin_fabsf(x));
  const bool large = u > 0.41421356f;
  const float y = log_sum_of(large ? 0.5f * u - 0.5f : u, large ? 1.f : 0.f);
  return (x > 0.f ? x : 0.f) + y;
}

// mish: tanh(log(1 + e)) = n / (n + 2) for n = e (e + 2), e = exp(x). Relative error 6e-7.
inline float mish_of(float x) {
  const float e = exp_of(x > 20.f ? 20.f : x), n = e * (e + 2.f);
  return x * (n / (n + 2.f));
}

// sin and cos: Cephes' polynomials over quarters of a turn, x less a multiple of pi / 2 in three parts. Error 1e-7
// for |x| <= kTurns.
constexpr float kTurns = 8192.f;
inline float wave_of(float x, int quarters) {
  const float t = x * 0.636619772f + 12582912.f;  // its last bits are the nearest whole number
  const float n = t - 12582912.f;
  const float r = ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188216e-8f;
  const int q = __builtin_bit_cast(int, t) + quarters;
  const float z = r * r;
  float s = -1.9515295891e-4f;
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * r + r;
  float c = 2.443315711809948e-5f;
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * z * z - 0.5f * z + 1.f;
  const float y = (q & 1) != 0 ? c : s;
  return __builtin_bit_cast(float, __builtin_bit_cast(int, y) ^ ((q & 2) << 30));
}
inline bool within_turns(const float* x, long n) {
  bool within = true;
  for (long i = 0; i < n; ++i) within = within & (__builtin_fabsf(x[i]) <= kTurns);
  return within;
}

// atan: Cephes; relative error 2e-7.
inline float atan_of(float x) {
  const float a = __builtin_fabsf(x);
  const bool far = a > 2.41421356f, middle = a > 0.414213562f;
  const float above = far ? -1.f : (middle ? a - 1.f : a), below = far ? a : (middle ? a + 1.f : 1.f);
  const float m = above / below, z = m * m;
  float p = 8.05374449538e-2f;
  p = p * z - 1.38776856032e-1f;
  p = p * z + 1.99777106478e-1f;
  p = p * z - 3.33329491539e-1f;
  p = p * z * m + m + (far ? 1.57079633f : (middle ? 0.785398163f : 0.f));
  return __builtin_copysignf(p, x);
}

template <class F>
inline void each(float* out, const float* a, long n, F f) {
  for (long i = 0; i < n; ++i) out[i] = f(a[i]);
}
// The same for expensive functions: what is left beyond whole vectors goes through one vector, too.
template <class F>
inline void each_wide(float* out, const float* a, long n, F f) {
  const long whole = n / kLanes * kLanes;
  for (long i = 0; i < whole; ++i) out[i] = f(a[i]);
  if (whole == n) return;
  alignas(64) float rest[kLanes];
  load_some(at(rest), a + whole, n - whole, 0.f);
  for (int l = 0; l < kLanes; ++l) rest[l] = f(rest[l]);
  store_some(out + whole, at(rest), n - whole);
}
template <class F>
inline void each2(float* out, const float* a, const float* b, long n, F f) {
  for (long i = 0; i < n; ++i) out[i] = f(a[i], b[i]);
}

void op_add(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x + y; });
}
void op_sub(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x - y; });
}
void op_mul(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x * y; });
}
void op_div(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x / y; });
}
void op_pow(float* o, const float* a, const float* b, long n, float, float) {
  bool square = true, root = true;
  for (long i = 0; i < n; ++i) square = square && b[i] == 2.f;
  for (long i = 0; i < n; ++i) root = root && b[i] == 0.5f;
  if (square) return each(o, a, n, [](float x) { return x * x; });
  if (root) return each(o, a, n, [](float x) { return __builtin_sqrtf(x); });
  for (long i = 0; i < n; ++i) o[i] = __builtin_powf(a[i], b[i]);
}
void op_max(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x != x || x > y ? x : y; });
}
void op_min(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x != x || x < y ? x : y; });
}
void op_prelu(float* o, const float* a, const float* b, long n, float, float) {
  each2(o, a, b, n, [](float x, float y) { return x < 0.f ? x * y : x; });
}
void op_relu(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return x < 0.f ? 0.f : x; });
}
void op_leaky(float* o, const float* a, const float*, long n, float s, float) {
  each(o, a, n, [s](float x) { return x < 0.f ? s * x : x; });
}
void op_elu(float* o, const float* a, const float*, long n, float s, float) {
  each_wide(o, a, n, [s](float x) {
    const float y = s * expm1_below_of(x < 0.f ? x : 0.f);
    return x < 0.f ? y : x;
  });
}
void op_sigmoid(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return sigmoid_of(x); });
}
void op_tanh(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return tanh_of(x); });
}
void op_exp(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return exp_of(x); });
}
void op_log(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return log_of(x); });
}
void op_sqrt(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return __builtin_sqrtf(x); });
}
void op_reciprocal(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return 1.f / x; });
}
void op_abs(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return __builtin_fabsf(x); });
}
void op_neg(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return -x; });
}
void op_erf(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return erf_of(x); });
}
void op_clip(float* o, const float* a, const float*, long n, float low, float high) {
  const float bottom = low < high ? low : high;
  each(o, a, n, [=](float x) { return x < low ? bottom : (x > high ? high : x); });
}
void op_hard_sigmoid(float* o, const float* a, const float*, long n, float s, float t) {
  each(o, a, n, [=](float x) {
    const float y = s * x + t;
    return y < 0.f ? 0.f : (y > 1.f ? 1.f : y);
  });
}
void op_hard_swish(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) {
    const float y = x * (1.f / 6.f) + 0.5f;
    return x * (y < 0.f ? 0.f : (y > 1.f ? 1.f : y));
  });
}
void op_gelu_erf(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return 0.5f * x * (1.f + erf_of(x * 0.70710678f)); });
}
void op_gelu_tanh(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n,
       [](float x) { return 0.5f * x * (1.f + tanh_of(0.7978845608f * (x + 0.044715f * x * x * x))); });
}
void op_silu(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return x * sigmoid_of(x); });
}
void op_softplus(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return softplus_of(x); });
}
void op_square(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return x * x; });
}
void op_floor(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return __builtin_floorf(x); });
}
void op_ceil(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return __builtin_ceilf(x); });
}
// Half to even: adding 1.5 * 2^23 leaves no bits behind the point; larger numbers are whole already.
inline float round_of(float x) {
  const float magnitude = __builtin_fabsf(x);
  const float whole = (magnitude + 12582912.f) - 12582912.f;
  return magnitude < 4194304.f ? __builtin_copysignf(whole, x) : x;
}
void op_round(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return round_of(x); });
}
void op_linear(float* o, const float* a, const float*, long n, float s, float t) {
  each(o, a, n, [=](float x) { return s * x + t; });
}

void op_selu(float* o, const float* a, const float*, long n, float s, float gamma) {
  each_wide(o, a, n, [=](float x) {
    const float y = s * expm1_below_of(x < 0.f ? x : 0.f);
    return gamma * (x < 0.f ? y : x);
  });
}
void op_celu(float* o, const float* a, const float*, long n, float s, float) {
  each_wide(o, a, n, [s](float x) {
    const float y = s * expm1_below_of((x < 0.f ? x : 0.f) / s);
    return x < 0.f ? y : x;
  });
}
void op_softsign(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return x / (1.f + __builtin_fabsf(x)); });
}
void op_mish(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return mish_of(x); });
}
void op_swish(float* o, const float* a, const float*, long n, float s, float) {
  each_wide(o, a, n, [s](float x) { return x * sigmoid_of(s * x); });
}
void op_sin(float* o, const float* a, const float*, long n, float, float) {
  if (within_turns(a, n)) return each_wide(o, a, n, [](float x) { return wave_of(x, 0); });
  for (long i = 0; i < n; ++i) o[i] = __builtin_sinf(a[i]);
}
void op_cos(float* o, const float* a, const float*, long n, float, float) {
  if (within_turns(a, n)) return each_wide(o, a, n, [](float x) { return wave_of(x, 1); });
  for (long i = 0; i < n; ++i) o[i] = __builtin_cosf(a[i]);
}
void op_atan(float* o, const float* a, const float*, long n, float, float) {
  each_wide(o, a, n, [](float x) { return atan_of(x); });
}
void op_sign(float* o, const float* a, const float*, long n, float, float) {
  each(o, a, n, [](float x) { return x > 0.f ? 1.f : (x < 0.f ? -1.f : 0.f); });
}

constexpr TileOp kElementwise[] = {
    op_add,        op_sub,   op_mul,      op_div,     op_pow,   op_max,          op_min,        op_prelu,
    op_relu,       op_leaky, op_elu,      op_sigmoid, op_tanh,  op_exp,          op_log,        op_sqrt,
    op_reciprocal, op_abs,   op_neg,      op_erf,     op_clip,  op_hard_sigmoid, op_hard_swish, op_gelu_erf,
    op_gelu_tanh,  op_silu,  op_softplus, op_square,  op_floor, op_ceil,         op_round,      op_linear,
    op_selu,       op_celu,  op_softsign, op_mish,    op_swish, op_sin,          op_cos,        op_atan,
    op_sign};
static_assert(sizeof(kElementwise) / sizeof(kElementwise[0]) ==
              static_cast<unsigned long>(ElementOp::kSign) + 1);

// Every lane becomes the combination of all.
template <class Combine>
inline void across(Vector& t, Combine combine) {
  combine(t, __builtin_shufflevector(t, t, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  combine(t, __builtin_shufflevector(t, t, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));
  combine(t, __builtin_shufflevector(t, t, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1));
  combine(t, __builtin_shufflevector(t, t, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0));
}

// combine(total, x) over the piece, by four running vectors, which hide the latency and are more exact than one
// sum; what is left is filled up with `start`.
template <class Combine>
inline float reduce(const float* x, long n, float start, Combine combine) {
  Vector total[4];
  for (Vector& t : total) t = Vector{} + start;
  long i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) combine(total[k], at(x + i + k * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) combine(total[0], at(x + i));
  if (i < n) {
    Vector rest;
    load_some(rest, x + i, n - i, start);
    combine(total[1], rest);
  }
  combine(total[0], total[1]);
  combine(total[2], total[3]);
  combine(total[0], total[2]);
  across(total[0], combine);
  return total[0][0];
}

float sum_of(const float* x, long n) {
  return reduce(x, n, 0.f, [](Vector& total, const Vector& v) { total += v; });
}

float sum_of_squares_of(const float* x, long n, float shift) {
  Vector total[2] = {};
  long i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    for (int k = 0; k < 2; ++k) {
      const Vector d = at(x + i + k * kLanes) - shift;
      total[k] += d * d;
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    const Vector d = at(x + i) - shift;
    total[0] += d * d;
  }
  if (i < n) {
    Vector rest;
    load_some(rest, x + i, n - i, shift);  // nothing, once shifted
    rest -= shift;
    total[1] += rest * rest;
  }
  total[0] += total[1];
  return sum_of(reinterpret_cast<const float*>(total), kLanes);
}

// NaN wins.
float max_of(const float* x, long n) {
  return reduce(x, n, -__builtin_inff(),
                [](Vector& total, const Vector& v) { total = ((v > total) | (v != v)) ? v : total; });
}
float min_of(const float* x, long n) {
  return reduce(x, n, __builtin_inff(),
                [](Vector& total, const Vector& v) { total = ((v < total) | (v != v)) ? v : total; });
}

void quantise_of(unsigned char* out, const float* x, long n, float scale, float zero) {
  for (long i = 0; i < n; ++i) {
    const float whole = round_of(x[i] / scale) + zero;
    const float inside = whole > 0.f ? (whole < 255.f ? whole : 255.f) : 0.f;  // NaN becomes 0
    out[i] = static_cast<unsigned char>(static_cast<int>(inside));
  }
}

// exp of what is not above 0: exp_of without what large numbers need. NaN stays.
typedef int IntVector __attribute__((vector_size(64)));
inline void exp_below(Vector& x) {
  const Vector low = Vector{} - 87.33f, magic = Vector{} + 12582912.f;
  const auto flushed = x < low;
  const Vector c = flushed ? low : x;
  const Vector t = c * 1.44269504f + magic;  // its last bits are the nearest whole number
  const Vector n = t - magic;
  const Vector r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  Vector p = Vector{} + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  const Vector y = p * (Vector)(((IntVector)t << 23) + 0x3f800000);
  x = flushed ? Vector{} : y;
}

void softmax_of(float* out, const float* x, long n) {
  const float top = max_of(x, n);
  Vector total[2] = {};
  long i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    for (int k = 0; k < 2; ++k) {
      Vector v = at(x + i + k * kLanes) - top;
      exp_below(v);
      total[k] += v;
      at(out + i + k * kLanes) = v;
    }
  }
  for (; i < n; i += kLanes) {
    Vector v;
    if (i + kLanes <= n) {
      v = at(x + i);
    } else {
      load_some(v, x + i, n - i, -__builtin_inff());  // which adds nothing
    }
    v -= top;
    exp_below(v);
    total[0] += v;
    if (i + kLanes <= n) {
      at(out + i) = v;
    } else {
      store_some(out + i, v, n - i);
    }
  }
  total[0] += total[1];
  across(total[0], [](Vector& sum, const Vector& v) { sum += v; });
  const float inverse = 1.f / total[0][0];
  for (long j = 0; j < n; ++j) out[j] *= inverse;
}

void normalise_of(float* out, const float* x, const float* scale, const float* bias, long n, float mean,
                  float inverse) {
  if (scale != nullptr && bias != nullptr) {
    for (long i = 0; i < n; ++i) out[i] = (x[i] - mean) * inverse * scale[i] + bias[i];
  } else if (scale != nullptr) {
    for (long i = 0; i < n; ++i) out[i] = (x[i] - mean) * inverse * scale[i];
  } else {
    for (long i = 0; i < n; ++i) out[i] = (x[i] - mean) * inverse;
  }
}

inline float half_to_float(unsigned short bits) {
  // The exponent moves by a multiplication, which also makes normal numbers of the subnormal ones.
  const float scaled = __builtin_bit_cast(float, (bits & 0x7fffu) << 13) * 0x1p112f;
  const unsigned special = (bits & 0x7c00u) == 0x7c00u ? 0x7f800000u | (bits & 0x3ffu) << 13 : 0u;
  const unsigned magnitude = special != 0u ? special : __builtin_bit_cast(unsigned, scaled);
  return __builtin_bit_cast(float, magnitude | (bits & 0x8000u) << 16);
}

inline unsigned short float_to_half(float x) {
  const unsigned bits = __builtin_bit_cast(unsigned, x), sign = bits >> 16 & 0x8000u, u = bits & 0x7fffffffu;
  const unsigned normal = (u - 0x38000000u + 0xfffu + (u >> 13 & 1u)) >> 13;
  // Below 2^-14 an addition rounds to multiples of 2^-24.
  const unsigned subnormal =
      __builtin_bit_cast(unsigned, __builtin_bit_cast(float, u) + 0.5f) - __builtin_bit_cast(unsigned, 0.5f);
  const unsigned finite = u < 0x38800000u ? subnormal : (u >= 0x477ff000u ? 0x7c00u : normal);
  const unsigned nan = 0x7e00u | (u >> 13 & 0x3ffu);
  return static_cast<unsigned short>(sign | (u > 0x7f800000u ? nan : finite));
}

void from_half_of(float* out, const unsigned short* x, long n) {
  for (long i = 0; i < n; ++i) out[i] = half_to_float(x[i]);
}
void to_half_of(unsigned short* out, const float* x, long n) {
  for (long i = 0; i < n; ++i) out[i] = float_to_half(x[i]);
}

// A block of the product below stays in registers.
template <int kRows, int kPanels>
inline void multiply_block(float* c, long leading, const float* a, const float* packed, long k) {
  Vector sum[kRows][kPanels];
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) sum[r][p] = at(c + r * leading + p * 16);
  }
  for (long i = 0; i < k; ++i) {
    for (int p = 0; p < kPanels; ++p) {
      const Vector b = at(packed + (p * k + i) * 16);
      for (int r = 0; r < kRows; ++r) sum[r][p] += a[r * k + i] * b;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) at(c + r * leading + p * 16) = sum[r][p];
  }
}

template <int kPanels>
inline void multiply_panels(float* c, long leading, const float* a, const float* packed, long m, long k) {
  long r = 0;
  for (; r + 4 <= m; r += 4) multiply_block<4, kPanels>(c + r * leading, leading, a + r * k, packed, k);
  for (; r < m; ++r) multiply_block<1, kPanels>(c + r * leading, leading, a + r * k, packed, k);
}

void multiply_add_of(float* c, long leading, const float* a, const float* packed, long m, long panels,
                     long k) {
  long p = 0;
  for (; p + 4 <= panels; p += 4) multiply_panels<4>(c + p * 16, leading, a, packed + p * k * 16, m, k);
  for (; p < panels; ++p) multiply_panels<1>(c + p * 16, leading, a, packed + p * k * 16, m, k);
}

// Rows i and i + 8 alternate: four times over, 16 rows become their transpose.
inline void shuffle_rows(Vector (&to)[16], const Vector (&from)[16]) {
  for (int i = 0; i < 8; ++i) {
    const Vector &a = from[i], &b = from[i + 8];
    to[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    to[2 * i + 1] = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
}

// A few values a pixel, as in images of three colours.
template <long kValues>
inline void split_pixels(float* to, long to_leading, const float* pixels, long n) {
  for (long r = 0; r < kValues; ++r) {
    for (long i = 0; i < n; ++i) to[r * to_leading + i] = pixels[i * kValues + r];
  }
}
template <long kValues>
inline void join_pixels(float* pixels, const float* from, long from_leading, long n) {
  for (long i = 0; i < n; ++i) {
    for (long c = 0; c < kValues; ++c) pixels[i * kValues + c] = from[c * from_leading + i];
  }
}

void transpose_of(float* to, long to_leading, const float* from, long from_leading, long rows, long columns) {
  constexpr long kPiece = 1024;  // what a piece reads stays in the first-level cache
  if ((rows == 2 && from_leading == 2) || (rows == 3 && from_leading == 3)) {
    for (long c = 0; c < columns; c += kPiece) {
      const long n = columns - c < kPiece ? columns - c : kPiece;
      if (rows == 2) split_pixels<2>(to + c, to_leading, from + c * 2, n);
      if (rows == 3) split_pixels<3>(to + c, to_leading, from + c * 3, n);
    }
    return;
  }
  if (columns == 2 && to_leading == 2) return join_pixels<2>(to, from, from_leading, rows);
  if (columns == 3 && to_leading == 3) return join_pixels<3>(to, from, from_leading, rows);
  for (long r = 0; r < rows; r += kLanes) {
    const long height = rows - r < kLanes ? rows - r : kLanes;
    for (long c = 0; c < columns; c += kLanes) {
      const long width = columns - c < kLanes ? columns - c : kLanes;
      Vector a[16] = {}, b[16];
      for (long i = 0; i < width; ++i) {
        const float* const x = from + (c + i) * from_leading + r;
        if (height == kLanes) {
          a[i] = at(x);
        } else {
          load_some(a[i], x, height, 0.f);
        }
      }
      shuffle_rows(b, a);
      shuffle_rows(a, b);
      shuffle_rows(b, a);
      shuffle_rows(a, b);
      for (long i = 0; i < height; ++i) {
        float* const y = to + (r + i) * to_leading + c;
        if (width == kLanes) {
          at(y) = a[i];
        } else {
          store_some(y, a[i], width);
        }
      }
    }
  }
}

void pack_columns_of(float* packed, const float* x, long leading, long columns, long k) {
  for (long first = 0; first < columns; first += kLanes) {
    float* const panel = packed + first * k;
    const long count = columns - first < kLanes ? columns - first : kLanes;
    for (long i = 0; i < k; i += kLanes) {
      const long length = k - i < kLanes ? k - i : kLanes;
      Vector a[16] = {}, b[16];
      for (long c = 0; c < count; ++c) {
        const float* const from = x + (first + c) * leading + i;
        if (length == kLanes) {
          a[c] = at(from);
        } else {
          load_some(a[c], from, length, 0.f);
        }
      }
      shuffle_rows(b, a);
      shuffle_rows(a, b);
      shuffle_rows(b, a);
      shuffle_rows(a, b);
      for (long l = 0; l < length; ++l) at(panel + (i + l) * kLanes) = a[l];
    }
  }
}

void pack_rows_of(float* packed, const float* x, long leading, long columns, long k) {
  for (long first = 0; first < columns; first += kLanes) {
    float* const panel = packed + first * k;
    const long count = columns - first;
    for (long i = 0; i < k; ++i) {
      const float* const from = x + i * leading + first;
      if (count >= kLanes) {
        at(panel + i * kLanes) = at(from);
      } else {
        load_some(at(panel + i * kLanes), from, count, 0.f);
      }
    }
  }
}

// `columns`: how many are stored.
template <int kRows, int kPanels>
inline void product_block(float* c, long c_leading, const float* a, long a_leading, const float* packed,
                          long columns, long k) {
  Vector sum[kRows][kPanels];
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kPanels; ++p) sum[r][p] = Vector{};
  }
  for (long i = 0; i < k; ++i) {
    for (int p = 0; p < kPanels; ++p) {
      const Vector b = at(packed + (p * k + i) * 16);
      for (int r = 0; r < kRows; ++r) sum[r][p] += a[r * a_leading + i] * b;
    }
  }
  if (columns >= kPanels * kLanes) {
    for (int r = 0; r < kRows; ++r) {
      for (int p = 0; p < kPanels; ++p) at(c + r * c_leading + p * kLanes) = sum[r][p];
    }
    return;
  }
  // All panels but the last are whole.
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p + 1 < kPanels; ++p) at(c + r * c_leading + p * kLanes) = sum[r][p];
    store_some(c + r * c_leading + (kPanels - 1) * kLanes, sum[r][kPanels - 1], columns - (kPanels - 1) * kLanes);
  }
}

template <int kPanels>
inline void product_panels(float* c, long c_leading, const float* a, long a_leading, const float* packed,
                           long m, long columns, long k) {
  long r = 0;
  for (; r + 4 <= m; r += 4)
    product_block<4, kPanels>(c + r * c_leading, c_leading, a + r * a_leading, a_leading, packed, columns, k);
  for (; r < m; ++r)
    product_block<1, kPanels>(c + r * c_leading, c_leading, a + r * a_leading, a_leading, packed, columns, k);
}

void multiply_of(float* c, long c_leading, const float* a, long a_leading, const float* packed, long m,
                 long columns, long k) {
#if defined(__AVX512F__)
  constexpr int kWide = 4;
#else
  constexpr int kWide = 1;  // as many as there are registers for
#endif
  long first = 0;
  for (; first + (kWide - 1) * kLanes < columns; first += kWide * kLanes)
    product_panels<kWide>(c + first, c_leading, a, a_leading, packed + first * k, m, columns - first, k);
  for (; kWide > 1 && first + kLanes < columns; first += 2 * kLanes)
    product_panels<2>(c + first, c_leading, a, a_leading, packed + first * k, m, columns - first, k);
  for (; first < columns; first += kLanes)
    product_panels<1>(c + first, c_leading, a, a_leading, packed + first * k, m, columns - first, k);
}

void softmax_rows_of(float* x, long rows, long n) {
  if (n > kLanes) {
    for (long r = 0; r < rows; ++r) softmax_of(x + r * n, x + r * n, n);
    return;
  }
  // A row is one vector.
  for (long r = 0; r < rows; ++r, x += n) {
    Vector v;
    if (n == kLanes) {
      v = at(x);
    } else {
      load_some(v, x, n, -__builtin_inff());
    }
    Vector t = v;
    across(t, [](Vector& total, const Vector& w) { total = ((w > total) | (w != w)) ? w : total; });
    const float top = t[0];
    v -= top;
    exp_below(v);
    t = v;
    across(t, [](Vector& total, const Vector& w) { total += w; });
    v *= 1.f / t[0];
    if (n == kLanes) {
      at(x) = v;
    } else {
      store_some(x, v, n);
    }
  }
}

// Calls cell(rows) for blocks of the rows, kLanes long; the last block works on copies. The first kWritten rows
// are written.
template <int kRows, int kWritten, class Cell>
inline void each_block(float* const (&rows)[kRows], long n, Cell cell) {
  long j = 0;
  float* block[kRows];
  for (; j + kLanes <= n; j += kLanes) {
    for (int r = 0; r < kRows; ++r) block[r] = rows[r] + j;
    cell(block);
  }
  if (j == n) return;
  alignas(64) float rest[kRows][kLanes];
  for (int r = 0; r < kRows; ++r) {
    load_some(at(rest[r]), rows[r] + j, n - j, 0.f);
    block[r] = rest[r];
  }
  cell(block);
  for (int r = 0; r < kWritten; ++r) store_some(rows[r] + j, at(rest[r]), n - j);
}
// Only the first rows of a block are written.
inline float* row(const float* x) { return const_cast<float*>(x); }

void lstm_cell_of(float* h, float* c, const float* gates, long n) {
  float* const rows[] = {h, c, row(gates), row(gates + n), row(gates + 2 * n), row(gates + 3 * n)};
  each_block<6, 2>(rows, n, [](float* const* x) {
    for (int l = 0; l < kLanes; ++l) {
      const float state = gate_of(x[4][l]) * x[1][l] + gate_of(x[2][l]) * tanh_of(x[5][l]);
      x[1][l] = state;
      x[0][l] = gate_of(x[3][l]) * tanh_of(state);
    }
  });
}

void gru_linear_cell_of(float* after, const float* before, const float* gates, const float* recurrent,
                        long n) {
  float* const rows[] = {after,          row(before),        row(gates),
                         row(gates + n), row(gates + 2 * n), row(recurrent),
                         row(recurrent + n), row(recurrent + 2 * n)};
  each_block<8, 1>(rows, n, [](float* const* x) {
    for (int l = 0; l < kLanes; ++l) {
      const float update = gate_of(x[2][l] + x[5][l]), reset = gate_of(x[3][l] + x[6][l]);
      const float candidate = tanh_of(x[4][l] + reset * x[7][l]);
      x[0][l] = candidate + update * (x[1][l] - candidate);
    }
  });
}

void gru_reset_of(float* out, const float* before, const float* gates, long n) {
  float* const rows[] = {out, row(before), row(gates + n)};
  each_block<3, 1>(rows, n, [](float* const* x) {
    for (int l = 0; l < kLanes; ++l) x[0][l] = gate_of(x[2][l]) * x[1][l];
  });
}

void gru_cell_of(float* after, const float* before, const float* gates, const float* recurrent, long n) {
  float* const rows[] = {after, row(before), row(gates), row(gates + 2 * n), row(recurrent)};
  each_block<5, 1>(rows, n, [](float* const* x) {
    for (int l = 0; l < kLanes; ++l) {
      const float candidate = tanh_of(x[3][l] + x[4][l]);
      x[0][l] = candidate + gate_of(x[2][l]) * (x[1][l] - candidate);
    }
  });
}

const TileOps& ops() {
  static constexpr TileOps kOps = {
      kElementwise,    sum_of,       sum_of_squares_of,  max_of,       min_of,       softmax_of,  normalise_of,
      multiply_add_of, pack_columns_of, pack_rows_of, transpose_of, multiply_of, softmax_rows_of, lstm_cell_of, gru_linear_cell_of, gru_reset_of, gru_cell_of, quantise_of, from_half_of,
      to_half_of};
  return kOps;
}
