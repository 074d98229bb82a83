// ai.onnx.ml: linear and support vector models, and what the models share.
#include "ref/convert.h"
#include "ref/ml.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace mts::ref {

Result<void> post_transform(const Call& c, const std::string& name, std::vector<double>& scores,
                            size_t width) {
  if (name == "NONE" || width == 0) return {};
  if (name == "LOGISTIC") {
    for (double& x : scores) x = 1 / (1 + std::exp(-x));
    return {};
  }
  if (name == "PROBIT") {
    for (double& x : scores) {
      const double centred = 2 * x - 1, log = std::log((1 - centred) * (1 + centred));
      const double v = 2 / (std::numbers::pi * 0.147) + 0.5 * log;
      x = std::numbers::sqrt2 * std::copysign(std::sqrt(-v + std::sqrt(v * v - log / 0.147)), centred);
    }
    return {};
  }
  if (name != "SOFTMAX" && name != "SOFTMAX_ZERO") return c.bad("post_transform is " + name);
  const bool keep_zero = name == "SOFTMAX_ZERO";
  for (size_t row = 0; row + width <= scores.size(); row += width) {
    const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(row),
               end = begin + static_cast<std::ptrdiff_t>(width);
    const double largest = *std::max_element(begin, end);
    double sum = 0;
    for (auto x = begin; x != end; ++x) {
      *x = keep_zero && std::fabs(*x) <= 1e-7 ? *x * std::exp(-largest) : std::exp(*x - largest);
      sum += *x;
    }
    for (auto x = begin; x != end; ++x) *x = sum == 0 ? 0.5 : *x / sum;
  }
  return {};
}

Result<Tensor> Labels::pick(const Call& c, const std::vector<size_t>& chosen) const {
  const auto count = static_cast<int64_t>(chosen.size());
  Tensor out(strings.empty() ? DType::kInt64 : DType::kString, {count});
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (size() != 0 && chosen[i] >= size()) return c.bad("it has fewer labels than scores");
    if (!strings.empty()) {
      out.mutable_strings()[i] = strings[chosen[i]];
    } else {
      out.mutable_as<int64_t>()[i] = ints.empty() ? static_cast<int64_t>(chosen[i]) : ints[chosen[i]];
    }
  }
  return out;
}

Result<Rows2D> rows_of(const Call& c, const Tensor& x) {
  if (x.dims().empty() || x.dims().size() > 2) return c.bad("an input [N, C] is expected");
  Rows2D result;
  result.rows = x.dims().size() == 2 ? x.dims()[0] : 1;
  result.columns = x.dims().back();
  MTS_ASSIGN(result.values, to_doubles(c, x));
  return result;
}

Tensor float_rows(const std::vector<double>& values, int64_t rows, int64_t columns) {
  Tensor out(DType::kFloat32, {rows, columns});
  std::ranges::transform(values, out.mutable_as<float>(), [](double x) { return static_cast<float>(x); });
  return out;
}

namespace {

// scores[n, k] = sum_c x[n, c] * coefficients[k, c] + intercepts[k]
Result<std::vector<double>> linear_scores(const Call& c, const Rows2D& x, size_t& width) {
  const std::vector<float> coefficients = c.floats("coefficients"), intercepts = c.floats("intercepts");
  if (x.columns == 0 || coefficients.size() % static_cast<size_t>(x.columns) != 0)
    return c.bad("coefficients does not fit the input");
  width = coefficients.size() / static_cast<size_t>(x.columns);
  if (!intercepts.empty() && intercepts.size() != width) return c.bad("intercepts does not fit coefficients");
  // All scores of a row grow together: one after another they would wait for their own sums.
  const auto columns = static_cast<size_t>(x.columns), rows = static_cast<size_t>(x.rows);
  std::vector<double> by_column(columns * width);
  for (size_t k = 0; k < width; ++k) {
    for (size_t i = 0; i < columns; ++i) by_column[i * width + k] = coefficients[k * columns + i];
  }
  std::vector<double> scores(rows * width, 0);
  for (size_t n = 0; n < rows; ++n) {
    double* const sums = scores.data() + n * width;
    std::ranges::copy(intercepts, sums);
    for (size_t i = 0; i < columns; ++i) {
      const double value = x.values[n * columns + i];
      for (size_t k = 0; k < width; ++k) sums[k] += value * by_column[i * width + k];
    }
  }
  return scores;
}

Outputs linear_regressor(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  size_t width = 0;
  MTS_ASSIGN(std::vector<double> scores, linear_scores(c, x, width));
  if (static_cast<int64_t>(width) != c.node.int_or("targets", 1))
    return c.bad("coefficients does not fit targets");
  MTS_TRY(post_transform(c, c.node.string_or("post_transform", "NONE"), scores, width));
  return one(float_rows(scores, x.rows, static_cast<int64_t>(width)));
}

Outputs linear_classifier(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  size_t width = 0;
  MTS_ASSIGN(std::vector<double> scores, linear_scores(c, x, width));
  const Labels labels{c.strings("classlabels_strings"), c.node.ints_or("classlabels_ints", {})};
  if (width == 1 && labels.size() == 2) {  // one score for two classes
    std::vector<double> both;
    for (double score : scores) both.insert(both.end(), {-score, score});
    scores = std::move(both);
    width = 2;
  }
  if (width < 2) return c.unsupported("a classifier with one class");
  MTS_TRY(post_transform(c, c.node.string_or("post_transform", "NONE"), scores, width));
  std::vector<size_t> chosen;
  for (size_t row = 0; row + width <= scores.size(); row += width) {
    const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(row);
    chosen.push_back(
        static_cast<size_t>(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(width)) - begin));
  }
  MTS_ASSIGN(Tensor picked, labels.pick(c, chosen));
  std::vector<Datum> result = one(std::move(picked));
  result.emplace_back(float_rows(scores, x.rows, static_cast<int64_t>(width)));
  return result;
}

struct Kernel {
  std::string type;
  double gamma = 0, coef0 = 0, degree = 3;

  double operator()(const double* x, const float* v, size_t count) const {
    double sum = 0;
    for (size_t i = 0; i < count; ++i) sum += type == "RBF" ? (x[i] - v[i]) * (x[i] - v[i]) : x[i] * v[i];
    if (type == "RBF") return std::exp(-gamma * sum);
    if (type == "POLY") return std::pow(gamma * sum + coef0, degree);
    if (type == "SIGMOID") return std::tanh(gamma * sum + coef0);
    return sum;
  }
};

Outputs svm_regressor(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  const std::vector<float> parameters = c.floats("kernel_params"), vectors = c.floats("support_vectors"),
                           coefficients = c.floats("coefficients"), rho = c.floats("rho");
  Kernel kernel{c.node.string_or("kernel_type", "LINEAR")};
  if (parameters.size() >= 3) {
    kernel.gamma = parameters[0];
    kernel.coef0 = parameters[1];
    kernel.degree = parameters[2];
  }
  const auto columns = static_cast<size_t>(x.columns);
  const auto supports = static_cast<size_t>(std::max<int64_t>(0, c.node.int_or("n_supports", 0)));
  if (rho.empty() || (supports > 0 ? vectors.size() != supports * columns || coefficients.size() != supports
                                   : coefficients.size() != columns)) {
    return c.bad("its vectors, coefficients or rho do not fit the input");
  }
  std::vector<double> scores;
  for (size_t n = 0; n < static_cast<size_t>(x.rows); ++n) {
    const double* row = x.values.data() + n * columns;
    double sum = rho[0];
    for (size_t i = 0; i < supports; ++i)
      sum += coefficients[i] * kernel(row, vectors.data() + i * columns, columns);
    if (supports == 0) sum += kernel(row, coefficients.data(), columns);
    scores.push_back(c.node.int_or("one_class", 0) != 0 ? (sum > 0 ? 1 : -1) : sum);
  }
  MTS_TRY(post_transform(c, c.node.string_or("post_transform", "NONE"), scores, 1));
  return one(float_rows(scores, x.rows, 1));
}

constexpr Operator kTable[] = {
    {"LinearRegressor", "ai.onnx.ml", 1, kLatest, 1, kPlain, linear_regressor},
    {"LinearClassifier", "ai.onnx.ml", 1, kLatest, 1, kPlain, linear_classifier},
    {"SVMRegressor", "ai.onnx.ml", 1, kLatest, 1, kPlain, svm_regressor},
};

}  // namespace

std::span<const Operator> ml_linear_operators() { return kTable; }

}  // namespace mts::ref
