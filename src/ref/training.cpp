// Optimisers of ai.onnx.preview.training: R, T, then the tensors X.., G.., states.. in groups of equal size.
#include "ref/convert.h"
#include "ref/operators.h"

#include <cmath>
#include <vector>

namespace mts::ref {
namespace {

// Updates each of the n tensors: update(x, g, states) works in place on doubles. Outputs: new X.., then new
// states.
template <class Update>
Outputs optimise(const Call& c, size_t states, Update&& update) {
  const size_t groups = 2 + states;
  if (c.inputs.size() < 2 + groups || (c.inputs.size() - 2) % groups != 0)
    return c.bad("it takes another number of inputs");
  const size_t n = (c.inputs.size() - 2) / groups;
  MTS_ASSIGN(const double rate, c.scalar(c.in(0)));
  MTS_ASSIGN(const double step, c.scalar(c.in(1)));
  std::vector<Datum> outputs(n * (1 + states));
  for (size_t i = 0; i < n; ++i) {
    std::vector<std::vector<double>> values;
    for (size_t group = 0; group < groups; ++group) {
      if (!c.has(2 + group * n + i) || c.in(2 + group * n + i).dims() != c.in(2 + i).dims())
        return c.bad("its inputs have different shapes");
      MTS_ASSIGN(std::vector<double> one_group, to_doubles(c, c.in(2 + group * n + i)));
      values.push_back(std::move(one_group));
    }
    update(rate, step, values);
    for (size_t out = 0; out <= states; ++out) {
      const Tensor& like = c.in(2 + i);
      MTS_ASSIGN(Tensor result, from_doubles(c, values[out == 0 ? 0 : out + 1], like.dtype(), like.dims()));
      outputs[out * n + i] = std::move(result);
    }
  }
  return outputs;
}

using Values = std::vector<std::vector<double>>;  // x, g, states

Outputs adagrad(const Call& c) {
  const double decay = c.node.float_or("decay_factor", 0), epsilon = c.node.float_or("epsilon", 1e-6f),
               norm = c.node.float_or("norm_coefficient", 0);
  return optimise(c, 1, [=](double rate, double step, Values& v) {
    const double r = rate / (1 + step * decay);
    for (size_t i = 0; i < v[0].size(); ++i) {
      const double g = norm * v[0][i] + v[1][i];
      v[2][i] += g * g;
      v[0][i] -= r * g / (std::sqrt(v[2][i]) + epsilon);
    }
  });
}

Outputs adam(const Call& c) {
  const double alpha = c.node.float_or("alpha", 0.9f), beta = c.node.float_or("beta", 0.999f),
               epsilon = c.node.float_or("epsilon", 1e-6f);
  const double norm = c.node.float_or("norm_coefficient", 0),
               norm_post = c.node.float_or("norm_coefficient_post", 0);
  return optimise(c, 2, [=](double rate, double step, Values& v) {
    const double r =
        step > 0 ? rate * std::sqrt(1 - std::pow(beta, step)) / (1 - std::pow(alpha, step)) : rate;
    for (size_t i = 0; i < v[0].size(); ++i) {
      const double g = norm * v[0][i] + v[1][i];
      v[2][i] = alpha * v[2][i] + (1 - alpha) * g;
      v[3][i] = beta * v[3][i] + (1 - beta) * g * g;
      v[0][i] = (1 - norm_post) * (v[0][i] - r * v[2][i] / (std::sqrt(v[3][i]) + epsilon));
    }
  });
}

Outputs momentum(const Call& c) {
  const double alpha = c.node.float_or("alpha", 0), beta = c.node.float_or("beta", 0),
               norm = c.node.float_or("norm_coefficient", 0);
  const std::string mode = c.node.string_or("mode", "standard");
  if (mode != "standard" && mode != "nesterov") return c.bad("mode is " + mode);
  return optimise(c, 1, [=](double rate, double step, Values& v) {
    const double factor = step > 0 ? beta : 1;
    for (size_t i = 0; i < v[0].size(); ++i) {
      const double g = norm * v[0][i] + v[1][i];
      v[2][i] = alpha * v[2][i] + factor * g;
      v[0][i] -= rate * (mode == "standard" ? v[2][i] : g + alpha * v[2][i]);
    }
  });
}

constexpr Operator kTable[] = {
    {"Adagrad", "ai.onnx.preview.training", 1, kLatest, 5, kPlain, adagrad},
    {"Adam", "ai.onnx.preview.training", 1, kLatest, 6, kPlain, adam},
    {"Momentum", "ai.onnx.preview.training", 1, kLatest, 5, kPlain, momentum},
};

}  // namespace

std::span<const Operator> training_operators() { return kTable; }

}  // namespace mts::ref
