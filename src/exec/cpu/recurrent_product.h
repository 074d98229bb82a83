// C += A B for a constant B, small or large: what recurrent layers run once a step.
//
// In: B as rows of a weight, B[k][n] = weight[n][k]. A: `rows` x inner, contiguous. C: rows of `leading`
// floats, which may be written up to `padded_columns`. Small products run in own loops on this thread (a
// library call would cost more than the work), large ones in oneDNN.
#pragma once

#include "exec/cpu/dnnl.h"

#include <cstdint>
#include <memory>
#include <string>

namespace mts::exec {

class RecurrentProduct {
 public:
  static constexpr int64_t kPanel = 16;  // columns are padded to a multiple
  static int64_t padded(int64_t columns) { return (columns + kPanel - 1) / kPanel * kPanel; }

  // `key`: under which the packed weight is kept for other plans; empty: not kept.
  RecurrentProduct(Device& device, const float* weight, int64_t rows, int64_t inner, int64_t columns,
                   int64_t leading, const std::string& key);
  Result<void> add(float* c, const float* a, std::byte* scratch) const;
  uint64_t scratch_bytes() const { return scratch_bytes_; }

 private:
  void pack(Device& device, const float* weight, const std::string& key);
  void describe(Device& device, const float* weight, const std::string& key);

  Device& device_;
  int64_t rows_, inner_, columns_, leading_;
  dnnl::memory weight_;  // panels [columns / 16][inner][16], or as oneDNN wants it
  dnnl::matmul large_;   // empty: small
  dnnl::memory::desc a_, c_, scratch_;
  uint64_t scratch_bytes_ = 0;
};

}  // namespace mts::exec
