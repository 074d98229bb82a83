// Every kernel against the reference evaluator, op by op. A case is one node with its operands' shapes; the
// harness runs it on both and compares. With MTS_KERNEL_TIMES=1 it also prints how long a run takes on each.
//
// How to add a case: one line in kernels_test.cpp.
#pragma once

#include "exec/plan.h"

#include <mts/executor.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace mts::exec {

struct Operand {
  Dims dims = {};
  bool constant = false;
  DType dtype = DType::kFloat32;
  std::vector<double> values = {};  // empty: random in [-2, 2] (integers: [0, 3])
  bool absent = false;
};
inline Operand weight(Dims dims) { return {.dims = std::move(dims), .constant = true}; }
inline Operand input(Dims dims) { return {.dims = std::move(dims)}; }
inline Operand ints(std::vector<double> values) {
  return {.dims = {static_cast<int64_t>(values.size())},
          .constant = true,
          .dtype = DType::kInt64,
          .values = std::move(values)};
}
inline Operand absent() { return {.absent = true}; }

struct Case {
  std::string op = {};
  std::vector<std::pair<std::string, AttributeValue>> attributes = {};
  std::vector<Operand> operands = {};
  int64_t opset = 18;
  int outputs = 1;
  bool on_host = false;  // the kernel is not expected to take it
};
std::string to_string(const Case& c);

Tensor random_tensor(DType dtype, const Dims& dims, unsigned seed, const std::vector<double>& values = {});

// A model of one node; inputs in order of the operands that are not constant.
Model model_of(const Case& c, std::vector<Datum>& inputs);

// Runs a model on both devices and expects equal outputs (1e-4 of the largest magnitude, 5e-3 for float16,
// 2e-2 for bfloat16; equal for integers).
void expect_same_on_cpu(const Model& model, const std::vector<Datum>& inputs, const std::string& what);

// Equal outputs by the same rule; sequences and maps element by element. `tolerance`: of float32.
void expect_same(const Datum& expected, const Datum& actual, const std::string& what,
                 double tolerance = 1e-4);

// The plan that the CPU backend runs for these inputs.
ExecPlan cpu_plan(const Model& model, const std::vector<Datum>& inputs);

void check(const Case& c);

}  // namespace mts::exec
