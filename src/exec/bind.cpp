#include "exec/bind.h"

#include "base/resident.h"
#include "exec/host.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

namespace mts::exec {
namespace {

// Constants are not folded when that makes much more data than it removes (an Expand to the batch, say).
constexpr uint64_t kFoldAlways = 4u << 20;

uint64_t bytes_of(const Fact& fact) {
  return fact.is_shaped() ? byte_size(fact.dtype, element_count(fact.dims)) : 0;
}

Fact shape_of(const Node& node, const Dims& dims) {
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t start = clamp(node.int_or("start", 0)),
                end = std::max(start, clamp(node.int_or("end", rank)));
  const std::span<const int64_t> part =
      std::span(dims).subspan(static_cast<size_t>(start), static_cast<size_t>(end - start));
  return Fact::of(Tensor::of<int64_t>(DType::kInt64, {end - start}, part));
}

class Binder {
 public:
  explicit Binder(const Model& model) : graph_(model.graph), env_(env_of(model)) {
    facts_.resize(graph_.value_count());
  }

  Result<Binding> run(std::span<const InputType> inputs) {
    std::optional<FileMappings> mappings;
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      const Value& value = graph_.value(ValueId{static_cast<uint32_t>(i)});
      if (!value.is_constant()) continue;
      Tensor tensor = tensor_of(value.weight);
      const std::span<const std::byte> bytes = value.weight->bytes();
      if (bytes.size() >= kWorthReleasing && tensor.data() != bytes.data()) {
        // It was copied; it need not be held as pages of the file as well.
        if (!mappings) mappings = FileMappings::of_this_process();
        mappings->release(bytes);
      }
      facts_[i] = Fact::of(std::move(tensor));
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const ValueId id = graph_.inputs()[i];
      if (inputs[i].dtype != DType::kUndefined)
        facts_[index(id)] = Fact::shaped(inputs[i].dtype, inputs[i].dims);
    }
    for (NodeId id : graph_.order()) MTS_TRY(visit(graph_.node(id)));
    return Binding{std::move(facts_)};
  }

 private:
  Result<void> visit(const Node& node) {
    std::vector<const Fact*> inputs;
    bool all_content = true;
    uint64_t input_bytes = 0;
    for (ValueId input : node.inputs) {
      inputs.push_back(input == kNoValue ? nullptr : &facts_[index(input)]);
      if (inputs.back() == nullptr) continue;
      all_content = all_content && inputs.back()->is_content();
      input_bytes += bytes_of(*inputs.back());
    }
    for (const Graph* body : node.subgraphs()) {
      for (const Capture& capture : body->captures())
        all_content = all_content && facts_[index(capture.outer)].is_content();
    }
    if (node.is("Shape") && inputs[0] != nullptr && inputs[0]->is_shaped())
      return put(node, {shape_of(node, inputs[0]->dims)});
    if (node.is("Size") && inputs[0] != nullptr && inputs[0]->is_shaped()) {
      const int64_t count = element_count(inputs[0]->dims);
      return put(node, {Fact::of(Tensor::of<int64_t>(DType::kInt64, {}, std::span(&count, 1)))});
    }
    std::vector<Fact> outputs(node.outputs.size());
    MTS_ASSIGN(bool inferred, infer_dims(node, inputs, outputs));
    uint64_t output_bytes = 0;
    for (const Fact& output : outputs) output_bytes += bytes_of(output);
    if (all_content && !is_random(node) && output_bytes <= std::max(kFoldAlways, input_bytes))
      return fold(node, inputs);
    if (!inferred && has_static_dims(node, inputs) && !is_random(node)) {
      MTS_ASSIGN(inferred, probe(node, inputs, outputs));
    }
    if (!inferred) outputs.assign(node.outputs.size(), Fact::unknown());
    return put(node, std::move(outputs));
  }

  Result<void> put(const Node& node, std::vector<Fact> outputs) {
    for (size_t i = 0; i < node.outputs.size() && i < outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) facts_[index(node.outputs[i])] = std::move(outputs[i]);
    }
    return {};
  }

  Result<void> fold(const Node& node, std::span<const Fact* const> inputs) {
    std::vector<const Datum*> data;
    for (const Fact* fact : inputs) data.push_back(fact == nullptr ? nullptr : fact->content.get());
    const OuterValue outer = [&](ValueId id) { return facts_[index(id)].content.get(); };
    MTS_ASSIGN(std::vector<Datum> results, evaluate_on_host(node, data, env_, outer));
    std::vector<Fact> outputs;
    for (Datum& result : results) outputs.push_back(Fact::of(std::move(result)));
    return put(node, std::move(outputs));
  }

  // Learns the output dims from one evaluation with zeros in place of the operands whose content is not
  // known.
  Result<bool> probe(const Node& node, std::span<const Fact* const> inputs, std::vector<Fact>& outputs) {
    std::vector<Datum> zeros(inputs.size());
    std::vector<const Datum*> data(inputs.size(), nullptr);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] == nullptr) continue;
      if (inputs[i]->is_content()) {
        data[i] = inputs[i]->content.get();
        continue;
      }
      Tensor zero(inputs[i]->dtype, inputs[i]->dims);
      if (zero.dtype() != DType::kString && zero.byte_size() > 0)
        std::memset(zero.mutable_data(), 0, zero.byte_size());
      zeros[i] = std::move(zero);
      data[i] = &zeros[i];
    }
    MTS_ASSIGN(const std::vector<Datum> results, evaluate(node, data, env_));
    for (size_t i = 0; i < outputs.size() && i < results.size(); ++i) {
      const Tensor* tensor = results[i].tensor();
      outputs[i] = tensor == nullptr ? Fact::unknown() : Fact::shaped(tensor->dtype(), tensor->dims());
    }
    return true;
  }

  const Graph& graph_;
  Env env_;
  std::vector<Fact> facts_;
};

}  // namespace

Fact Fact::of(Datum datum) {
  Fact fact;
  fact.kind = Kind::kContent;
  if (const Tensor* tensor = datum.tensor()) {
    fact.dtype = tensor->dtype();
    fact.dims = tensor->dims();
  }
  fact.content = std::make_shared<const Datum>(std::move(datum));
  return fact;
}

Result<Binding> bind(const Model& model, std::span<const InputType> inputs) {
  return Binder(model).run(inputs);
}

}  // namespace mts::exec
