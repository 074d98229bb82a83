#include "exec/cpu/recurrent.h"

#include "exec/cpu/recurrent_product.h"
#include "exec/cpu/tile_ops.h"
#include "exec/geometry.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mts::exec {
namespace {

// Positions of the operands; P (peepholes) must be absent.
enum : size_t { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

ValueIndex operand(const Step& step, size_t position) {
  return position < static_cast<size_t>(step.node_inputs) ? step.inputs[position] : kAbsent;
}

const float* constant_of(const ExecPlan& plan, ValueIndex v) {
  return plan.constants[static_cast<size_t>(plan.value(v).constant)].tensor()->as<float>();
}

// T steps, B sequences, I inputs, H hidden, D directions, G gates.
struct Sizes {
  int64_t steps, batch, input, hidden, directions, gates;
  int64_t columns() const { return gates * hidden; }
  int64_t leading() const { return RecurrentProduct::padded(columns()); }
  int64_t state() const { return batch * hidden; }
};

Sizes sizes_of(const ExecPlan& plan, const Step& step) {
  const Dims &x = plan.value(step.inputs[kX]).dims, &r = plan.value(step.inputs[kR]).dims;
  return {x[0], x[1], x[2], r[2], r[0], step.op == "LSTM" ? 4 : 3};
}

// One direction: its products and the biases of each step's gates.
struct Direction {
  bool reverse = false;
  RecurrentProduct input, recurrent;
  std::vector<float> bias;            // [leading], added to the input part
  std::vector<float> recurrent_bias;  // GRU with linear_before_reset: [leading], starts the recurrent part
  std::optional<RecurrentProduct> candidate = {};  // GRU without: r * h into the third gate
};

class RecurrentKernel final : public Kernel {
 public:
  RecurrentKernel(const Step& step, Sizes sizes, bool linear_before_reset, std::vector<Direction> directions)
      : step_(step), sizes_(sizes), linear_(linear_before_reset), directions_(std::move(directions)) {
    for (const Direction& d : directions_) {
      scratch_ = std::max({scratch_, d.input.scratch_bytes(), d.recurrent.scratch_bytes()});
      if (d.candidate) scratch_ = std::max(scratch_, d.candidate->scratch_bytes());
    }
    scratch_ = (scratch_ + 63) / 64 * 64;
  }

  uint64_t workspace_bytes() const override {
    const int64_t leading = sizes_.leading();
    // Gates of all steps, the recurrent part of one, h and c, r * h.
    const int64_t floats =
        sizes_.steps * sizes_.batch * leading + sizes_.batch * leading + 4 * (sizes_.state() + 16);
    return scratch_ + static_cast<uint64_t>(floats) * sizeof(float);
  }
  bool reads(ValueIndex v) const override {
    return v == operand(step_, kX) || v == operand(step_, kInitialH) || v == operand(step_, kInitialC);
  }

  Result<void> launch(const Pointers& pointers) override {
    for (size_t d = 0; d < directions_.size(); ++d) MTS_TRY(run(pointers, static_cast<int64_t>(d)));
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
  static void start(float* to, const float* from, int64_t count) {
    from == nullptr ? std::fill_n(to, count, 0.f) : std::copy_n(from, count, to);
  }

  Result<void> run(const Pointers& pointers, int64_t d) {
    const Direction& direction = directions_[static_cast<size_t>(d)];
    const int64_t leading = sizes_.leading(), state = sizes_.state(), rows = sizes_.steps * sizes_.batch;
    float* const gates = reinterpret_cast<float*>(pointers.workspace + scratch_);
    float* const part = gates + rows * leading;
    float* h[2] = {part + sizes_.batch * leading, part + sizes_.batch * leading + state};
    float* const c = h[1] + state;
    float* const gated = c + state;
    for (int64_t row = 0; row < rows; ++row)
      std::copy(direction.bias.begin(), direction.bias.end(), gates + row * leading);
    MTS_TRY(direction.input.add(gates, floats(pointers, step_.inputs[kX]), pointers.workspace));
    const float* const first_h = floats(pointers, operand(step_, kInitialH));
    const float* const first_c = floats(pointers, operand(step_, kInitialC));
    start(h[0], first_h == nullptr ? nullptr : first_h + d * state, state);
    start(c, first_c == nullptr ? nullptr : first_c + d * state, state);

    float* const y = output(pointers, 0);
    const float* before = h[0];
    for (int64_t i = 0; i < sizes_.steps; ++i) {
      const int64_t t = direction.reverse ? sizes_.steps - 1 - i : i;
      float* const after = y == nullptr ? h[(i + 1) % 2] : y + (t * sizes_.directions + d) * state;
      float* const now = gates + t * sizes_.batch * leading;
      MTS_TRY(cell(direction, now, part, gated, before, after, c, pointers.workspace));
      before = after;
    }
    if (float* const last = output(pointers, 1)) std::copy_n(before, state, last + d * state);
    if (float* const last = output(pointers, 2)) std::copy_n(c, state, last + d * state);
    return {};
  }

  // One step of all sequences.
  Result<void> cell(const Direction& direction, float* gates, float* part, float* gated, const float* before,
                    float* after, float* c, std::byte* scratch) const {
    const TileOps& ops = tile_ops();
    const int64_t hidden = sizes_.hidden, leading = sizes_.leading();
    const bool is_lstm = sizes_.gates == 4;
    if (!is_lstm && linear_) {
      for (int64_t b = 0; b < sizes_.batch; ++b)
        std::copy(direction.recurrent_bias.begin(), direction.recurrent_bias.end(), part + b * leading);
      MTS_TRY(direction.recurrent.add(part, before, scratch));
      for (int64_t b = 0; b < sizes_.batch; ++b)
        ops.gru_linear_cell(after + b * hidden, before + b * hidden, gates + b * leading, part + b * leading,
                            hidden);
      return {};
    }
    MTS_TRY(direction.recurrent.add(gates, before, scratch));
    if (is_lstm) {
      for (int64_t b = 0; b < sizes_.batch; ++b)
        ops.lstm_cell(after + b * hidden, c + b * hidden, gates + b * leading, hidden);
      return {};
    }
    for (int64_t b = 0; b < sizes_.batch; ++b)
      ops.gru_reset(gated + b * hidden, before + b * hidden, gates + b * leading, hidden);
    // Starts at the third gate and pads beyond it: into columns that nobody reads, or into the next row's
    // update gate; so rows are added in a buffer of their own.
    std::fill_n(part, sizes_.batch * leading, 0.f);
    MTS_TRY(direction.candidate->add(part, gated, scratch));
    for (int64_t b = 0; b < sizes_.batch; ++b)
      ops.gru_cell(after + b * hidden, before + b * hidden, gates + b * leading, part + b * leading, hidden);
    return {};
  }

  Step step_;
  Sizes sizes_;
  bool linear_;
  std::vector<Direction> directions_;
  uint64_t scratch_ = 0;
};

bool usual_activations(const Node& node, int64_t directions) {
  const Attribute* const given = node.find("activations");
  if (node.find("activation_alpha") != nullptr || node.find("activation_beta") != nullptr) return false;
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

Direction make_direction(Device& device, const ExecPlan& plan, const Step& step, const Sizes& s, int64_t d,
                         bool reverse, bool linear) {
  const bool is_lstm = s.gates == 4;
  const int64_t columns = s.columns(), leading = s.leading(), plain_gates = is_lstm || linear ? s.gates : 2;
  const auto key = [&](size_t position) {
    const ValueId id = plan.value(step.inputs[position]).id;
    const bool kept = id != kNoValue && plan.graph->value(id).is_constant();
    return kept ? "recurrent:" + std::to_string(index(id)) + ":" + std::to_string(d) : std::string();
  };
  const float* const w = constant_of(plan, step.inputs[kW]) + d * columns * s.input;
  const float* const r = constant_of(plan, step.inputs[kR]) + d * columns * s.hidden;
  Direction result{
      .reverse = reverse,
      .input = RecurrentProduct(device, w, s.steps * s.batch, s.input, columns, leading, key(kW)),
      .recurrent = RecurrentProduct(device, r, s.batch, s.hidden, plain_gates * s.hidden, leading, key(kR)),
      .bias = std::vector<float>(static_cast<size_t>(leading), 0.f),
      .recurrent_bias = std::vector<float>(static_cast<size_t>(leading), 0.f)};
  if (!is_lstm && !linear) {
    const std::string name = key(kR);
    result.candidate.emplace(device, r + 2 * s.hidden * s.hidden, s.batch, s.hidden, s.hidden, leading,
                             name.empty() ? name : name + ":candidate");
  }
  if (const ValueIndex b = operand(step, kB); b != kAbsent) {
    const float* const bias = constant_of(plan, b) + d * 2 * columns;
    const int64_t apart = is_lstm || !linear ? columns : 2 * s.hidden;  // from here on R's bias is gated
    for (int64_t j = 0; j < columns; ++j) {
      result.bias[static_cast<size_t>(j)] = bias[j] + (j < apart ? bias[columns + j] : 0.f);
      if (j >= apart) result.recurrent_bias[static_cast<size_t>(j)] = bias[columns + j];
    }
  }
  return result;
}

}  // namespace

bool accepts_recurrent(const ExecPlan& plan, const Step& step) {
  if (step.op != "LSTM" && step.op != "GRU") return false;
  const Node& node = plan.graph->node(step.node);
  for (const std::vector<ValueIndex>* list : {&step.inputs, &step.outputs}) {
    for (ValueIndex v : *list) {
      if (v != kAbsent && (plan.value(v).dtype != DType::kFloat32 || element_count(plan.value(v).dims) == 0))
        return false;
    }
  }
  if (operand(step, kLengths) != kAbsent || operand(step, kPeepholes) != kAbsent) return false;
  for (size_t position : {kW, kR, kB}) {
    const ValueIndex v = operand(step, position);
    if (v != kAbsent && !plan.value(v).is_constant()) return false;
  }
  if (node.int_or("layout", 0) != 0 || node.float_or("clip", 0.f) != 0.f ||
      node.int_or("input_forget", 0) != 0)
    return false;
  const Dims &x = plan.value(step.inputs[kX]).dims, &w = plan.value(step.inputs[kW]).dims,
             &r = plan.value(step.inputs[kR]).dims;
  if (x.size() != 3 || w.size() != 3 || r.size() != 3) return false;
  const Sizes s = sizes_of(plan, step);
  const std::string direction = node.string_or("direction", "forward");
  if (s.directions != (direction == "bidirectional" ? 2 : 1)) return false;
  if (w != Dims{s.directions, s.columns(), s.input} || r != Dims{s.directions, s.columns(), s.hidden})
    return false;
  const auto holds = [&](size_t position, int64_t count) {
    const ValueIndex v = operand(step, position);
    return v == kAbsent || element_count(plan.value(v).dims) == count;
  };
  return usual_activations(node, s.directions) && holds(kB, 2 * s.directions * s.columns()) &&
         holds(kInitialH, s.directions * s.state()) && holds(kInitialC, s.directions * s.state());
}

KernelResult make_recurrent(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    const Node& node = plan.graph->node(step.node);
    const Sizes sizes = sizes_of(plan, step);
    const bool linear = node.int_or("linear_before_reset", 0) != 0;
    const bool reverse = node.string_or("direction", "forward") == "reverse";
    std::vector<Direction> directions;
    for (int64_t d = 0; d < sizes.directions; ++d)
      directions.push_back(make_direction(device, plan, step, sizes, d, reverse || d == 1, linear));
    return std::make_unique<RecurrentKernel>(step, sizes, linear, std::move(directions));
  });
}

}  // namespace mts::exec
