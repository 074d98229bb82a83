#include "ref/evaluate.h"

#include "ref/formats.h"
#include "ref/operator.h"
#include "ref/operators.h"

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

namespace mts {
namespace ref {
namespace {

auto families() {
  return std::array{
      unary_operators(),    binary_operators(),    reduce_operators(),     matmul_operators(),
      einsum_operators(),   conv_operators(),      pool_operators(),       normalise_operators(),
      softmax_operators(),  shape_operators(),     slice_operators(),      gather_operators(),
      select_operators(),   cast_operators(),      quantise_operators(),   control_operators(),
      resize_operators(),   recurrent_operators(), attention_operators(),  sequence_operators(),
      loss_operators(),     sample_operators(),    detection_operators(),  signal_operators(),
      training_operators(), text_operators(),      ml_feature_operators(), ml_linear_operators(),
      ml_tree_operators(),  contrib_operators(),
  };
}

using OperatorIndex = std::unordered_map<std::string_view, std::vector<const Operator*>>;

OperatorIndex make_index() {
  OperatorIndex index;
  for (std::span<const Operator> family : families()) {
    for (const Operator& op : family) index[op.op_type].push_back(&op);
  }
  return index;
}

const Operator* find_operator(std::string_view op_type, std::string_view domain, int64_t version) {
  static const OperatorIndex index = make_index();  // of tables that never change
  const auto found = index.find(op_type);
  if (found == index.end()) return nullptr;
  for (const Operator* op : found->second) {
    if (op->domain == domain && version >= op->since && version <= op->until) return op;
  }
  return nullptr;
}

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBfloat16; }
bool is_packed(DType dtype) { return bit_width(dtype) > 0 && bit_width(dtype) < 8; }

// Inputs in the types that the function wants to see; outputs brought back.
class Adapter {
 public:
  Adapter(const Operator& op, std::span<const Datum* const> inputs)
      : op_(op), inputs_(inputs.begin(), inputs.end()) {
    converted_.reserve(inputs.size());
    for (const Datum*& input : inputs_) {
      const Tensor* tensor = input ? input->tensor() : nullptr;
      if (!tensor) continue;
      if ((op.traits & (kWiden | kWidenFirst)) && is_half(tensor->dtype())) {
        convert(input, tensor->dtype(), widen(*tensor));
      } else if ((op.traits & kPacked) && is_packed(tensor->dtype())) {
        convert(input, tensor->dtype(), unpack_bits(*tensor));
      }
    }
  }

  std::span<const Datum* const> inputs() const { return inputs_; }

  void restore(std::vector<Datum>& outputs) const {
    if (original_ == DType::kUndefined) return;
    const size_t count = op_.traits & kWidenFirst ? std::min<size_t>(1, outputs.size()) : outputs.size();
    for (size_t i = 0; i < count; ++i) {
      const Tensor* tensor = outputs[i].tensor();
      if (!tensor) continue;
      if (is_packed(original_) && tensor->dtype() == DType::kUint8)
        outputs[i] = pack_bits(*tensor, original_);
      if (is_half(original_) && tensor->dtype() == DType::kFloat32) outputs[i] = narrow(*tensor, original_);
    }
  }

 private:
  void convert(const Datum*& input, DType from, Tensor to) {
    if (original_ == DType::kUndefined) original_ = from;
    converted_.emplace_back(std::move(to));
    input = &converted_.back();
  }

  const Operator& op_;
  std::vector<const Datum*> inputs_;
  std::vector<Datum> converted_;
  DType original_ = DType::kUndefined;
};

Result<void> check_inputs(const Call& c, const Operator& op) {
  for (size_t i = 0; i < op.required; ++i) {
    if (!c.has(i)) return c.bad(fmt::format("input {} is missing", i));
  }
  if (op.traits & kAny) return {};
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i]) continue;
    const Tensor* tensor = c.inputs[i]->tensor();
    if (!tensor) return c.bad(fmt::format("input {} is not a tensor", i));
    if (bit_width(tensor->dtype()) == 0 && tensor->dtype() != DType::kString) return c.bad_dtype(*tensor);
  }
  return {};
}

}  // namespace

std::vector<Operator> all_operators() {
  std::vector<Operator> all;
  for (std::span<const Operator> family : families()) all.insert(all.end(), family.begin(), family.end());
  std::ranges::stable_sort(all, [](const Operator& a, const Operator& b) {
    return std::tie(a.domain, a.op_type, a.since) < std::tie(b.domain, b.op_type, b.since);
  });
  return all;
}

}  // namespace ref

int64_t Env::version_of(const std::string& domain) const {
  if (domain.empty()) return opset;
  const auto found = opsets.find(domain);
  return found == opsets.end() ? 1 : found->second;
}

Env env_of(const Model& model) {
  Env env;
  env.opset = model.opset();
  env.opsets = model.opsets;
  return env;
}

Result<std::vector<Datum>> evaluate(const Node& node, std::span<const Datum* const> inputs, const Env& env) {
  using namespace ref;
  const int64_t version = env.version_of(node.domain);
  const Operator* op = find_operator(node.op_type, node.domain, version);
  if (!op) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the reference evaluator does not implement {}{}{} of opset {}", node.domain,
                            node.domain.empty() ? "" : ".", node.op_type, version),
                Where{{}, node.label(), {}});
  }
  const Call original{node, inputs, env, version};
  MTS_TRY(check_inputs(original, *op));
  try {
    const Adapter adapter(*op, inputs);
    MTS_ASSIGN(std::vector<Datum> outputs, op->function(Call{node, adapter.inputs(), env, version}));
    adapter.restore(outputs);
    if (outputs.size() < node.outputs.size()) outputs.resize(node.outputs.size());
    return outputs;
  } catch (const std::bad_alloc&) {
    return original.bad("its result does not fit into memory");
  } catch (const std::length_error&) {
    return original.bad("its result does not fit into memory");
  }
}

bool supported(const Node& node, const std::map<std::string, int64_t>& opsets) {
  const auto found = opsets.find(node.domain);
  const int64_t version = found == opsets.end() ? 1 : found->second;
  return ref::find_operator(node.op_type, node.domain, version) != nullptr;
}

std::string supported_operators_markdown() {
  const std::vector<ref::Operator> all = ref::all_operators();
  std::string text = "| domain | operator | opsets |\n|---|---|---|\n";
  for (size_t i = 0; i < all.size();) {
    const ref::Operator& op = all[i];
    std::string ranges;
    while (i < all.size() && all[i].op_type == op.op_type && all[i].domain == op.domain) {
      const int64_t since = all[i].since;
      int64_t until = all[i++].until;
      while (i < all.size() && all[i].op_type == op.op_type && all[i].domain == op.domain &&
             all[i].since == until + 1) {  // another row goes on where this one ends
        until = all[i++].until;
      }
      if (!ranges.empty()) ranges += ", ";
      ranges += until == ref::kLatest ? fmt::format("{}+", since)
                : until == since      ? fmt::format("{}", since)
                                      : fmt::format("{}-{}", since, until);
    }
    text += fmt::format("| {} | {} | {} |\n", op.domain.empty() ? "ai.onnx" : op.domain, op.op_type, ranges);
  }
  return text;
}

}  // namespace mts
