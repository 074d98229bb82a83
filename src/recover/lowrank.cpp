// lowrank: W_m = W + B_m A_m with thin B_m, A_m -> W once, and the factors. What is left of LoRA that was
// merged into its base.
//
// Two bases are tried: the first model's weight (the others' ranks are then up to the sum of two terms'),
// and, for three or more weights, one that is estimated from the differences (see base.h). The one with fewer
// bytes is taken. Where the estimate comes out as the weight of one of the models, that weight is the base.
#include "recover/base.h"
#include "recover/kinds.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

namespace mts::recover_detail {
namespace {

constexpr size_t kMostRank = 128;
// Bases that a weight is compared with: keeps the cost linear in the number of unrelated models.
constexpr size_t kMostBases = 16;
// Of the bound, for the exact factors; the rest is for their rounding.
constexpr double kShare = 0.9;

struct Solution {
  WeightPtr base;
  std::vector<Term> terms;  // of each weight
  std::vector<double> errors;
  size_t rank_sum() const {
    size_t sum = 0;
    for (const Term& term : terms) sum += static_cast<size_t>(term.rank);
    return sum;
  }
};

class Solver {
 public:
  Solver(const std::vector<Content>& contents, double bound)
      : contents_(contents),
        bound_(bound),
        rows_(static_cast<size_t>(of(0).weight()->dims()[0])),
        columns_(of(0).size() / rows_) {
    const size_t worth_it = (rows_ * columns_ - 1) / (rows_ + columns_);  // factors smaller than the weight
    most_ = std::min(kMostRank, worth_it);
  }

  const Elements& of(size_t content) const { return *contents_[content].elements; }
  size_t most() const { return most_; }

  std::optional<LowRank> difference_of(size_t content, const Elements& base) const {
    return factorise(difference(of(content), base), most_, kShare * bound_ * of(content).largest());
  }

  // Base: the first weight of the cluster. `terms`: of the others, in order.
  std::optional<Solution> with_first(const std::vector<size_t>& cluster, std::vector<LowRank> terms) const {
    terms.insert(terms.begin(), LowRank{{}, 0});
    return solve(cluster, of(cluster.front()), std::move(terms));
  }

  std::optional<Solution> with_estimate(const std::vector<size_t>& cluster) const {
    if (cluster.size() < 3) return std::nullopt;
    const Elements &w0 = of(cluster[0]), &w1 = of(cluster[1]), &w2 = of(cluster[2]);
    const double largest = std::max({w0.largest(), w1.largest(), w2.largest()});
    const auto triplets = [&](const Elements& a, const Elements& b) {
      return above_noise(difference(a, b), most_, bound_ * largest, largest);
    };
    const std::optional<OuterProducts> term =
        common_term(triplets(w1, w0), triplets(w2, w0), triplets(w2, w1).values.size());
    if (!term) return std::nullopt;
    std::vector<double> values(w0.size());
    for (size_t i = 0; i < rows_; ++i) {
      const std::span<double> row = std::span(values).subspan(i * columns_, columns_);
      for (size_t j = 0; j < columns_; ++j) row[j] = w0[i * columns_ + j];
      for (size_t k = 0; k < term->left.size(); ++k) add_scaled(-term->left[k][i], term->right[k], row);
    }
    const Elements estimate(rounded(w0.weight()->dtype(), values, w0.weight()->dims()));
    std::optional<std::vector<LowRank>> terms = terms_from(cluster, estimate);
    if (!terms) return std::nullopt;
    // A model that needs no term of its own is the base.
    const auto itself = std::ranges::find(*terms, size_t{0}, &LowRank::rank);
    if (itself == terms->end()) return solve(cluster, estimate, *std::move(terms));
    const Elements& own = of(cluster[static_cast<size_t>(itself - terms->begin())]);
    terms = terms_from(cluster, own);
    if (!terms) return std::nullopt;
    return solve(cluster, own, *std::move(terms));
  }

  // One base and the factors take less room than the weights.
  bool saves_bytes(const Solution& solution) const {
    return rows_ * columns_ + solution.rank_sum() * (rows_ + columns_) <
           solution.terms.size() * rows_ * columns_;
  }

 private:
  RowSource difference(const Elements& a, const Elements& b) const {
    return {rows_, columns_, [this, &a, &b](size_t row, std::span<double> out) {
              const size_t first = row * columns_;
              for (size_t j = 0; j < columns_; ++j) out[j] = a[first + j] - b[first + j];
            }};
  }

  std::optional<std::vector<LowRank>> terms_from(const std::vector<size_t>& cluster,
                                                 const Elements& base) const {
    std::vector<LowRank> terms;
    for (const size_t content : cluster) {
      std::optional<LowRank> term = difference_of(content, base);
      if (!term) return std::nullopt;
      terms.push_back(*std::move(term));
    }
    return terms;
  }

  // Rounds the factors and checks the bound with them.
  std::optional<Solution> solve(const std::vector<size_t>& cluster, const Elements& base,
                                std::vector<LowRank> terms) const {
    use_one_rank(terms);
    Solution solution{.base = base.weight(), .terms = {}, .errors = {}};
    for (size_t i = 0; i < cluster.size(); ++i) {
      const Elements& w = of(cluster[i]);
      Term term = rounded_term(terms[i], w.weight()->dtype());
      const double error = largest_error(w, base, term);
      if (error > bound_ * w.largest()) return std::nullopt;
      solution.terms.push_back(std::move(term));
      solution.errors.push_back(w.largest() > 0 ? error / w.largest() : 0);
    }
    return solution;
  }

  // Terms of one rank run as one batched product: ranks that differ a little become the highest.
  static void use_one_rank(std::vector<LowRank>& terms) {
    size_t highest = 0, sum = 0, count = 0;
    bool possible = true;
    for (const LowRank& term : terms) {
      highest = std::max(highest, term.rank);
      sum += term.rank;
      count += term.rank > 0 ? 1 : 0;
    }
    for (const LowRank& term : terms) possible &= term.rank == 0 || term.svd.values.size() >= highest;
    if (!possible || 4 * highest * count > 5 * sum) return;
    for (LowRank& term : terms)
      if (term.rank > 0) term.rank = highest;
  }

  Term rounded_term(const LowRank& term, DType dtype) const {
    if (term.rank == 0) return {};
    std::vector<double> left(rows_ * term.rank), right(term.rank * columns_);
    for (size_t k = 0; k < term.rank; ++k) {
      const double half = std::sqrt(term.svd.values[k]);  // on both sides, so that neither is tiny
      for (size_t i = 0; i < rows_; ++i) left[i * term.rank + k] = half * term.svd.left[k][i];
      for (size_t j = 0; j < columns_; ++j) right[k * columns_ + j] = half * term.svd.right[k][j];
    }
    const auto rank = static_cast<int64_t>(term.rank);
    return {.rank = rank,
            .left = rounded(dtype, left, {static_cast<int64_t>(rows_), rank}),
            .right = rounded(dtype, right, {rank, static_cast<int64_t>(columns_)})};
  }

  double largest_error(const Elements& w, const Elements& base, const Term& term) const {
    const auto rank = static_cast<size_t>(term.rank);
    std::optional<Elements> left;
    Vectors right(rank, std::vector<double>(columns_));
    if (rank > 0) {
      left.emplace(term.left);
      const Elements stored(term.right);
      for (size_t k = 0; k < rank; ++k)
        for (size_t j = 0; j < columns_; ++j) right[k][j] = stored[k * columns_ + j];
    }
    double largest = 0;
    std::vector<double> row(columns_);
    const RowSource rest = difference(w, base);
    for (size_t i = 0; i < rows_; ++i) {
      rest.read(i, row);
      for (size_t k = 0; k < rank; ++k) add_scaled(-(*left)[i * rank + k], right[k], row);
      for (const double x : row) largest = std::max(largest, std::abs(x));
    }
    return largest;
  }

  const std::vector<Content>& contents_;
  double bound_;
  size_t rows_, columns_, most_ = 0;
};

void apply(Rewriter& rewriter, const std::vector<Content>& contents, const std::vector<size_t>& cluster,
           const Solution& solution, std::vector<Recovered>& done) {
  const auto owns_base = [&](size_t content) {
    return contents[content].elements->weight() == solution.base;
  };
  uint64_t base_bytes = std::ranges::any_of(cluster, owns_base) ? 0 : solution.base->byte_size();
  for (size_t i = 0; i < cluster.size(); ++i) {
    if (owns_base(cluster[i])) continue;
    const Term& term = solution.terms[i];
    for (const Member& member : contents[cluster[i]].members) {
      Recovered entry = rewriter.describe(member, Recovered::Kind::kLowrank, solution.errors[i]);
      entry.rank = term.rank;
      entry.bytes_after = std::exchange(base_bytes, 0);
      if (term.rank > 0) entry.bytes_after += term.left->byte_size() + term.right->byte_size();
      done.push_back(std::move(entry));
      rewriter.apply_term(member, solution.base, term);
    }
  }
}

}  // namespace

void recover_lowrank(Rewriter& rewriter, const std::vector<Member>& members, double bound,
                     std::vector<Recovered>& done) {
  std::vector<Member> candidates;
  for (const Member& member : members) {
    const std::optional<Product> form = rewriter.product(member);
    const DType dtype = rewriter.models()[member.model].graph.value(member.value).weight->dtype();
    if (form && form->groups == 1 && (dtype == DType::kFloat32 || dtype == DType::kFloat64))
      candidates.push_back(member);
  }
  if (candidates.size() < 2) return;
  const std::vector<Content> contents = contents_of(rewriter.models(), candidates);
  const Solver solver(contents, bound);
  if (solver.most() == 0) return;

  struct Cluster {
    std::vector<size_t> contents;
    std::vector<LowRank> terms;  // from the first, of the others
  };
  std::vector<Cluster> clusters;
  for (size_t i = 0; i < contents.size(); ++i) {
    if (!contents[i].elements->is_comparable()) continue;
    const auto compared = std::span(clusters).first(std::min(clusters.size(), kMostBases));
    const bool joined = std::ranges::any_of(compared, [&](Cluster& cluster) {
      std::optional<LowRank> term = solver.difference_of(i, solver.of(cluster.contents.front()));
      if (!term) return false;
      cluster.contents.push_back(i);
      cluster.terms.push_back(*std::move(term));
      return true;
    });
    if (!joined) clusters.push_back({{i}, {}});
  }
  for (Cluster& cluster : clusters) {
    if (cluster.contents.size() < 2) continue;
    std::optional<Solution> best = solver.with_first(cluster.contents, std::move(cluster.terms));
    std::optional<Solution> other = solver.with_estimate(cluster.contents);
    if (other && (!best || other->rank_sum() < best->rank_sum())) best = std::move(other);
    if (best && solver.saves_bytes(*best)) apply(rewriter, contents, cluster.contents, *best, done);
  }
}

}  // namespace mts::recover_detail
