// Further ways of a library's call, for the autotuner: own kernels on the same operands in the same layout,
// and batches of products one after another. Whoever takes none of these loses nothing: the library's own
// first choice comes first among the candidates.
//
// Operands and layout are those of the call (channels-last images and weights). Strict float32 stays on the
// ordinary float units; fast calls, and 16 bits, go to the tensor cores where they are wide enough.
#pragma once

#include "exec/cuda/autotune.h"
#include "exec/cuda/library_calls.h"

#include <memory>
#include <optional>
#include <vector>

namespace mts::exec::cuda {

// Named "own ...". Empty where no own kernel knows the layout or the counts are beyond 2^31.
std::vector<Candidate> own_candidates(const ConvCall& call);
std::vector<Candidate> own_candidates(const GemmCall& call);
inline std::vector<Candidate> own_candidates(const PoolCall&) { return {}; }

// One product of a batch that is small enough to run as as many products, each aligned as the first; nothing:
// it is not.
std::optional<GemmCall> one_of(const GemmCall& batch);
// All of `batch` as runs of `one`, which is prepared for one_of(batch).
std::shared_ptr<PreparedCall> one_after_another(const GemmCall& batch, std::shared_ptr<PreparedCall> one);

}  // namespace mts::exec::cuda
