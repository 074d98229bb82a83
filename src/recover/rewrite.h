// What the rewritings of products share: which nodes they apply to, and the nodes that they become.
#pragma once

#include "canon/scope.h"
#include "recover/places.h"

#include <mts/recover.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace mts::recover_detail {

// A product of data and a weight: Conv [O, I/g, *], Gemm [N, K] (transB) or [K, N], MatMul [K, N].
struct Product {
  enum class Kind { kConv, kGemm, kMatMul } kind;
  bool outputs_first;  // the weight's axis of output channels is its first; else its last of two
  size_t outputs;      // output channels
  size_t inputs;       // weights of each
  int64_t groups;
};

// The weight of a low-rank term in the layout of the original, [rows, columns] = left [rows, rank] x right
// [rank, columns] with the original's first axis as rows.
struct Term {
  int64_t rank = 0;
  WeightPtr left, right;  // 2-D; null when rank is 0
};

class Rewriter {
 public:
  explicit Rewriter(std::vector<Model>& models);

  std::vector<Model>& models() const { return models_; }
  const Node& node(const Member& member) const { return models_[member.model].graph.node(member.node); }
  // The product that a member's node is when its operand 1 is the member's constant and nothing else reads
  // that; Gemms with alpha = beta = 1 and transA = 0 only.
  std::optional<Product> product(const Member& member) const;
  // Whether all its bias is a constant per output channel, or it has none.
  bool has_plain_bias(const Member& member) const;

  Recovered describe(const Member& member, Recovered::Kind kind, double error) const;

  // y = Op(x, W, b) -> Add(Mul(Op(x, weight), scale), b).    scale: [outputs]
  void apply_scale(const Member& member, const WeightPtr& weight, const WeightPtr& scale);
  // y = Op(x, W, b) -> Add(Op(x, weight, b), Op(Op(x, first), second)).
  void apply_term(const Member& member, const WeightPtr& weight, const Term& term);

 private:
  canon::Scope scope(uint32_t model);

  std::vector<Model>& models_;
  std::vector<std::optional<canon::Names>> names_;  // by model, made when needed
};

}  // namespace mts::recover_detail
