// Gather, GatherElements, GatherND, ScatterElements and ScatterND (without a reduction: whose order a device
// leaves open).
#include "exec/cuda/kernels/gather.h"

#include "exec/cuda/kernels/copy.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

namespace mts::exec::cuda {
namespace {

struct Operands {
  int32_t width = 4;
  bool wide = true;
};
std::optional<Operands> operands_of(const ExecPlan& plan, const Step& step) {
  if (step.inputs.size() < 2 || step.inputs[0] == kAbsent || step.inputs[1] == kAbsent) return std::nullopt;
  const auto width = width_of(plan.value(step.inputs[0]).dtype);
  const DType indices = plan.value(step.inputs[1]).dtype;
  if (!width || (indices != DType::kInt64 && indices != DType::kInt32)) return std::nullopt;
  return Operands{*width, indices == DType::kInt64};
}

std::optional<GatherArgs> gather_args(const ExecPlan& plan, const Step& step) {
  if (step.op != "Gather") return std::nullopt;
  const std::span<const int64_t> dims = plan.value(step.inputs[0]).dims;
  const auto axis = normal_axis(node_of(plan, step)->int_or("axis", 0), dims.size());
  if (!axis) return std::nullopt;
  GatherArgs args;
  args.outer = element_count(dims.first(*axis));
  args.length = dims[*axis];
  args.count = element_count(plan.value(step.inputs[1]).dims);
  args.row = element_count(dims.subspan(*axis + 1));
  return args;
}

std::optional<ElementsArgs> elements_args(const ExecPlan& plan, const Step& step) {
  const bool scatter = step.op == "ScatterElements" || step.op == "Scatter";
  if (step.op != "GatherElements" && !scatter) return std::nullopt;
  const Dims& data = plan.value(step.inputs[0]).dims;
  const Dims& indices = plan.value(step.inputs[1]).dims;
  const auto axis = normal_axis(node_of(plan, step)->int_or("axis", 0), data.size());
  if (!axis || indices.size() != data.size()) return std::nullopt;
  if (scatter && plan.value(step.inputs[2]).dims != indices) return std::nullopt;
  std::vector<int64_t> strides = row_major_strides(data);
  ElementsArgs args;
  args.axis_length = data[*axis];
  args.axis_stride = strides[*axis];
  args.scatter = scatter;
  strides[*axis] = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    if (i != *axis && indices[i] > data[i]) return std::nullopt;
  }
  const std::vector<int64_t> all[] = {strides};
  const auto nest = nest_of<1>(indices, all);
  if (!nest) return std::nullopt;
  args.nest = *nest;
  return args;
}

std::optional<SlicesArgs> slices_args(const ExecPlan& plan, const Step& step) {
  const bool scatter = step.op == "ScatterND";
  if (step.op != "GatherND" && !scatter) return std::nullopt;
  const std::span<const int64_t> data = plan.value(step.inputs[0]).dims,
                                 indices = plan.value(step.inputs[1]).dims;
  const int64_t given = scatter ? 0 : node_of(plan, step)->int_or("batch_dims", 0);
  if (indices.empty() || given < 0) return std::nullopt;
  const auto batch = static_cast<size_t>(given), tuple = static_cast<size_t>(indices.back());
  if (indices.size() <= batch || tuple > static_cast<size_t>(kMaxTuple) || batch + tuple > data.size())
    return std::nullopt;
  const std::vector<int64_t> strides = row_major_strides(data);
  SlicesArgs args;
  args.scatter = scatter;
  args.slices = element_count(indices.first(indices.size() - 1));
  args.row = element_count(data.subspan(batch + tuple));
  args.slices_a_batch =
      std::max<int64_t>(1, element_count(indices.subspan(batch, indices.size() - 1 - batch)));
  args.batch_stride = element_count(data.subspan(batch));
  args.tuple = static_cast<int32_t>(tuple);
  for (size_t k = 0; k < tuple; ++k) {
    args.lengths[k] = data[batch + k];
    args.strides[k] = strides[batch + k];
  }
  return args;
}

bool is_scatter(const Step& step) { return step.op.starts_with("Scatter"); }

// Scatter: the data is copied first, then the updates are written.
template <class Args>
class IndexKernel final : public Kernel {
 public:
  using Launcher = LaunchError (*)(const Args&, StreamHandle);
  IndexKernel(OwnDevice& device, const ExecPlan& plan, const Step& step, Launcher launcher, Args args)
      : device_(device),
        launcher_(launcher),
        args_(std::move(args)),
        data_(step.inputs[0]),
        indices_(step.inputs[1]),
        updates_(is_scatter(step) ? step.inputs[2] : kAbsent),
        output_(step.outputs[0]) {
    const Operands operands = *operands_of(plan, step);
    args_.width = operands.width;
    args_.indices.wide = operands.wide;
    copy_.width = operands.width;
    const int64_t dims[] = {element_count(plan.value(data_).dims)};
    const std::vector<int64_t> strides[] = {{1}, {1}};
    copy_.nest = *nest_of<2>(dims, strides);
  }

  Result<void> launch(const Pointers& pointers) override {
    if (updates_ != kAbsent) {
      copy_.targets[0] = pointers[output_];
      copy_.sources[0] = pointers[data_];
      MTS_TRY(to_result(launch_copy(copy_, device_.stream())));
    }
    args_.indices.data = pointers[indices_];
    args_.indices.fault = device_.fault();
    bind(args_, pointers);
    return to_result(launcher_(args_, device_.stream()));
  }

 private:
  void bind(GatherArgs& args, const Pointers& pointers) const {
    args.table = pointers[data_];
    args.output = pointers[output_];
  }
  template <class A>
  void bind(A& args, const Pointers& pointers) const {
    args.source = pointers[updates_ == kAbsent ? data_ : updates_];
    args.target = pointers[output_];
  }

  OwnDevice& device_;
  Launcher launcher_;
  Args args_;
  CopyArgs copy_;
  ValueIndex data_, indices_, updates_, output_;
};

}  // namespace

bool accepts_gather(const ExecPlan& plan, const Step& step) {
  const Node* const node = node_of(plan, step);
  if (node == nullptr || !all_fit(plan, step) || !all_row_major(plan, step) || !operands_of(plan, step))
    return false;
  if (is_scatter(step) &&
      (step.inputs.size() < 3 || step.inputs[2] == kAbsent || node->string_or("reduction", "none") != "none"))
    return false;
  return gather_args(plan, step) || elements_args(plan, step) || slices_args(plan, step);
}

KernelResult make_gather(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  if (const auto args = gather_args(plan, step))
    return std::make_unique<IndexKernel<GatherArgs>>(device, plan, step, launch_gather, *args);
  if (const auto args = elements_args(plan, step))
    return std::make_unique<IndexKernel<ElementsArgs>>(device, plan, step, launch_elements, *args);
  return std::make_unique<IndexKernel<SlicesArgs>>(device, plan, step, launch_slices,
                                                   *slices_args(plan, step));
}

}  // namespace mts::exec::cuda
