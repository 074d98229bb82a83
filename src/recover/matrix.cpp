#include "recover/matrix.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace mts::recover_detail {
namespace {

constexpr double kDependent = 1e-13;  // what is left of a vector that the others span
constexpr double kOrthogonal = 1e-15;
constexpr int kMostSweeps = 60;

void rotate(std::vector<double>& a, std::vector<double>& b, double cosine, double sine) {
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    a[i] = cosine * x - sine * y;
    b[i] = sine * x + cosine * y;
  }
}

}  // namespace

double dot(std::span<const double> a, std::span<const double> b) {
  double sums[4] = {0, 0, 0, 0};  // four chains: one would wait for each addition
  size_t i = 0;
  for (; i + 4 <= a.size(); i += 4)
    for (size_t k = 0; k < 4; ++k) sums[k] += a[i + k] * b[i + k];
  double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(double f, std::span<const double> x, std::span<double> y) {
  for (size_t i = 0; i < x.size(); ++i) y[i] += f * x[i];
}

Vectors orthonormalise(Vectors& vectors) {
  double largest = 0;
  for (const auto& v : vectors) largest = std::max(largest, std::sqrt(dot(v, v)));
  Vectors basis, coefficients;
  for (std::vector<double>& v : vectors) {
    std::vector<double> own(basis.size(), 0);
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t k = 0; k < basis.size(); ++k) {
        const double f = dot(basis[k], v);
        own[k] += f;
        add_scaled(-f, basis[k], v);
      }
    }
    const double norm = std::sqrt(dot(v, v));
    if (norm > kDependent * largest) {
      for (double& x : v) x /= norm;
      own.push_back(norm);
      basis.push_back(std::move(v));
    }
    coefficients.push_back(std::move(own));
  }
  for (auto& row : coefficients) row.resize(basis.size(), 0);
  vectors = std::move(basis);
  return coefficients;
}

Svd svd_of_rows(Vectors rows) {
  const size_t n = rows.size();
  Vectors turns(n, std::vector<double>(n, 0));  // rows of J: J * A has orthogonal rows
  for (size_t i = 0; i < n; ++i) turns[i][i] = 1;
  bool rotated = true;
  for (int sweep = 0; sweep < kMostSweeps && rotated; ++sweep) {
    rotated = false;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) {
        const double a = dot(rows[i], rows[i]), b = dot(rows[j], rows[j]), c = dot(rows[i], rows[j]);
        if (std::abs(c) <= kOrthogonal * std::sqrt(a) * std::sqrt(b)) continue;
        rotated = true;
        const double zeta = (b - a) / (2 * c);
        const double t = (zeta < 0 ? -1 : 1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const double cosine = 1 / std::sqrt(1 + t * t);
        rotate(rows[i], rows[j], cosine, cosine * t);
        rotate(turns[i], turns[j], cosine, cosine * t);
      }
    }
  }
  std::vector<double> norms(n);
  for (size_t i = 0; i < n; ++i) norms[i] = std::sqrt(dot(rows[i], rows[i]));
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return norms[i]; });
  Svd svd;
  for (const size_t i : order) {
    if (norms[i] == 0) break;
    for (double& x : rows[i]) x /= norms[i];
    svd.values.push_back(norms[i]);
    svd.left.push_back(std::move(turns[i]));
    svd.right.push_back(std::move(rows[i]));
  }
  return svd;
}

Vectors inverse(Vectors rows) {
  const size_t n = rows.size();
  for (size_t i = 0; i < n; ++i) {
    rows[i].resize(2 * n, 0);
    rows[i][n + i] = 1;
  }
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t i = k + 1; i < n; ++i)
      if (std::abs(rows[i][k]) > std::abs(rows[pivot][k])) pivot = i;
    if (rows[pivot][k] == 0) return {};
    std::swap(rows[pivot], rows[k]);
    const double f = 1 / rows[k][k];
    for (double& x : rows[k]) x *= f;
    for (size_t i = 0; i < n; ++i)
      if (i != k && rows[i][k] != 0) add_scaled(-rows[i][k], std::vector<double>(rows[k]), rows[i]);
  }
  for (auto& row : rows) row.erase(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(n));
  return rows;
}

}  // namespace mts::recover_detail
