// Finds what several weights have in common when each is that plus a term of low rank (merged LoRA) and the
// common part itself is not among them.
#pragma once

#include "recover/factorise.h"

#include <cstddef>
#include <optional>

namespace mts::recover_detail {

// A matrix as a sum of outer products left[k] right[k]^T.
struct OuterProducts {
  Vectors left, right;
};

// Weights W_i = W + L_i. In: `first` and `second`, the differences W_1 - W_0 and W_2 - W_0 cut where noise
// begins, and the rank of W_2 - W_1. Out: an estimate of L_0, so that W = W_0 - L_0; nothing when L_0 has no
// rank of its own (W_0 is as good a base as any) or cannot be told from the others.
//
// rank(L_0) = (rank(W_1-W_0) + rank(W_2-W_0) - rank(W_2-W_1)) / 2 when the terms are independent; the columns
// of L_0 are those that both differences span, and so are its rows; with bases Q and P of these, L_0 = -Q
// (P^T (W_1-W_0)^+ Q)^-1 P^T (Wedderburn's rank reduction).
std::optional<OuterProducts> common_term(const Svd& first, const Svd& second, size_t rank_between);

// The triplets of a difference above the noise of weights rounded to float32, whose largest magnitude is
// `largest`; at most `most`.
Svd above_noise(const RowSource& difference, size_t most, double tolerance, double largest);

}  // namespace mts::recover_detail
