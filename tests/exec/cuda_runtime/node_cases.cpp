#include "tests/exec/cuda_runtime/node_cases.h"

namespace mts::exec::cuda {

using I = int64_t;
using Ints = std::vector<int64_t>;
std::vector<Case> node_cases() {
  const auto bias = [](int64_t n) { return weight({n}); };
  return {
      {"Conv", {}, {input({2, 3, 7, 6}), weight({4, 3, 3, 3})}},
      {"Conv", {{"pads", Ints{1, 1, 1, 1}}}, {input({2, 4, 6, 6}), weight({6, 4, 3, 3}), bias(6)}},
      {"Conv",
       {{"pads", Ints{0, 1, 2, 1}}, {"strides", Ints{2, 2}}},
       {input({1, 3, 9, 8}), weight({5, 3, 3, 3}), bias(5)}},
      {"Conv", {{"dilations", Ints{2, 1}}}, {input({1, 3, 9, 8}), weight({5, 3, 3, 3})}},
      {"Conv",
       {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}},
       {input({1, 3, 8, 8}), weight({5, 3, 3, 3})}},
      {"Conv",
       {{"group", I{2}}, {"pads", Ints{1, 1, 1, 1}}},
       {input({2, 4, 5, 5}), weight({6, 2, 3, 3}), bias(6)}},
      {"Conv",
       {{"group", I{4}}, {"pads", Ints{1, 1, 1, 1}}},
       {input({2, 4, 5, 5}), weight({4, 1, 3, 3}), bias(4)}},
      {"Conv", {}, {input({2, 8, 5, 5}), weight({6, 8, 1, 1}), bias(6)}},
      {"Conv", {{"group", I{2}}}, {input({2, 8, 5, 5}), weight({6, 4, 1, 1}), bias(6)}},
      {"Conv", {{"strides", Ints{2, 2}}}, {input({2, 8, 5, 5}), weight({6, 8, 1, 1})}},
      {"Conv", {}, {input({2, 8, 5, 5}), input({6, 8, 1, 1}), input({6})}},
      {"Conv", {}, {input({1, 2, 5, 5}), input({3, 2, 3, 3})}},
      {"Conv", {{"pads", Ints{1, 1}}}, {input({2, 3, 9}), weight({4, 3, 3}), bias(4)}},
      {"Conv", {}, {input({1, 2, 4, 5, 6}), weight({3, 2, 2, 3, 2}), bias(3)}},
      {"Conv", {}, {input({3, 4, 3, 3}), weight({6, 4, 3, 3}), bias(6)}},  // one pixel out
      {"MatMul", {}, {input({3, 5}), weight({5, 7})}},
      {"MatMul", {}, {input({2, 3, 5}), weight({5, 7})}},
      {"MatMul", {}, {input({4, 3, 5}), input({4, 5, 7})}},
      {"MatMul", {}, {input({2, 4, 3, 5}), input({2, 4, 5, 2})}},
      {"MatMul", {}, {input({4, 2, 3, 5}), weight({4, 1, 5, 2})}},
      {"MatMul", {}, {input({3, 5}), weight({4, 5, 2})}},
      {"MatMul", {}, {input({5}), weight({5, 2})}},
      {"MatMul", {}, {input({2, 5}), weight({5})}},
      {"MatMul", {}, {input({2, 1, 3, 5}), input({1, 4, 5, 2})}},
      {"Gemm", {}, {input({3, 5}), weight({5, 7}), weight({7})}},
      {"Gemm",
       {{"transA", I{1}}, {"transB", I{1}}, {"alpha", 0.5f}},
       {input({5, 3}), weight({7, 5}), weight({1, 7})}},
      {"Gemm", {{"beta", 0.25f}}, {input({3, 5}), weight({5, 7}), weight({7})}},
      {"Gemm", {}, {input({3, 5}), weight({5, 7}), weight({3, 7})}},
      {"Gemm", {}, {input({3, 5}), weight({5, 7}), weight({3, 1})}},
      {"MaxPool",
       {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
       {input({2, 3, 8, 8})}},
      {"AveragePool", {{"kernel_shape", Ints{2, 2}}}, {input({2, 3, 8, 8})}},
      {"GlobalAveragePool", {}, {input({2, 3, 8, 8})}},
      {"Softmax", {}, {input({2, 9})}},
      {"Concat", {{"axis", I{1}}}, {input({2, 3, 4}), input({2, 1, 4})}},
      {"NonZero", {}, {input({2, 3})}},
  };
}

}  // namespace mts::exec::cuda
