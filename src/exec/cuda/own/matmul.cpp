// MatMul and Gemm (product.h: as which products): wide ones on the tensor cores, where their type allows.
#include "exec/cuda/kernels/matmul.h"

#include "exec/cuda/own/epilogue.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/product.h"

namespace mts::exec::cuda {
namespace {

// Fewer rows or columns would leave most of a tensor core's tile empty.
constexpr int32_t kTensorCoreSide = 32;

struct Work {
  MatmulArgs args;
  std::vector<ValueIndex> epilogue;
};

std::optional<Work> work_of(const ExecPlan& plan, const Step& step) {
  const bool gemm = step.op == "Gemm";
  for (size_t i = 0; i < 2; ++i) {
    if (!has_input(step, i) || (gemm && plan.value(step.inputs[i]).dims.size() != 2)) return std::nullopt;
  }
  const auto type = float_type_of(plan.value(step.outputs[0]).dtype);
  if (!type || float_type_of(plan.value(step.inputs[0]).dtype) != type ||
      float_type_of(plan.value(step.inputs[1]).dtype) != type)
    return std::nullopt;
  const Product product = product_of(plan, step);
  const size_t rank = product.c.size(), batches = rank - 2;
  if (batches > static_cast<size_t>(kMaxOuter)) return std::nullopt;
  Work work;
  MatmulArgs& args = work.args;
  args.type = *type;
  OutputView view;
  for (size_t i = 0; i < batches; ++i) {
    args.outer[i] = Divisor(product.c[i]);
    args.a_outer[i] = product.a[i] == 1 ? 0 : product.a_strides[i];
    args.b_outer[i] = product.b[i] == 1 ? 0 : product.b_strides[i];
    view.outer.push_back(product.c[i]);
  }
  args.rows = static_cast<int32_t>(product.c[rank - 2]);
  args.columns = static_cast<int32_t>(product.c[rank - 1]);
  args.inner = static_cast<int32_t>(product.a[rank - 1]);
  args.a_row = product.a_strides[rank - 2];
  args.a_column = product.a_strides[rank - 1];
  args.b_row = product.b_strides[rank - 2];
  args.b_column = product.b_strides[rank - 1];
  args.c_row = args.columns;
  args.c_batch = int64_t{args.rows} * args.columns;
  view.rows = args.rows;
  view.columns = args.columns;
  std::optional<std::pair<ValueIndex, EpilogueOperand>> bias;
  if (gemm) {
    const Node& node = *node_of(plan, step);
    args.alpha = node.float_or("alpha", 1.f);
    if (has_input(step, 2)) {
      const float beta = node.float_or("beta", 1.f);
      const auto operand =
          epilogue_operand(plan.value(step.inputs[2]), plan.value(step.outputs[0]).dims, view);
      if (!operand || (beta != 1.f && beta != 0.f)) return std::nullopt;
      if (beta == 1.f) bias.emplace(step.inputs[2], *operand);
    }
  }
  std::optional<StepEpilogue> epilogue = epilogue_of(plan, step, view, bias);
  if (!epilogue) return std::nullopt;
  args.epilogue = epilogue->epilogue;
  work.epilogue = std::move(epilogue->values);
  return work;
}

}  // namespace

bool accepts_matmul(const ExecPlan& plan, const Step& step) {
  if (step.op != "MatMul" && step.op != "Gemm") return false;
  return node_of(plan, step) != nullptr && all_fit(plan, step) && all_row_major(plan, step) &&
         work_of(plan, step).has_value();
}

KernelResult make_matmul(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  std::optional<Work> work = work_of(plan, step);
  if (!work) return fail(ErrorCode::kInternal, "no product kernel for " + step.op);
  MatmulArgs& whole = work->args;
  whole.tensor_cores = whole.rows >= kTensorCoreSide && whole.columns >= kTensorCoreSide &&
                       (whole.type != FloatType::kFloat32 || device.allows_tf32());
  return make_launch(device, launch_matmul, whole,
                     [a = step.inputs[0], b = step.inputs[1], c = step.outputs[0], epilogue = work->epilogue](
                         MatmulArgs& args, const Pointers& p) {
                       args.a = p[a];
                       args.b = p[b];
                       args.c = p[c];
                       bind_epilogue(args.epilogue, epilogue, p);
                     });
}

}  // namespace mts::exec::cuda
