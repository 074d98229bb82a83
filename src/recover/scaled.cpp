// scaled: W_m = diag(s_m) W -> one W, and s_m behind the product. What is left of BatchNormalization folded
// into convolutions when only it was tuned.
//
// Each row (output channel) of W is that of the first member in which the row is not zero, so that a channel
// that one model has switched off (a factor of 0) does not keep the others from sharing. s_m is the
// least-squares factor of each row, rounded to the weights' type before the bound is checked.
#include "recover/kinds.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace mts::recover_detail {
namespace {

constexpr double kZeroRow = 1e-30;  // no element of a row that counts as zero is larger

// Where the elements of output channel c lie: first + i * step, i < count.
struct Row {
  size_t first, step, count;
};
Row row_of(const Product& form, size_t channel) {
  return form.outputs_first ? Row{channel * form.inputs, 1, form.inputs}
                            : Row{channel, form.outputs, form.inputs};
}

bool is_zero(const Elements& w, const Row& row) {
  for (size_t i = 0; i < row.count; ++i)
    if (std::abs(w[row.first + i * row.step]) > kZeroRow) return false;
  return true;
}

// Members with equal weights but for the scales.
struct Cluster {
  std::vector<size_t> contents;             // the first is that whose weight is kept where it can be
  std::vector<std::vector<double>> scales;  // of each, by channel
  std::vector<double> errors;               // of each, relative
  std::vector<size_t> source;               // by channel: the content whose row is the base's
};

class Matching {
 public:
  Matching(const std::vector<Content>& contents, const Product& form, double bound)
      : contents_(contents), form_(form), bound_(bound), dtype_(contents[0].elements->weight()->dtype()) {}

  Cluster open(size_t content) const {
    return {.contents = {content},
            .scales = {std::vector<double>(form_.outputs, 1)},
            .errors = {0},
            .source = std::vector<size_t>(form_.outputs, content)};
  }

  // Adds a content to a cluster when it is a scaled version of it.
  bool join(Cluster& cluster, size_t content) const {
    const Elements& w = *contents_[content].elements;
    const double allowed = bound_ * w.largest();
    std::vector<double> scales(form_.outputs, 0);
    std::vector<size_t> fresh;  // rows that the cluster does not have yet
    double error = 0;
    for (size_t c = 0; c < form_.outputs; ++c) {
      const Row row = row_of(form_, c);
      const Elements& base = *contents_[cluster.source[c]].elements;
      double product = 0, square = 0;
      for (size_t i = 0; i < row.count; ++i) {
        const double b = base[row.first + i * row.step];
        product += w[row.first + i * row.step] * b;
        square += b * b;
      }
      if (square <= kZeroRow * kZeroRow && !is_zero(w, row)) {
        fresh.push_back(c);
        scales[c] = 1;
        continue;
      }
      const double scale = square > kZeroRow * kZeroRow ? as_stored(product / square) : 0;
      if (!std::isfinite(scale)) return false;
      for (size_t i = 0; i < row.count; ++i) {
        const size_t at = row.first + i * row.step;
        error = std::max(error, std::abs(w[at] - scale * base[at]));
      }
      if (error > allowed) return false;
      scales[c] = scale;
    }
    for (const size_t c : fresh) {
      cluster.source[c] = content;
      for (std::vector<double>& earlier : cluster.scales) earlier[c] = 0;
    }
    cluster.contents.push_back(content);
    cluster.scales.push_back(std::move(scales));
    cluster.errors.push_back(w.largest() > 0 ? error / w.largest() : 0);
    return true;
  }

  bool saves_bytes(const Cluster& cluster) const {
    const size_t count = cluster.contents.size();
    return count > 1 &&
           form_.outputs * form_.inputs + count * form_.outputs < count * form_.outputs * form_.inputs;
  }

  WeightPtr base(const Cluster& cluster) const {
    const WeightPtr& first = contents_[cluster.contents.front()].elements->weight();
    if (std::ranges::all_of(cluster.source, [&](size_t s) { return s == cluster.contents.front(); }))
      return first;
    std::vector<double> values(form_.outputs * form_.inputs);
    for (size_t c = 0; c < form_.outputs; ++c) {
      const Row row = row_of(form_, c);
      for (size_t i = 0; i < row.count; ++i) {
        const size_t at = row.first + i * row.step;
        values[at] = (*contents_[cluster.source[c]].elements)[at];
      }
    }
    return rounded(dtype_, values, first->dims());
  }

  WeightPtr scale(const Cluster& cluster, size_t i) const {
    return rounded(dtype_, cluster.scales[i], {static_cast<int64_t>(form_.outputs)});
  }

 private:
  double as_stored(double value) const {
    const Elements one(rounded(dtype_, std::span(&value, 1), {1}));
    return one[0];
  }

  const std::vector<Content>& contents_;
  const Product& form_;
  double bound_;
  DType dtype_;
};

}  // namespace

std::vector<Member> recover_scaled(Rewriter& rewriter, std::vector<Member> members, double bound,
                                   std::vector<Recovered>& done) {
  std::vector<Member> left, candidates;
  for (const Member& member : members)
    (rewriter.product(member) && rewriter.has_plain_bias(member) ? candidates : left).push_back(member);
  if (candidates.size() < 2) return members;
  const std::vector<Content> contents = contents_of(rewriter.models(), candidates);
  const Product form = *rewriter.product(candidates.front());
  const Matching matching(contents, form, bound);

  std::vector<Cluster> clusters;
  for (size_t i = 0; i < contents.size(); ++i) {
    if (!contents[i].elements->is_comparable() || contents[i].elements->largest() == 0) continue;
    if (std::ranges::none_of(clusters, [&](Cluster& cluster) { return matching.join(cluster, i); }))
      clusters.push_back(matching.open(i));
  }
  std::vector<char> taken(contents.size(), 0);
  for (const Cluster& cluster : clusters) {
    if (!matching.saves_bytes(cluster)) continue;
    const WeightPtr base = matching.base(cluster);
    uint64_t base_bytes = base->byte_size();  // counts for the first
    for (size_t i = 0; i < cluster.contents.size(); ++i) {
      taken[cluster.contents[i]] = 1;
      const WeightPtr scale = matching.scale(cluster, i);
      for (const Member& member : contents[cluster.contents[i]].members) {
        Recovered entry = rewriter.describe(member, Recovered::Kind::kScaled, cluster.errors[i]);
        entry.bytes_after = scale->byte_size() + std::exchange(base_bytes, 0);
        done.push_back(std::move(entry));
        rewriter.apply_scale(member, base, scale);
      }
    }
  }
  for (size_t i = 0; i < contents.size(); ++i)
    if (taken[i] == 0) left.insert(left.end(), contents[i].members.begin(), contents[i].members.end());
  std::ranges::sort(left, {}, &Member::model);
  return left;
}

}  // namespace mts::recover_detail
