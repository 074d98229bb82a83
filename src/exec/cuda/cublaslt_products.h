// Matrix products on cuBLASLt, with bias and activation in its epilogue. Row-major: d = a b is computed as
// the column-major d' = b' a', so that a bias of one value a column is one value a row of cuBLASLt's.
#pragma once

#include "exec/cuda/library_calls.h"

#include <memory>
#include <string>
#include <vector>

namespace mts::exec::cuda {

class CublasLtProducts {
 public:
  virtual ~CublasLtProducts() = default;
  // The first `most` algorithms, in the order of cuBLASLt's heuristics; at least one. kDevice where it has
  // none.
  virtual Result<std::vector<std::shared_ptr<PreparedCall>>> build(const GemmCall& call, size_t most) = 0;
};
Result<std::unique_ptr<CublasLtProducts>> cublaslt_products();
std::string cublaslt_version();

}  // namespace mts::exec::cuda
