// Approximate sharing: weights that are equal but for rounding, for a factor per output channel, or for a
// low-rank term. Off unless asked for, bounded, and reported weight by weight.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

// Each is the largest max|W - W'| / max|W| that is accepted for one weight W of which W' is what will be
// used; checked after rounding to the stored type. 0: not done.
struct RecoverOptions {
  double near = 0;     // W' is the weight of another model
  double scaled = 0;   // W' = diag(s) W0: one weight, a scale per model and output channel
  double lowrank = 0;  // W' = W0 + B A: one weight, two thin factors per model
  bool any() const { return near > 0 || scaled > 0 || lowrank > 0; }
};

// One weight of one model that is not used as it was.
struct Recovered {
  enum class Kind { kNear, kScaled, kLowrank };
  std::string model, node, value;  // node: a reader of the weight
  Kind kind = Kind::kNear;
  int64_t rank = 0;           // kLowrank: columns of B; 0 when the base alone is within the bound
  double error = 0;           // max|W - W'| / max|W|
  uint64_t bytes_before = 0;  // of the weight
  uint64_t bytes_after = 0;   // stored in its place; a base that is no model's own counts for the first
};
std::string_view name_of(Recovered::Kind kind);  // "near", "scaled", "lowrank"

struct RecoverReport {
  std::vector<Recovered> weights;  // by kind, then in the order of the aligned nodes, then of the models
};

// Rewrites models so that what they share within the bounds is equal bit by bit. The models must be
// canonicalised; types of changed values need infer_types again. Candidates are float constants of equal dims
// that corresponding nodes (mts/align.h) read in the same place:
//   near     any float constant: the first model's is kept. The variance of a BatchNormalization is compared
//            element by element, everything else with its largest magnitude. Not what sets sizes (Resize).
//   scaled   Conv(x, W_m) + b_m -> Add(Mul(Conv(x, W), s_m), b_m); Gemm and MatMul alike.
//   lowrank  MatMul(x, W_m) -> Add(MatMul(x, W), MatMul(MatMul(x, B_m), A_m)); Gemm and Conv alike. float32
//   and
//            float64 only. W is a model's own weight or, where that takes fewer bytes, found from the
//            differences of three or more models.
// The last two only where the weight has one reader and fewer bytes are stored. Constants with NaN,
// infinities or magnitudes from 1e30 on (masks) are left alone. Deterministic. Cost: a few passes over each
// weight.
Result<RecoverReport> recover(std::vector<Model>& models, const RecoverOptions& options);

}  // namespace mts
