// MatMul, MatMulInteger and Gemm as strided products, for all backends. Batch axes over which B is broadcast
// become rows of A, neighbouring batch axes are merged: [M,B,S,K] x [M,1,K,N] runs as M products [B*S,K] x
// [K,N], and [B,S,K] x [K,N] as one.
#pragma once

#include "exec/plan.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

struct Product {
  std::vector<int64_t> a, b, c;               // dims, [batch...,] rows, columns
  std::vector<int64_t> a_strides, b_strides;  // elements
};
// Precondition: one of these whose operands' dims fit.
Product product_of(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
