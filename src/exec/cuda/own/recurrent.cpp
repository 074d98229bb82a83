// LSTM and GRU with the usual activations, strict float32 (what TF32 rounds adds up from step to step),
// sequences of full length: one product for the inputs of
// all steps, then a launch a step (GRU without linear_before_reset: two) for all directions at once.
#include "exec/cuda/kernels/recurrent.h"

#include "exec/cuda/kernels/matmul.h"
#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

#include <utility>

namespace mts::exec::cuda {
namespace {

enum : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

// T steps, B sequences, I inputs, H hidden, D directions.
struct Sizes {
  int64_t steps, batch, input, hidden, directions, gates;
  int64_t columns() const { return gates * hidden; }
  int64_t state() const { return batch * hidden; }  // of one direction
};
Sizes sizes_of(const ExecPlan& plan, const Step& step) {
  const Dims &x = plan.value(step.inputs[kX]).dims, &r = plan.value(step.inputs[kR]).dims;
  return {x[0], x[1], x[2], r[2], r[0], step.op == "LSTM" ? 4 : 3};
}

ValueIndex operand(const Step& step, size_t position) {
  return has_input(step, position) ? step.inputs[position] : kAbsent;
}

class RecurrentKernel final : public Kernel {
 public:
  RecurrentKernel(OwnDevice& device, const Step& step, const Sizes& sizes, const Node& node)
      : device_(device), step_(step), sizes_(sizes) {
    const bool linear = node.int_or("linear_before_reset", 0) != 0;
    if (step.op == "GRU") args_.cell = linear ? RecurrentCell::kGruLinear : RecurrentCell::kGruReset;
    args_.direction_count = static_cast<int32_t>(sizes.directions);
    args_.batch = static_cast<int32_t>(sizes.batch);
    args_.hidden = static_cast<int32_t>(sizes.hidden);
    const std::string direction = node.string_or("direction", "forward");
    reverse_[0] = direction == "reverse";
    reverse_[1] = true;
    // gates[d] = x W[d]^T + bias[d]
    MatmulArgs& m = product_;
    constexpr size_t kInnermost = kMaxOuter - 1;
    m.outer[kInnermost] = Divisor(sizes.directions);
    m.b_outer[kInnermost] = sizes.columns() * sizes.input;
    m.rows = static_cast<int32_t>(sizes.steps * sizes.batch);
    m.columns = static_cast<int32_t>(sizes.columns());
    m.inner = static_cast<int32_t>(sizes.input);
    m.a_row = sizes.input;
    m.b_row = 1;
    m.b_column = sizes.input;
    m.c_row = sizes.columns();
    m.c_batch = m.c_row * m.rows;
    if (operand(step, kB) == kAbsent) return;
    m.epilogue.program.length = 1;
    m.epilogue.program.code[0] = {ElementOp::kAdd, kAccumulator, 0, -1, 0.f, 0.f};
    m.epilogue.operands[0].outer[kInnermost] = 2 * sizes.columns();
    m.epilogue.operands[0].column = 1;
  }

  uint64_t workspace_bytes() const override {
    return sizeof(float) *
           static_cast<uint64_t>(sizes_.directions *
                                 (sizes_.steps * sizes_.batch * sizes_.columns() + 5 * sizes_.state()));
  }

  Result<void> launch(const Pointers& pointers) override {
    const int64_t state = sizes_.directions * sizes_.state();
    auto* const gates = reinterpret_cast<float*>(pointers.workspace);
    float* const scratch = gates + sizes_.directions * sizes_.steps * sizes_.batch * sizes_.columns();
    float* const hidden[] = {scratch, scratch + state};  // where Y is not wanted
    product_.a = pointers[step_.inputs[kX]];
    product_.b = pointers[step_.inputs[kW]];
    product_.c = gates;
    const float* const bias = floats(pointers, operand(step_, kB));
    product_.epilogue.operands[0].data = bias;
    MTS_TRY(to_result(launch_matmul(product_, device_.stream())));

    const float* const r = floats(pointers, step_.inputs[kR]);
    float *const y = output(pointers, 0), *const last = output(pointers, 1);
    float* const cell = output(pointers, 2) != nullptr ? output(pointers, 2) : scratch + 2 * state;
    for (int64_t i = 0; i < sizes_.steps; ++i) {
      for (int64_t d = 0; d < sizes_.directions; ++d) {
        RecurrentDirection& to = args_.directions[d];
        const int64_t own = d * sizes_.state(), t = time(d, i);
        const auto h_at = [&](int64_t step) {
          return y == nullptr ? hidden[step % 2] + own : y + time(d, step) * state + own;
        };
        to.gates = gates + ((d * sizes_.steps + t) * sizes_.batch) * sizes_.columns();
        to.weights = r + d * sizes_.columns() * sizes_.hidden;
        to.bias = bias == nullptr ? nullptr : bias + (2 * d + 1) * sizes_.columns();
        to.before = i > 0 ? h_at(i - 1) : initial(pointers, kInitialH, own);
        to.after = h_at(i);
        to.last = last != nullptr && i + 1 == sizes_.steps ? last + own : nullptr;
        to.state_before = i > 0 ? cell + own : initial(pointers, kInitialC, own);
        to.state_after = cell + own;
        to.gated = scratch + 3 * state + own;
        to.update = scratch + 4 * state + own;
      }
      MTS_TRY(to_result(launch_recurrent(args_, device_.stream())));
      if (args_.cell != RecurrentCell::kGruReset) continue;
      RecurrentArgs rest = args_;
      rest.cell = RecurrentCell::kGruCandidate;
      MTS_TRY(to_result(launch_recurrent(rest, device_.stream())));
    }
    return {};
  }

 private:
  static const float* floats(const Pointers& pointers, ValueIndex v) {
    return v == kAbsent ? nullptr : reinterpret_cast<const float*>(pointers[v]);
  }
  float* output(const Pointers& pointers, size_t position) const {
    if (position >= step_.outputs.size() || step_.outputs[position] == kAbsent) return nullptr;
    return reinterpret_cast<float*>(pointers[step_.outputs[position]]);
  }
  const float* initial(const Pointers& pointers, size_t position, int64_t own) const {
    const float* const given = floats(pointers, operand(step_, position));
    return given == nullptr ? nullptr : given + own;
  }
  int64_t time(int64_t direction, int64_t step) const {
    return reverse_[direction] ? sizes_.steps - 1 - step : step;
  }

  OwnDevice& device_;
  Step step_;
  Sizes sizes_;
  bool reverse_[kMostDirections] = {};
  MatmulArgs product_;
  RecurrentArgs args_;
};

bool usual_activations(const Node& node, int64_t directions) {
  if (node.find("activation_alpha") != nullptr || node.find("activation_beta") != nullptr) return false;
  const Attribute* const given = node.find("activations");
  if (given == nullptr) return true;
  const auto* const names = std::get_if<std::vector<std::string>>(&given->value);
  const std::vector<std::string> usual = node.op_type == "LSTM"
                                             ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                             : std::vector<std::string>{"Sigmoid", "Tanh"};
  if (names == nullptr || names->size() != usual.size() * static_cast<size_t>(directions)) return false;
  for (size_t i = 0; i < names->size(); ++i) {
    if ((*names)[i] != usual[i % usual.size()]) return false;
  }
  return true;
}

}  // namespace

bool accepts_recurrent(const ExecPlan& plan, const Step& step) {
  if (step.op != "LSTM" && step.op != "GRU") return false;
  if (node_of(plan, step) == nullptr || !all_fit(plan, step) || !all_row_major(plan, step)) return false;
  const Node& node = *node_of(plan, step);
  for (const std::vector<ValueIndex>* list : {&step.inputs, &step.outputs}) {
    for (ValueIndex v : *list) {
      if (v != kAbsent && (plan.value(v).dtype != DType::kFloat32 || element_count(plan.value(v).dims) == 0))
        return false;
    }
  }
  for (size_t position : {kX, kW, kR}) {
    if (!has_input(step, position) || plan.value(step.inputs[position]).dims.size() != 3) return false;
  }
  if (has_input(step, kLengths) || has_input(step, kPeepholes) || node.int_or("layout", 0) != 0 ||
      node.float_or("clip", 0.f) != 0.f || node.int_or("input_forget", 0) != 0)
    return false;
  const Sizes s = sizes_of(plan, step);
  const std::string direction = node.string_or("direction", "forward");
  if (s.directions != (direction == "bidirectional" ? 2 : 1)) return false;
  const auto holds = [&](size_t position, int64_t count) {
    return !has_input(step, position) || element_count(plan.value(step.inputs[position]).dims) == count;
  };
  return plan.value(step.inputs[kW]).dims == Dims{s.directions, s.columns(), s.input} &&
         plan.value(step.inputs[kR]).dims == Dims{s.directions, s.columns(), s.hidden} &&
         usual_activations(node, s.directions) && holds(kB, 2 * s.directions * s.columns()) &&
         holds(kInitialH, s.directions * s.state()) && holds(kInitialC, s.directions * s.state());
}

KernelResult make_recurrent(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  return std::make_unique<RecurrentKernel>(device, step, sizes_of(plan, step), *node_of(plan, step));
}

}  // namespace mts::exec::cuda
