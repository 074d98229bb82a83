// Attention and RotaryEmbedding of ONNX.
#include "ref/convert.h"
#include "ref/dispatch.h"
#include "ref/formats.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

// [B, S, H * D] -> [B, H, S, D]; a tensor of rank 4 stays.
Result<Tensor> split_heads(const Call& c, const Tensor& x, int64_t heads) {
  if (x.dims().size() == 4) return x;
  if (x.dims().size() != 3 || heads < 1 || x.dims()[2] % heads != 0) {
    return c.bad(fmt::format("{} heads do not fit the shape {}", heads, to_string(x.dims())));
  }
  const std::array<size_t, 4> order{0, 2, 1, 3};
  return transpose(x.reshaped({x.dims()[0], x.dims()[1], heads, x.dims()[2] / heads}), order);
}

// [B, H, P, D] + [B, H, S, D] -> [B, H, P + S, D]
Result<Tensor> append_cache(const Call& c, const Tensor* past, const Tensor& now) {
  if (!past) return now;
  const Dims &p = past->dims(), &n = now.dims();
  if (p.size() != 4 || past->dtype() != now.dtype() || p[0] != n[0] || p[1] != n[1] || p[3] != n[3])
    return c.bad("the cache does not fit");
  MTS_ASSIGN(Tensor out, c.make(now.dtype(), {n[0], n[1], p[2] + n[2], n[3]}));
  for (int64_t i = 0; i < n[0] * n[1]; ++i) {
    const int64_t to = i * (p[2] + n[2]) * n[3];
    copy_elements(*past, i * p[2] * n[3], out, to, p[2] * n[3]);
    copy_elements(now, i * n[2] * n[3], out, to + p[2] * n[3], n[2] * n[3]);
  }
  return out;
}

struct Geometry {
  int64_t batch, q_heads, kv_heads, q_length, kv_length, head_size, v_size, past;
};

// The additive mask [B, H, Q, K]: attn_mask (padded with -inf), causality and the valid length of each
// sequence.
Result<std::vector<double>> bias_of(const Call& c, const Geometry& g) {
  std::vector<double> bias(static_cast<size_t>(g.batch * g.q_heads * g.q_length * g.kv_length), 0.0);
  std::vector<int64_t> valid;
  if (const Tensor* given = c.opt(6)) {
    MTS_ASSIGN(valid, c.ints(*given));
    if (static_cast<int64_t>(valid.size()) != g.batch)
      return c.bad("nonpad_kv_seqlen does not fit the batch");
  }
  const bool causal = c.node.int_or("is_causal", 0) != 0;
  const Dims full{g.batch, g.q_heads, g.q_length, g.kv_length};
  Tensor mask;
  int64_t mask_width = 0;
  if (const Tensor* given = c.opt(3)) {
    if (given->dims().size() < 2) return c.bad("attn_mask must have rank 2 to 4");
    mask_width = given->dims().back();
    Dims wide = full;
    wide.back() = mask_width;
    if (mask_width == 1 && g.kv_length != 1) wide.back() = mask_width = g.kv_length;
    if (mask_width > g.kv_length || broadcast(wide, given->dims()) != wide) {
      return c.bad(
          fmt::format("attn_mask {} does not broadcast to {}", to_string(given->dims()), to_string(full)));
    }
    mask = expand(*given, wide);
  }
  std::vector<double> mask_values;
  if (mask.defined()) {
    MTS_ASSIGN(mask_values, to_doubles(c, mask));
    if (mask.dtype() == DType::kBool) {
      for (double& value : mask_values) value = value != 0 ? 0 : -INFINITY;
    }
  }
  size_t at = 0;
  for (int64_t row = 0; row < g.batch * g.q_heads * g.q_length; ++row) {
    const int64_t b = row / (g.q_heads * g.q_length), i = row % g.q_length;
    for (int64_t j = 0; j < g.kv_length; ++j, ++at) {
      double& value = bias[at];
      if (mask.defined())
        value = j < mask_width ? mask_values[static_cast<size_t>(row * mask_width + j)] : -INFINITY;
      if (causal && j > i + g.past) value = -INFINITY;
      if (!valid.empty() && j >= valid[static_cast<size_t>(b)]) value = -INFINITY;
    }
  }
  return bias;
}

// y = softmax(q k^T * scale + bias) v, head by head.
Outputs attention(const Call& c) {
  for (const size_t i : {size_t{0}, size_t{1}, size_t{2}})
    if (!is_float(c.in(i).dtype()) || bit_width(c.in(i).dtype()) < 8) return c.bad_dtype(c.in(i));
  MTS_ASSIGN(const Tensor q, split_heads(c, c.in(0), c.node.int_or("q_num_heads", 0)));
  MTS_ASSIGN(const Tensor k_now, split_heads(c, c.in(1), c.node.int_or("kv_num_heads", 0)));
  MTS_ASSIGN(const Tensor v_now, split_heads(c, c.in(2), c.node.int_or("kv_num_heads", 0)));
  MTS_ASSIGN(const Tensor k, append_cache(c, c.opt(4), k_now));
  MTS_ASSIGN(const Tensor v, append_cache(c, c.opt(5), v_now));
  const Geometry g{q.dims()[0], q.dims()[1], k.dims()[1], q.dims()[2],
                   k.dims()[2], q.dims()[3], v.dims()[3], c.has(4) ? c.in(4).dims()[2] : 0};
  if (k.dims() != Dims{g.batch, g.kv_heads, g.kv_length, g.head_size} ||
      v.dims() != Dims{g.batch, g.kv_heads, g.kv_length, g.v_size} || g.kv_heads == 0 ||
      g.q_heads % g.kv_heads != 0) {
    return c.bad(fmt::format("Q {}, K {} and V {} do not go together", to_string(q.dims()),
                             to_string(k.dims()), to_string(v.dims())));
  }
  MTS_ASSIGN(const std::vector<double> bias, bias_of(c, g));
  MTS_ASSIGN(const std::vector<double> qs, to_doubles(c, q));
  MTS_ASSIGN(const std::vector<double> ks, to_doubles(c, k));
  MTS_ASSIGN(const std::vector<double> vs, to_doubles(c, v));
  const double scale =
      c.node.find("scale") ? c.node.float_or("scale", 1) : 1 / std::sqrt(static_cast<double>(g.head_size));
  const double softcap = c.node.float_or("softcap", 0);
  const int64_t mode = c.node.int_or("qk_matmul_output_mode", 0);
  std::vector<double> y(static_cast<size_t>(g.batch * g.q_heads * g.q_length * g.v_size), 0.0);
  std::vector<double> scores(bias.size());
  std::vector<double> row(static_cast<size_t>(g.kv_length));
  for (int64_t head = 0; head < g.batch * g.q_heads; ++head) {
    const int64_t b = head / g.q_heads, kv_head = head % g.q_heads / (g.q_heads / g.kv_heads);
    const double* keys = ks.data() + (b * g.kv_heads + kv_head) * g.kv_length * g.head_size;
    const double* values = vs.data() + (b * g.kv_heads + kv_head) * g.kv_length * g.v_size;
    for (int64_t i = 0; i < g.q_length; ++i) {
      const double* query = qs.data() + (head * g.q_length + i) * g.head_size;
      const int64_t first = (head * g.q_length + i) * g.kv_length;
      double largest = -INFINITY;
      for (int64_t j = 0; j < g.kv_length; ++j) {
        double sum = 0;
        for (int64_t d = 0; d < g.head_size; ++d) sum += query[d] * keys[j * g.head_size + d];
        sum *= scale;
        // The cap comes before the mask, so that what is masked stays so (ONNX 1.20 and its test data had
        // them the other way round; later releases and engines agree on this order).
        const double capped = softcap > 0 ? softcap * std::tanh(sum / softcap) : sum;
        const double masked = capped + bias[static_cast<size_t>(first + j)];
        scores[static_cast<size_t>(first + j)] = mode == 0 ? sum : (mode == 1 ? capped : masked);
        row[static_cast<size_t>(j)] = masked;
        largest = std::max(largest, masked);
      }
      double total = 0;
      for (double& value : row) total += value = largest == -INFINITY ? 0 : std::exp(value - largest);
      for (int64_t j = 0; j < g.kv_length; ++j) {
        const double weight = total == 0 ? 0 : row[static_cast<size_t>(j)] / total;
        if (mode == 3) scores[static_cast<size_t>(first + j)] = weight;
        for (int64_t d = 0; d < g.v_size; ++d) {
          y[static_cast<size_t>((head * g.q_length + i) * g.v_size + d)] += weight * values[j * g.v_size + d];
        }
      }
    }
  }
  MTS_ASSIGN(Tensor out, from_doubles(c, y, q.dtype(), {g.batch, g.q_heads, g.q_length, g.v_size}));
  if (c.in(0).dims().size() == 3) {
    const std::array<size_t, 4> order{0, 2, 1, 3};
    out = transpose(out, order).reshaped({g.batch, g.q_length, g.q_heads * g.v_size});
  }
  MTS_ASSIGN(Tensor exposed,
             from_doubles(c, scores, q.dtype(), {g.batch, g.q_heads, g.q_length, g.kv_length}));
  std::vector<Datum> result = one(std::move(out));
  result.emplace_back(k);
  result.emplace_back(v);
  result.emplace_back(std::move(exposed));
  return result;
}

// x [B, H, S, D] or [B, S, H * D]; caches [P, R / 2] with positions, or [B, S, R / 2].
Outputs rotary_embedding(const Call& c) {
  const Tensor& x = c.in(0);
  const bool flat = x.dims().size() == 3;
  MTS_ASSIGN(const Tensor heads, split_heads(c, x, c.node.int_or("num_heads", 0)));
  const int64_t batch = heads.dims()[0], count = heads.dims()[1], length = heads.dims()[2],
                size = heads.dims()[3];
  int64_t rotated = c.node.int_or("rotary_embedding_dim", 0);
  if (rotated == 0) rotated = size;
  const int64_t half = rotated / 2;
  const bool interleaved = c.node.int_or("interleaved", 0) != 0;
  const Tensor &cos_cache = c.in(1), &sin_cache = c.in(2);
  const Tensor* positions = c.opt(3);
  const size_t cache_rank = positions ? 2 : 3;
  if (rotated < 0 || rotated > size || rotated % 2 != 0 || cos_cache.dims() != sin_cache.dims() ||
      cos_cache.dims().size() != cache_rank || cos_cache.dims().back() != half) {
    return c.bad("the caches do not fit rotary_embedding_dim");
  }
  if (!positions && (cos_cache.dims()[0] != batch || cos_cache.dims()[1] != length))
    return c.bad("the caches do not fit the input");
  std::vector<int64_t> rows(static_cast<size_t>(batch * length));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
  if (positions) {
    MTS_ASSIGN(rows, c.ints(*positions));
    if (static_cast<int64_t>(rows.size()) != batch * length)
      return c.bad("position_ids do not fit the input");
    for (int64_t row : rows) {
      if (row < 0 || row >= cos_cache.dims()[0])
        return c.bad(fmt::format("position {} is not in the caches", row));
    }
  }
  MTS_ASSIGN(const std::vector<double> cosines, to_doubles(c, cos_cache));
  MTS_ASSIGN(const std::vector<double> sines, to_doubles(c, sin_cache));
  MTS_ASSIGN(std::vector<double> values, to_doubles(c, heads));
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < count; ++h) {
      for (int64_t s = 0; s < length; ++s) {
        double* at = values.data() + ((b * count + h) * length + s) * size;
        const int64_t cache = rows[static_cast<size_t>(b * length + s)] * half;
        for (int64_t i = 0; i < half; ++i) {
          double& first = at[interleaved ? 2 * i : i];
          double& second = at[interleaved ? 2 * i + 1 : half + i];
          const double cosine = cosines[static_cast<size_t>(cache + i)],
                       sine = sines[static_cast<size_t>(cache + i)];
          const double real = cosine * first - sine * second, imaginary = sine * first + cosine * second;
          first = real;
          second = imaginary;
        }
      }
    }
  }
  MTS_ASSIGN(Tensor out, from_doubles(c, values, x.dtype(), heads.dims()));
  if (!flat) return one(std::move(out));
  const std::array<size_t, 4> order{0, 2, 1, 3};
  return one(transpose(out, order).reshaped(x.dims()));
}

constexpr Operator kTable[] = {
    {"Attention", "", 23, kLatest, 3, kWiden, attention},
    {"RotaryEmbedding", "", 23, kLatest, 3, kWiden, rotary_embedding},
};

}  // namespace

std::span<const Operator> attention_operators() { return kTable; }

}  // namespace mts::ref
