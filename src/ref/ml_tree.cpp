// ai.onnx.ml: TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble, all walked in one form.
#include "ref/convert.h"
#include "ref/ml.h"
#include "ref/operators.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace mts::ref {
namespace {

enum class Mode { kLessEqual, kLess, kGreaterEqual, kGreater, kEqual, kNotEqual, kMember, kLeaf };

struct TreeNode {
  Mode mode = Mode::kLeaf;
  int64_t feature = 0;
  double split = 0;
  bool missing_is_true = false;
  std::set<double> members;
  size_t on_true = 0, on_false = 0;                // nodes
  std::vector<std::pair<size_t, double>> weights;  // of a leaf: target, weight
};

struct Forest {
  std::vector<TreeNode> nodes;
  std::vector<size_t> roots;
  std::optional<size_t> only_target;  // that all leaves have

  bool goes_true(const TreeNode& node, double x) const {
    if (std::isnan(x)) return node.missing_is_true || node.mode == Mode::kNotEqual;
    switch (node.mode) {
      case Mode::kLessEqual:
        return x <= node.split;
      case Mode::kLess:
        return x < node.split;
      case Mode::kGreaterEqual:
        return x >= node.split;
      case Mode::kGreater:
        return x > node.split;
      case Mode::kEqual:
        return x == node.split;
      case Mode::kNotEqual:
        return x != node.split;
      case Mode::kMember:
        return node.members.contains(x);
      case Mode::kLeaf:
        break;
    }
    return false;
  }
};

struct Totals {
  std::vector<double> values;
  std::vector<bool> touched;
};

// The aggregated weights of all leaves that each row ends in.
Result<std::vector<Totals>> evaluate_forest(const Call& c, const Forest& forest, const Rows2D& x,
                                            size_t targets, const std::string& aggregate) {
  std::vector<Totals> result;
  for (int64_t row = 0; row < x.rows; ++row) {
    Totals totals{std::vector<double>(targets, 0), std::vector<bool>(targets, false)};
    for (size_t root : forest.roots) {
      size_t at = root;
      for (size_t steps = 0; forest.nodes[at].mode != Mode::kLeaf; ++steps) {
        const TreeNode& node = forest.nodes[at];
        if (steps > forest.nodes.size()) return c.bad("a tree has a cycle");
        if (node.feature < 0 || node.feature >= x.columns)
          return c.bad(fmt::format("a tree reads feature {} of {}", node.feature, x.columns));
        at = forest.goes_true(node, x.values[static_cast<size_t>(row * x.columns + node.feature)])
                 ? node.on_true
                 : node.on_false;
      }
      for (const auto& [target, weight] : forest.nodes[at].weights) {
        double& total = totals.values[target];
        if (aggregate == "MIN") {
          total = totals.touched[target] ? std::min(total, weight) : weight;
        } else if (aggregate == "MAX") {
          total = totals.touched[target] ? std::max(total, weight) : weight;
        } else {
          total += weight;
        }
        totals.touched[target] = true;
      }
    }
    if (aggregate == "AVERAGE") {
      for (double& total : totals.values) total /= static_cast<double>(forest.roots.size());
    }
    result.push_back(std::move(totals));
  }
  return result;
}

Result<std::vector<double>> numbers(const Call& c, const std::string& name) {
  if (const std::optional<Tensor> tensor = c.tensor_attribute(name + "_as_tensor"))
    return to_doubles(c, *tensor);
  const std::vector<float> values = c.floats(name);
  return std::vector<double>(values.begin(), values.end());
}

// From the parallel lists of opset 1 to 4; leaves carry the lists of `prefix` ("class" or "target").
Result<Forest> forest_of(const Call& c, const std::string& prefix, size_t targets) {
  const auto ints = [&](const char* name) { return c.node.ints_or(name, {}); };
  const std::vector<int64_t> trees = ints("nodes_treeids"), ids = ints("nodes_nodeids"),
                             features = ints("nodes_featureids"), on_true = ints("nodes_truenodeids"),
                             on_false = ints("nodes_falsenodeids"),
                             missing = ints("nodes_missing_value_tracks_true");
  const std::vector<std::string> modes = c.strings("nodes_modes");
  MTS_ASSIGN(const std::vector<double> values, numbers(c, "nodes_values"));
  const size_t count = trees.size();
  for (size_t size :
       {ids.size(), features.size(), on_true.size(), on_false.size(), modes.size(), values.size()}) {
    if (size != count) return c.bad("the lists of its nodes have different lengths");
  }
  static constexpr std::pair<std::string_view, Mode> kModes[] = {
      {"BRANCH_LEQ", Mode::kLessEqual},
      {"BRANCH_LT", Mode::kLess},
      {"BRANCH_GTE", Mode::kGreaterEqual},
      {"BRANCH_GT", Mode::kGreater},
      {"BRANCH_EQ", Mode::kEqual},
      {"BRANCH_NEQ", Mode::kNotEqual},
      {"LEAF", Mode::kLeaf},
  };
  Forest forest;
  forest.nodes.resize(count);
  std::map<std::pair<int64_t, int64_t>, size_t> places;
  std::map<int64_t, size_t> roots;
  for (size_t i = 0; i < count; ++i) {
    places.emplace(std::pair(trees[i], ids[i]), i);
    roots.try_emplace(trees[i], i);  // the first node of a tree
  }
  for (const auto& [tree, root] : roots) forest.roots.push_back(root);
  for (size_t i = 0; i < count; ++i) {
    TreeNode& node = forest.nodes[i];
    const auto* mode =
        std::ranges::find(kModes, std::string_view(modes[i]), &std::pair<std::string_view, Mode>::first);
    if (mode == std::end(kModes)) return c.bad("a node's mode is " + modes[i]);
    node.mode = mode->second;
    node.feature = features[i];
    node.split = values[i];
    node.missing_is_true = i < missing.size() && missing[i] != 0;
    if (node.mode == Mode::kLeaf) continue;
    const auto yes = places.find({trees[i], on_true[i]}), no = places.find({trees[i], on_false[i]});
    if (yes == places.end() || no == places.end()) return c.bad("a branch leads to a node that is not there");
    node.on_true = yes->second;
    node.on_false = no->second;
  }
  const std::vector<int64_t> leaf_trees = c.node.ints_or(prefix + "_treeids", {}),
                             leaf_ids = c.node.ints_or(prefix + "_nodeids", {}),
                             leaf_targets = c.node.ints_or(prefix + "_ids", {});
  MTS_ASSIGN(const std::vector<double> weights, numbers(c, prefix + "_weights"));
  if (leaf_ids.size() != leaf_trees.size() || leaf_targets.size() != leaf_trees.size() ||
      weights.size() != leaf_trees.size()) {
    return c.bad("the lists of its leaves have different lengths");
  }
  for (size_t i = 0; i < leaf_trees.size(); ++i) {
    const auto place = places.find({leaf_trees[i], leaf_ids[i]});
    if (place == places.end() || leaf_targets[i] < 0 || static_cast<size_t>(leaf_targets[i]) >= targets) {
      return c.bad("a leaf's node or target is not there");
    }
    forest.nodes[place->second].weights.emplace_back(static_cast<size_t>(leaf_targets[i]), weights[i]);
  }
  if (std::ranges::adjacent_find(leaf_targets, std::ranges::not_equal_to()) == leaf_targets.end() &&
      !leaf_targets.empty())
    forest.only_target = static_cast<size_t>(leaf_targets.front());
  return forest;
}

using PreparedForest = std::shared_ptr<const Forest>;

// make(), or what it made for this node before.
template <class Make>
Result<PreparedForest> prepared(const Call& c, Make make) {
  if (c.env.prepared != nullptr) {
    if (const auto* const kept = std::any_cast<PreparedForest>(c.env.prepared)) return *kept;
  }
  MTS_ASSIGN(Forest forest, make());
  auto made = std::make_shared<const Forest>(std::move(forest));
  if (c.env.prepared != nullptr) *c.env.prepared = made;
  return made;
}

Result<void> add_base(const Call& c, std::vector<Totals>& rows) {
  MTS_ASSIGN(const std::vector<double> base, numbers(c, "base_values"));
  for (Totals& row : rows) {
    if (!base.empty() && base.size() != 1 && base.size() != row.values.size())
      return c.bad("base_values does not fit the targets");
    for (size_t k = 0; k < row.values.size() && !base.empty(); ++k)
      row.values[k] += base[base.size() == 1 ? 0 : k];
  }
  return {};
}

std::vector<double> flatten(const std::vector<Totals>& rows) {
  std::vector<double> values;
  for (const Totals& row : rows) values.insert(values.end(), row.values.begin(), row.values.end());
  return values;
}

Outputs tree_ensemble_regressor(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  const int64_t targets = c.node.int_or("n_targets", 1);
  if (targets < 1 || targets > 1 << 20) return c.bad("n_targets is out of range");
  const auto width = static_cast<size_t>(targets);
  MTS_ASSIGN(const PreparedForest forest, prepared(c, [&] { return forest_of(c, "target", width); }));
  MTS_ASSIGN(std::vector<Totals> totals,
             evaluate_forest(c, *forest, x, width, c.node.string_or("aggregate_function", "SUM")));
  MTS_TRY(add_base(c, totals));
  std::vector<double> scores = flatten(totals);
  MTS_TRY(post_transform(c, c.node.string_or("post_transform", "NONE"), scores, width));
  return one(float_rows(scores, x.rows, targets));
}

Outputs tree_ensemble_classifier(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  const Labels labels{c.strings("classlabels_strings"), c.node.ints_or("classlabels_int64s", {})};
  const size_t width = labels.size();
  if (width < 2) return c.unsupported("a classifier with one class");
  MTS_ASSIGN(const PreparedForest forest, prepared(c, [&] { return forest_of(c, "class", width); }));
  MTS_ASSIGN(std::vector<Totals> totals, evaluate_forest(c, *forest, x, width, "SUM"));
  MTS_TRY(add_base(c, totals));
  const std::string transform = c.node.string_or("post_transform", "NONE");
  std::vector<size_t> chosen;
  for (Totals& row : totals) {
    std::vector<double>& v = row.values;
    if (width == 2 && forest->only_target) {  // all leaves vote for one class: its score stands for both
      const double score = v[*forest->only_target];
      v[1] = score;
      v[0] = transform == "NONE" || transform == "PROBIT" ? 1 - score : -score;
    }
    MTS_TRY(post_transform(c, transform, v, width));
    chosen.push_back(static_cast<size_t>(std::ranges::max_element(v) - v.begin()));
  }
  MTS_ASSIGN(Tensor picked, labels.pick(c, chosen));
  std::vector<Datum> result = one(std::move(picked));
  result.emplace_back(float_rows(flatten(totals), x.rows, static_cast<int64_t>(width)));
  return result;
}

// Opset 5: inner nodes and leaves in separate lists.
Result<Forest> forest_of_lists(const Call& c, int64_t targets) {
  const auto ints = [&](const char* name) { return c.node.ints_or(name, {}); };
  const std::vector<int64_t> features = ints("nodes_featureids"), on_true = ints("nodes_truenodeids"),
                             on_false = ints("nodes_falsenodeids"), true_leafs = ints("nodes_trueleafs"),
                             false_leafs = ints("nodes_falseleafs"), leaf_targets = ints("leaf_targetids"),
                             roots = ints("tree_roots"), missing = ints("nodes_missing_value_tracks_true");
  const auto modes = c.tensor_attribute("nodes_modes"), splits = c.tensor_attribute("nodes_splits"),
             weights = c.tensor_attribute("leaf_weights");
  if (!modes || !splits || !weights || targets < 1 || targets > 1 << 20)
    return c.bad("an attribute is missing");
  MTS_ASSIGN(const std::vector<double> mode_values, to_doubles(c, *modes));
  MTS_ASSIGN(const std::vector<double> split_values, to_doubles(c, *splits));
  MTS_ASSIGN(const std::vector<double> weight_values, to_doubles(c, *weights));
  const size_t inner = features.size(), leaves = leaf_targets.size();
  for (size_t size : {on_true.size(), on_false.size(), true_leafs.size(), false_leafs.size(),
                      mode_values.size(), split_values.size()}) {
    if (size != inner) return c.bad("the lists of its nodes have different lengths");
  }
  if (weight_values.size() != leaves) return c.bad("the lists of its leaves have different lengths");
  std::vector<double> members;
  if (const auto given = c.tensor_attribute("membership_values")) {
    MTS_ASSIGN(members, to_doubles(c, *given));
  }
  Forest forest;
  forest.nodes.resize(inner + leaves);  // leaves behind the inner nodes
  size_t next_member = 0;
  for (size_t i = 0; i < inner; ++i) {
    TreeNode& node = forest.nodes[i];
    if (mode_values[i] > 6) return c.bad("a node's mode is out of range");
    node.mode = static_cast<Mode>(static_cast<int>(mode_values[i]));
    node.feature = features[i];
    node.split = split_values[i];
    node.missing_is_true = i < missing.size() && missing[i] != 0;
    if (node.mode == Mode::kMember) {  // sets follow one another, each ended by NaN
      for (; next_member < members.size() && !std::isnan(members[next_member]); ++next_member)
        node.members.insert(members[next_member]);
      ++next_member;
    }
    const auto resolve = [&](int64_t id, int64_t leaf, size_t& to) {
      const size_t limit = leaf ? leaves : inner;
      to = static_cast<size_t>(id) + (leaf ? inner : 0);
      return id >= 0 && static_cast<size_t>(id) < limit;
    };
    if (!resolve(on_true[i], true_leafs[i], node.on_true) ||
        !resolve(on_false[i], false_leafs[i], node.on_false)) {
      return c.bad("a branch leads to a node that is not there");
    }
  }
  for (size_t i = 0; i < leaves; ++i) {
    if (leaf_targets[i] < 0 || leaf_targets[i] >= targets) return c.bad("a leaf's target is not there");
    forest.nodes[inner + i].weights.emplace_back(static_cast<size_t>(leaf_targets[i]), weight_values[i]);
  }
  for (int64_t root : roots) {
    if (root < 0 || static_cast<size_t>(root) >= inner) return c.bad("a root is not there");
    forest.roots.push_back(static_cast<size_t>(root));
  }
  return forest;
}

Outputs tree_ensemble(const Call& c) {
  const Tensor& input = c.in(0);
  MTS_ASSIGN(const Rows2D x, rows_of(c, input));
  const int64_t targets = c.node.int_or("n_targets", 1);
  MTS_ASSIGN(const PreparedForest forest, prepared(c, [&] { return forest_of_lists(c, targets); }));
  static constexpr const char* kAggregates[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  static constexpr const char* kTransforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  const int64_t aggregate = c.node.int_or("aggregate_function", 1),
                transform = c.node.int_or("post_transform", 0);
  if (aggregate < 0 || aggregate > 3 || transform < 0 || transform > 4)
    return c.bad("aggregate_function or post_transform is out of range");
  MTS_ASSIGN(const std::vector<Totals> totals,
             evaluate_forest(c, *forest, x, static_cast<size_t>(targets), kAggregates[aggregate]));
  std::vector<double> scores = flatten(totals);
  MTS_TRY(post_transform(c, kTransforms[transform], scores, static_cast<size_t>(targets)));
  MTS_ASSIGN(Tensor out, from_doubles(c, scores, input.dtype(), {x.rows, targets}));
  return one(std::move(out));
}

constexpr Operator kTable[] = {
    {"TreeEnsembleRegressor", "ai.onnx.ml", 1, kLatest, 1, kPlain, tree_ensemble_regressor},
    {"TreeEnsembleClassifier", "ai.onnx.ml", 1, kLatest, 1, kPlain, tree_ensemble_classifier},
    {"TreeEnsemble", "ai.onnx.ml", 5, kLatest, 1, kPlain, tree_ensemble},
};

}  // namespace

std::span<const Operator> ml_tree_operators() { return kTable; }

}  // namespace mts::ref
