// Losses: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
#include "ref/convert.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <cmath>
#include <optional>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

// loss = -weight[target] * log_prob[n, target, d...], then reduced. `log_prob` has the shape `dims` = [N, C,
// d...].
Result<Tensor> nll(const Call& c, const std::vector<double>& log_prob, const Dims& dims, const Tensor& target,
                   const Tensor* weight) {
  if (dims.size() < 2) return c.bad("scores [N, C, ...] are expected");
  Dims expected = dims;
  expected.erase(expected.begin() + 1);
  if (target.dims() != expected) {
    return c.bad(
        fmt::format("the target {} does not fit the scores {}", to_string(target.dims()), to_string(dims)));
  }
  const std::string reduction = c.node.string_or("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    return c.bad("reduction is " + reduction);
  const bool ignores = c.node.find("ignore_index") != nullptr;
  const int64_t ignored = c.node.int_or("ignore_index", 0), classes = dims[1],
                inner = product(dims, 2, dims.size());
  std::vector<double> weights(static_cast<size_t>(classes), 1);
  if (weight) {
    MTS_ASSIGN(weights, to_doubles(c, *weight));
    if (static_cast<int64_t>(weights.size()) != classes) return c.bad("the weights do not fit the classes");
  }
  MTS_ASSIGN(const std::vector<int64_t> targets, c.ints(target));
  std::vector<double> losses(targets.size(), 0);
  double sum = 0, total_weight = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    const int64_t label = targets[i], n = static_cast<int64_t>(i) / inner,
                  d = static_cast<int64_t>(i) % inner;
    if (ignores && label == ignored) continue;
    if (label < 0 || label >= classes)
      return c.bad(fmt::format("the target {} is not one of {} classes", label, classes));
    const double w = weights[static_cast<size_t>(label)];
    losses[i] = -w * log_prob[static_cast<size_t>((n * classes + label) * inner + d)];
    sum += losses[i];
    total_weight += w;
  }
  if (reduction == "none") return from_doubles(c, losses, c.in(0).dtype(), target.dims());
  const double result = reduction == "mean" ? sum / total_weight : sum;
  return from_doubles(c, std::span(&result, 1), c.in(0).dtype(), {});
}

Outputs negative_log_likelihood_loss(const Call& c) {
  MTS_ASSIGN(const std::vector<double> log_prob, to_doubles(c, c.in(0)));
  MTS_ASSIGN(Tensor loss, nll(c, log_prob, c.in(0).dims(), c.in(1), c.opt(2)));
  return one(std::move(loss));
}

Outputs softmax_cross_entropy_loss(const Call& c) {
  const Tensor& scores = c.in(0);
  if (scores.dims().size() < 2) return c.bad("scores [N, C, ...] are expected");
  MTS_ASSIGN(std::vector<double> values, to_doubles(c, scores));
  const Split3 s = split_at(scores.dims(), 1);
  for (int64_t o = 0; o < s.outer && s.length > 0; ++o) {
    for (int64_t i = 0; i < s.inner; ++i) {
      double* line = values.data() + o * s.length * s.inner + i;
      double largest = line[0], sum = 0;
      for (int64_t k = 1; k < s.length; ++k) largest = std::max(largest, line[k * s.inner]);
      for (int64_t k = 0; k < s.length; ++k) sum += std::exp(line[k * s.inner] - largest);
      for (int64_t k = 0; k < s.length; ++k) line[k * s.inner] -= largest + std::log(sum);
    }
  }
  MTS_ASSIGN(Tensor loss, nll(c, values, scores.dims(), c.in(1), c.opt(2)));
  MTS_ASSIGN(Tensor log_prob, from_doubles(c, values, scores.dtype(), scores.dims()));
  std::vector<Datum> result = one(std::move(loss));
  result.emplace_back(std::move(log_prob));
  return result;
}

constexpr Operator kTable[] = {
    {"NegativeLogLikelihoodLoss", "", 12, kLatest, 2, kWiden, negative_log_likelihood_loss},
    {"SoftmaxCrossEntropyLoss", "", 12, kLatest, 2, kWiden, softmax_cross_entropy_loss},
};

}  // namespace

std::span<const Operator> loss_operators() { return kTable; }

}  // namespace mts::ref
