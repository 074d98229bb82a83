// RNN, GRU and LSTM with all their attributes, by the formulas of the specification.
#include "ref/convert.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace mts::ref {
namespace {

using Activation = std::function<double(double)>;

Result<Activation> activation_of(const Call& c, const std::string& given, double alpha, double beta,
                                 bool has_alpha, bool has_beta) {
  std::string name = given;
  std::ranges::transform(name, name.begin(),
                         [](char x) { return x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x; });
  const auto alpha_or = [=](double fallback) { return has_alpha ? alpha : fallback; };
  const auto beta_or = [=](double fallback) { return has_beta ? beta : fallback; };
  const auto make = [](auto f) -> Result<Activation> { return Activation(f); };
  if (name == "sigmoid") return make([](double x) { return 1 / (1 + std::exp(-x)); });
  if (name == "tanh") return make([](double x) { return std::tanh(x); });
  if (name == "relu") return make([](double x) { return std::max(0.0, x); });
  if (name == "softsign") return make([](double x) { return x / (1 + std::fabs(x)); });
  if (name == "softplus")
    return make([](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); });
  if (name == "affine") return make([a = alpha_or(1), b = beta_or(0)](double x) { return a * x + b; });
  if (name == "leakyrelu") return make([a = alpha_or(0.01)](double x) { return x < 0 ? a * x : x; });
  if (name == "thresholdedrelu") return make([a = alpha_or(1)](double x) { return x > a ? x : 0; });
  if (name == "scaledtanh")
    return make([a = alpha_or(1), b = beta_or(1)](double x) { return a * std::tanh(b * x); });
  if (name == "hardsigmoid")
    return make([a = alpha_or(0.2), b = beta_or(0.5)](double x) { return std::clamp(a * x + b, 0.0, 1.0); });
  if (name == "elu") return make([a = alpha_or(1)](double x) { return x < 0 ? a * std::expm1(x) : x; });
  return c.bad("the activation " + given + " is not known");
}

// What the three operators share. Sizes: T steps, B batch, I input, H hidden, D directions, G gates.
struct Layer {
  int64_t steps, batch, input, hidden, directions, gates;
  bool batch_first, reverse_only;
  double clip;
  std::vector<Activation> activations;  // of all directions, one after another
  std::vector<double> x, w, r, bias, initial_h, initial_c, peephole;
  std::vector<int64_t> lengths;

  double clipped(double value) const { return clip > 0 ? std::clamp(value, -clip, clip) : value; }
  const double* input_at(int64_t step, int64_t b) const {
    return x.data() + (batch_first ? b * steps + step : step * batch + b) * input;
  }
};

Result<std::vector<double>> optional_values(const Call& c, size_t position, int64_t count,
                                            std::string_view name) {
  const Tensor* given = c.opt(position);
  if (!given) return std::vector<double>(static_cast<size_t>(count), 0.0);
  if (given->element_count() != count) {
    return c.bad(fmt::format("{} has {} elements instead of {}", name, given->element_count(), count));
  }
  return to_doubles(c, *given);
}

Result<Layer> layer_of(const Call& c, int64_t gates, const std::vector<std::string>& default_activations) {
  Layer l;
  const Tensor &x = c.in(0), &w = c.in(1), &r = c.in(2);
  if (x.dims().size() != 3 || w.dims().size() != 3 || r.dims().size() != 3)
    return c.bad("X, W and R must have rank 3");
  l.batch_first = c.node.int_or("layout", 0) != 0;
  l.steps = x.dims()[l.batch_first ? 1 : 0];
  l.batch = x.dims()[l.batch_first ? 0 : 1];
  l.input = x.dims()[2];
  l.directions = w.dims()[0];
  l.hidden = c.node.int_or("hidden_size", r.dims()[2]);
  l.gates = gates;
  const std::string direction = c.node.string_or("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return c.bad("direction is " + direction);
  l.reverse_only = direction == "reverse";
  if (l.directions != (direction == "bidirectional" ? 2 : 1))
    return c.bad("W does not have one part a direction");
  if (l.hidden < 1 || w.dims() != Dims{l.directions, gates * l.hidden, l.input} ||
      r.dims() != Dims{l.directions, gates * l.hidden, l.hidden}) {
    return c.bad(fmt::format("X {}, W {}, R {} do not go together", to_string(x.dims()), to_string(w.dims()),
                             to_string(r.dims())));
  }
  l.clip = c.node.float_or("clip", 0);
  std::vector<std::string> names = c.strings("activations");
  if (names.empty()) {
    for (int64_t d = 0; d < l.directions; ++d)
      names.insert(names.end(), default_activations.begin(), default_activations.end());
  }
  if (names.size() != default_activations.size() * static_cast<size_t>(l.directions))
    return c.bad("activations has the wrong length");
  const std::vector<float> alphas = c.floats("activation_alpha"), betas = c.floats("activation_beta");
  for (size_t i = 0; i < names.size(); ++i) {
    const bool has_alpha = i < alphas.size(), has_beta = i < betas.size();
    MTS_ASSIGN(Activation f, activation_of(c, names[i], has_alpha ? alphas[i] : 0, has_beta ? betas[i] : 0,
                                           has_alpha, has_beta));
    l.activations.push_back(std::move(f));
  }
  MTS_ASSIGN(l.x, to_doubles(c, x));
  MTS_ASSIGN(l.w, to_doubles(c, w));
  MTS_ASSIGN(l.r, to_doubles(c, r));
  MTS_ASSIGN(l.bias, optional_values(c, 3, l.directions * 2 * gates * l.hidden, "B"));
  l.lengths.assign(static_cast<size_t>(l.batch), l.steps);
  if (const Tensor* given = c.opt(4)) {
    MTS_ASSIGN(l.lengths, c.ints(*given));
    if (static_cast<int64_t>(l.lengths.size()) != l.batch)
      return c.bad("sequence_lens does not fit the batch");
    for (int64_t length : l.lengths) {
      if (length < 0 || length > l.steps)
        return c.bad(fmt::format("a sequence of length {} in {} steps", length, l.steps));
    }
  }
  MTS_ASSIGN(l.initial_h, optional_values(c, 5, l.directions * l.batch * l.hidden, "initial_h"));
  return l;
}

// y[j] = sum_k m[row * columns + ...][k] * v[k] for the `count` rows from `row` on.
void add_product(const double* m, int64_t row, int64_t count, int64_t columns, const double* v, double* y) {
  for (int64_t j = 0; j < count; ++j) {
    const double* from = m + (row + j) * columns;
    double sum = 0;
    for (int64_t k = 0; k < columns; ++k) sum += from[k] * v[k];
    y[j] += sum;
  }
}

// One step of one sequence: reads the pre-activations of all gates' input part, updates h (and c) in place.
using Cell = std::function<void(int64_t direction, std::vector<double>& gates, std::vector<double>& h,
                                std::vector<double>& c)>;

// Runs the cell over all directions, sequences and steps.
Outputs run(const Call& c, const Layer& l, bool has_cell_state, const Cell& cell) {
  const int64_t gate_rows = l.gates * l.hidden;
  std::vector<double> y(static_cast<size_t>(l.steps * l.directions * l.batch * l.hidden), 0.0);
  std::vector<double> last_h(static_cast<size_t>(l.directions * l.batch * l.hidden)), last_c(last_h.size());
  for (int64_t d = 0; d < l.directions; ++d) {
    const bool reverse = l.reverse_only || d == 1;
    const double* bias = l.bias.data() + d * 2 * gate_rows;
    for (int64_t b = 0; b < l.batch; ++b) {
      const int64_t state = ((l.batch_first ? b * l.directions + d : d * l.batch + b)) * l.hidden;
      std::vector<double> h(l.initial_h.begin() + state, l.initial_h.begin() + state + l.hidden);
      std::vector<double> memory(static_cast<size_t>(l.hidden), 0.0);
      if (has_cell_state) memory.assign(l.initial_c.begin() + state, l.initial_c.begin() + state + l.hidden);
      const int64_t length = l.lengths[static_cast<size_t>(b)];
      for (int64_t i = 0; i < length; ++i) {
        const int64_t step = reverse ? length - 1 - i : i;
        std::vector<double> gates(bias, bias + gate_rows);  // Wb; Rb is the cell's business
        add_product(l.w.data() + d * gate_rows * l.input, 0, gate_rows, l.input, l.input_at(step, b),
                    gates.data());
        cell(d, gates, h, memory);
        const int64_t to = l.batch_first ? ((b * l.steps + step) * l.directions + d) * l.hidden
                                         : ((step * l.directions + d) * l.batch + b) * l.hidden;
        std::ranges::copy(h, y.begin() + to);
      }
      std::ranges::copy(h, last_h.begin() + state);
      std::ranges::copy(memory, last_c.begin() + state);
    }
  }
  const DType dtype = c.in(0).dtype();
  const Dims y_dims = l.batch_first ? Dims{l.batch, l.steps, l.directions, l.hidden}
                                    : Dims{l.steps, l.directions, l.batch, l.hidden};
  const Dims h_dims =
      l.batch_first ? Dims{l.batch, l.directions, l.hidden} : Dims{l.directions, l.batch, l.hidden};
  MTS_ASSIGN(Tensor y_tensor, from_doubles(c, y, dtype, y_dims));
  MTS_ASSIGN(Tensor h_tensor, from_doubles(c, last_h, dtype, h_dims));
  std::vector<Datum> result = one(std::move(y_tensor));
  result.emplace_back(std::move(h_tensor));
  if (has_cell_state) {
    MTS_ASSIGN(Tensor c_tensor, from_doubles(c, last_c, dtype, h_dims));
    result.emplace_back(std::move(c_tensor));
  }
  return result;
}

Outputs rnn(const Call& c) {
  MTS_ASSIGN(const Layer l, layer_of(c, 1, {"Tanh"}));
  return run(
      c, l, false, [&](int64_t d, std::vector<double>& gates, std::vector<double>& h, std::vector<double>&) {
        const double* recurrent_bias = l.bias.data() + d * 2 * l.hidden + l.hidden;
        for (int64_t j = 0; j < l.hidden; ++j) gates[static_cast<size_t>(j)] += recurrent_bias[j];
        add_product(l.r.data() + d * l.hidden * l.hidden, 0, l.hidden, l.hidden, h.data(), gates.data());
        for (size_t j = 0; j < h.size(); ++j)
          h[j] = l.activations[static_cast<size_t>(d)](l.clipped(gates[j]));
      });
}

// Gates z, r, h.
Outputs gru(const Call& c) {
  MTS_ASSIGN(const Layer l, layer_of(c, 3, {"Sigmoid", "Tanh"}));
  const bool linear_before_reset = c.node.int_or("linear_before_reset", 0) != 0;
  const auto size = static_cast<size_t>(l.hidden);
  return run(c, l, false,
             [&](int64_t d, std::vector<double>& gates, std::vector<double>& h, std::vector<double>&) {
               const double* r = l.r.data() + d * 3 * l.hidden * l.hidden;
               const double* recurrent_bias = l.bias.data() + d * 6 * l.hidden + 3 * l.hidden;
               const Activation &f = l.activations[static_cast<size_t>(2 * d)],
                                &g = l.activations[static_cast<size_t>(2 * d + 1)];
               for (size_t j = 0; j < 2 * size; ++j) gates[j] += recurrent_bias[j];
               add_product(r, 0, 2 * l.hidden, l.hidden, h.data(), gates.data());
               for (size_t j = 0; j < 2 * size; ++j) gates[j] = f(l.clipped(gates[j]));
               std::vector<double> recurrent(size, 0.0), gated(size);
               for (size_t j = 0; j < size; ++j)
                 gated[j] = linear_before_reset ? h[j] : gates[size + j] * h[j];
               add_product(r, 2 * l.hidden, l.hidden, l.hidden, gated.data(), recurrent.data());
               for (size_t j = 0; j < size; ++j) {
                 const double with_bias = recurrent[j] + recurrent_bias[2 * size + j];
                 const double candidate = g(l.clipped(
                     gates[2 * size + j] + (linear_before_reset ? gates[size + j] * with_bias : with_bias)));
                 h[j] = (1 - gates[j]) * candidate + gates[j] * h[j];
               }
             });
}

// Gates i, o, f, c; peepholes i, o, f.
Outputs lstm(const Call& c) {
  MTS_ASSIGN(Layer l, layer_of(c, 4, {"Sigmoid", "Tanh", "Tanh"}));
  MTS_ASSIGN(l.initial_c, optional_values(c, 6, l.directions * l.batch * l.hidden, "initial_c"));
  MTS_ASSIGN(l.peephole, optional_values(c, 7, l.directions * 3 * l.hidden, "P"));
  const bool input_forget = c.node.int_or("input_forget", 0) != 0;
  const auto size = static_cast<size_t>(l.hidden);
  return run(
      c, l, true,
      [&](int64_t d, std::vector<double>& gates, std::vector<double>& h, std::vector<double>& memory) {
        const double* recurrent_bias = l.bias.data() + d * 8 * l.hidden + 4 * l.hidden;
        const double* p = l.peephole.data() + d * 3 * l.hidden;
        const auto at = static_cast<size_t>(3 * d);
        const Activation &f = l.activations[at], &g = l.activations[at + 1], &output = l.activations[at + 2];
        for (size_t j = 0; j < 4 * size; ++j) gates[j] += recurrent_bias[j];
        add_product(l.r.data() + d * 4 * l.hidden * l.hidden, 0, 4 * l.hidden, l.hidden, h.data(),
                    gates.data());
        for (size_t j = 0; j < size; ++j) {
          const double input_gate = f(l.clipped(gates[j] + p[j] * memory[j]));
          const double forget_gate =
              input_forget ? 1 - input_gate : f(l.clipped(gates[2 * size + j] + p[2 * size + j] * memory[j]));
          const double candidate = g(l.clipped(gates[3 * size + j]));
          memory[j] = forget_gate * memory[j] + input_gate * candidate;
          const double output_gate = f(l.clipped(gates[size + j] + p[size + j] * memory[j]));
          h[j] = output_gate * output(memory[j]);
        }
      });
}

constexpr Operator kTable[] = {
    {"RNN", "", 7, kLatest, 3, kWiden, rnn},
    {"GRU", "", 7, kLatest, 3, kWiden, gru},
    {"LSTM", "", 7, kLatest, 3, kWiden, lstm},
};

}  // namespace

std::span<const Operator> recurrent_operators() { return kTable; }

}  // namespace mts::ref
