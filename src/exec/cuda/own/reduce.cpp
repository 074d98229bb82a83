// Reduce*, global pools, ArgMax and ArgMin.
#include "exec/cuda/kernels/reduce.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

#include <string_view>
#include <utility>

namespace mts::exec::cuda {
namespace {

constexpr std::pair<std::string_view, ReduceOp> kReductions[] = {
    {"ReduceSum", ReduceOp::kSum},       {"ReduceMean", ReduceOp::kMean},
    {"ReduceMax", ReduceOp::kMax},       {"ReduceMin", ReduceOp::kMin},
    {"ReduceProd", ReduceOp::kProduct},  {"ReduceSumSquare", ReduceOp::kSumSquare},
    {"ReduceL1", ReduceOp::kL1},         {"ReduceL2", ReduceOp::kL2},
    {"ReduceLogSum", ReduceOp::kLogSum}, {"GlobalAveragePool", ReduceOp::kMean},
    {"GlobalMaxPool", ReduceOp::kMax}};

std::optional<ReduceOp> reduction_of(const Step& step) {
  for (const auto& [name, op] : kReductions) {
    if (name == step.op) return op;
  }
  return std::nullopt;
}

std::optional<std::vector<bool>> axes_of(const ExecPlan& plan, const Step& step) {
  const Node& node = *node_of(plan, step);
  const size_t rank = plan.value(step.inputs[0]).dims.size();
  if (step.op.starts_with("Global")) {
    if (rank < 3) return std::nullopt;
    std::vector<bool> reduced(rank, true);
    reduced[0] = reduced[1] = false;
    return reduced;
  }
  if (node.int_or("noop_with_empty_axes", 0) != 0) return std::nullopt;
  if (has_input(step, 1) && !known_ints(plan, step, 1)) return std::nullopt;
  return reduced_axes(node, rank, known_ints(plan, step, 1));
}

std::optional<ReduceArgs> reduce_args(const ExecPlan& plan, const Step& step) {
  const auto op = reduction_of(step);
  const PlanValue& input = plan.value(step.inputs[0]);
  const auto type = scalar_type_of(input.dtype);
  if (!op || !type || *type == ScalarType::kUint64 || *type == ScalarType::kBool) return std::nullopt;
  const bool integer = arithmetic_of(*type) == Arithmetic::kInteger;
  if (integer && (*op == ReduceOp::kMean || *op == ReduceOp::kL2 || *op == ReduceOp::kLogSum))
    return std::nullopt;
  const auto reduced = axes_of(plan, step);
  if (!reduced) return std::nullopt;
  const std::vector<int64_t> strides = strides_of(input);
  std::vector<int64_t> kept_dims, kept_strides, reduced_dims, reduced_strides;
  for (size_t i = 0; i < reduced->size(); ++i) {
    ((*reduced)[i] ? reduced_dims : kept_dims).push_back(input.dims[i]);
    ((*reduced)[i] ? reduced_strides : kept_strides).push_back(strides[i]);
  }
  if (integer && element_count(reduced_dims) == 0) return std::nullopt;  // extremes depend on the type
  const std::vector<int64_t> kept[] = {row_major_strides(kept_dims), kept_strides},
                             inner[] = {reduced_strides};
  const auto outer_nest = nest_of<2>(kept_dims, kept);
  const auto inner_nest = nest_of<1>(reduced_dims, inner);
  if (!outer_nest || !inner_nest) return std::nullopt;
  ReduceArgs args;
  args.kept = *outer_nest;
  args.reduced = *inner_nest;
  args.op = *op;
  args.type = *type;
  return args;
}

std::optional<ArgArgs> arg_args(const ExecPlan& plan, const Step& step) {
  if (step.op != "ArgMax" && step.op != "ArgMin") return std::nullopt;
  const Node& node = *node_of(plan, step);
  const PlanValue& input = plan.value(step.inputs[0]);
  const auto type = scalar_type_of(input.dtype);
  const auto axis = normal_axis(node.int_or("axis", 0), input.dims.size());
  if (!type || *type == ScalarType::kUint64 || !axis || input.dims[*axis] == 0) return std::nullopt;
  ArgArgs args;
  args.outer = element_count(std::span(input.dims).first(*axis));
  args.length = static_cast<int32_t>(input.dims[*axis]);
  args.inner = static_cast<int32_t>(element_count(std::span(input.dims).subspan(*axis + 1)));
  args.maximum = step.op == "ArgMax";
  args.last = node.int_or("select_last_index", 0) != 0;
  args.type = *type;
  return args;
}

}  // namespace

bool accepts_reduce(const ExecPlan& plan, const Step& step) {
  if (node_of(plan, step) == nullptr || !all_fit(plan, step) || !all_row_major(plan, step)) return false;
  if (step.inputs.empty() || step.inputs[0] == kAbsent) return false;
  return reduce_args(plan, step) || arg_args(plan, step);
}

KernelResult make_reduce(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  const ValueIndex input = step.inputs[0], output = step.outputs[0];
  if (const auto args = arg_args(plan, step)) {
    return make_launch(device, launch_arg, *args, [=](ArgArgs& a, const Pointers& p) {
      a.input = p[input];
      a.output = reinterpret_cast<int64_t*>(p[output]);
    });
  }
  return make_launch(device, launch_reduce, *reduce_args(plan, step), [=](ReduceArgs& a, const Pointers& p) {
    a.input = p[input];
    a.output = p[output];
  });
}

}  // namespace mts::exec::cuda
