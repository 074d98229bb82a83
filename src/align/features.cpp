#include "align/features.h"

#include "share/encode.h"
#include "share/purity.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <tuple>

#include <xxhash.h>

namespace mts::alignment {

uint64_t mix(uint64_t hash, uint64_t value) { return XXH3_64bits_withSeed(&value, sizeof value, hash); }

namespace {

// Smaller constants (axes, shapes, epsilons) are the same in unrelated places; those of integers, which hold
// shapes and slices, even when they are a little larger.
constexpr size_t kTellingBytes = 32, kTellingIntegerBytes = 256;

using share::Interner;
using share::Key;

class Extractor {
 public:
  Extractor(const std::vector<Model>& models, const WeightClasses& classes, const Numbering& numbering)
      : models_(models),
        classes_(classes),
        numbering_(numbering),
        encoder_(terms_, [this](const WeightPtr& weight) { return constant_form(*weight); }) {}

  ModelFeatures extract(size_t m);

 private:
  // Dtype and rank, for any kind of type.
  uint32_t type_form(const Type& type) {
    Key key('t');
    key.number(static_cast<uint64_t>(type.kind)).number(static_cast<uint64_t>(type.dtype));
    key.number(type.has_rank() ? type.rank() + 1 : 0).text(type.encoded);
    return terms_.id(key);
  }
  // Dtype, rank and static dims, except the batch axis.
  uint32_t input_form(const Type& type) {
    Key key('i');
    key.number(type_form(type));
    if (type.has_rank())
      for (size_t axis = 1; axis < type.rank(); ++axis)
        key.number((*type.shape)[axis].is_known() ? static_cast<uint64_t>((*type.shape)[axis].value) + 1 : 0);
    return terms_.id(key);
  }
  uint32_t constant_form(const Weight& weight) {
    Key key('c');
    key.number(static_cast<uint64_t>(weight.dtype())).number(weight.dims().size());
    for (const int64_t dim : weight.dims()) key.number(static_cast<uint64_t>(dim));
    return terms_.id(key);
  }

  bool is_telling(int32_t weight_class);
  Operand operand(size_t m, ValueId id, uint32_t slot);
  void collect_operands(size_t m, const Node& node, NodeFeatures& features);
  void describe(size_t m, const Node& node, NodeFeatures& features);
  void look_around(const Graph& graph);
  void sort_canonically();

  const std::vector<Model>& models_;
  const WeightClasses& classes_;
  const Numbering& numbering_;
  Interner terms_;
  share::OperatorEncoder encoder_;

  // Of the model at hand, nodes in the order of its graph.
  ModelFeatures result_;
  std::vector<uint32_t> position_of_;   // by node id
  std::vector<uint32_t> cone_content_;  // by position; kNone for nodes that are no cones
  std::vector<uint64_t> cone_bytes_;
  std::vector<char> cone_telling_;

  std::vector<std::optional<bool>> telling_;  // by weight class
};

bool Extractor::is_telling(int32_t weight_class) {
  const auto id = static_cast<size_t>(weight_class);
  if (telling_.size() <= id) telling_.resize(classes_.classes.size());
  if (!telling_[id]) {
    // One value repeated (zero biases, scales of one) says nothing; most others differ at once.
    const Weight& weight = *classes_.classes[id].weight;
    const auto bytes = weight.bytes();
    const size_t element = static_cast<size_t>(bit_width(weight.dtype())) / 8;
    const bool uniform = element > 0 && bytes.size() > element &&
                         std::memcmp(bytes.data(), bytes.data() + element, bytes.size() - element) == 0;
    const bool numbers = is_float(weight.dtype()) || is_quantised(weight.dtype());
    telling_[id] = !uniform && weight.byte_size() >= (numbers ? kTellingBytes : kTellingIntegerBytes);
  }
  return *telling_[id];
}

Operand Extractor::operand(size_t m, ValueId id, uint32_t slot) {
  const Value& value = models_[m].graph.value(id);
  Operand result{.slot = slot, .number = numbering_.of[m][index(id)]};
  if (value.is_constant()) {
    Key key('w');
    result.content = terms_.id(key.number(static_cast<uint64_t>(classes_.class_of[m][index(id)]))
                                   .number(constant_form(*value.weight)));
    result.bytes = value.weight->byte_size();
    result.telling = is_telling(classes_.class_of[m][index(id)]);
  } else if (value.producer == kNoNode) {
    result.source = input_form(value.type);
  } else {
    result.producer = position_of_[index(value.producer)];
    result.output = value.output;
    if (cone_content_[result.producer] != kNone) {
      result.content = terms_.id(Key('o').number(cone_content_[result.producer]).number(value.output));
      result.bytes = cone_bytes_[result.producer];
      result.telling = cone_telling_[result.producer] != 0;
    }
  }
  return result;
}

void Extractor::collect_operands(size_t m, const Node& node, NodeFeatures& features) {
  auto& operands = result_.operands;
  features.first_operand = static_cast<uint32_t>(operands.size());
  for (size_t slot = 0; slot < node.inputs.size(); ++slot)
    if (node.inputs[slot] != kNoValue)
      operands.push_back(operand(m, node.inputs[slot], static_cast<uint32_t>(slot)));
  // The order of captures means nothing.
  std::vector<Operand> captures;
  for (const Graph* body : node.subgraphs())
    for (const Capture& capture : body->captures()) captures.push_back(operand(m, capture.outer, 0));
  std::ranges::sort(captures, {}, [this](const Operand& o) {
    const uint32_t forward = o.producer == kNone ? kNone : result_.nodes[o.producer].forward;
    return std::tuple(forward, o.output, o.source, o.content, o.producer);
  });
  for (size_t i = 0; i < captures.size(); ++i) {
    captures[i].slot = kCaptureSlot + static_cast<uint32_t>(i);
    operands.push_back(captures[i]);
  }
  features.operand_count = static_cast<uint32_t>(operands.size()) - features.first_operand;
}

void Extractor::describe(size_t m, const Node& node, NodeFeatures& features) {
  const Graph& graph = models_[m].graph;
  const auto form_of = [&](ValueId id) {
    const Value& value = graph.value(id);
    return terms_.id(Key('f').number(value.is_constant() ? 1 : 0).number(type_form(value.type)));
  };
  std::vector<uint32_t> forms;
  for (const ValueId id : node.inputs) forms.push_back(id == kNoValue ? share::kAbsent : form_of(id));
  Key form('F');
  form.number(encoder_.encode(models_[m], node, forms, form_of)).number(node.outputs.size());
  for (const ValueId id : node.outputs)
    form.number(id == kNoValue ? 0 : type_form(graph.value(id).type) + uint64_t{1});
  features.form = terms_.id(form);

  Key signature('G');
  signature.number(features.form);
  for (const ValueId id : node.inputs)
    if (id != kNoValue && graph.value(id).is_constant())
      signature.number(constant_form(*graph.value(id).weight));
  features.signature = terms_.id(signature);

  Key forward('H');
  forward.number(features.signature);
  Key cone('D');
  cone.number(features.signature);
  features.cone = features.operand_count > 0 && share::is_deterministic(graph, node);
  uint64_t bytes = 0;
  bool telling = false;
  for (const Operand& operand :
       std::span(result_.operands).subspan(features.first_operand, features.operand_count)) {
    forward.number(operand.slot);
    if (operand.producer != kNone) {
      forward.number(1).number(result_.nodes[operand.producer].forward).number(operand.output);
      features.depth = std::max(features.depth, result_.nodes[operand.producer].depth + 1);
    } else if (operand.source != kNone) {
      forward.number(2).number(operand.source);
    }
    features.cone = features.cone && operand.content != kNone;
    cone.number(operand.slot).number(operand.content);
    bytes += operand.bytes;
    telling = telling || operand.telling;
    if (operand.content != kNone)
      features.content = mix(mix(features.content, operand.slot), operand.content);
  }
  features.forward = terms_.id(forward);
  cone_content_.push_back(features.cone ? terms_.id(cone) : kNone);
  cone_bytes_.push_back(bytes);
  cone_telling_.push_back(telling ? 1 : 0);
  for (const ValueId id : node.outputs) {
    if (id == kNoValue) continue;
    features.number = numbering_.of[m][index(id)];
    break;
  }
}

// Refines what each node sees of its surroundings, one step further in each round.
void Extractor::look_around(const Graph& graph) {
  auto& nodes = result_.nodes;
  result_.consumers.assign(nodes.size(), {});
  std::vector<std::vector<uint64_t>> uses(nodes.size());  // per consumer: which output, into which slot
  for (uint32_t n = 0; n < nodes.size(); ++n)
    for (const Operand& operand : result_.operands_of(n)) {
      if (operand.producer == kNone) continue;
      result_.consumers[operand.producer].push_back({n, operand.slot});
      uses[operand.producer].push_back(mix(operand.slot, operand.output));
    }
  std::vector<char> is_output(nodes.size());
  for (const ValueId id : graph.outputs())
    if (graph.value(id).producer != kNoNode) is_output[position_of_[index(graph.value(id).producer)]] = 1;

  std::vector<uint64_t> seen;
  const auto from_below = [&](uint32_t n, uint64_t own, auto&& of_consumer) {
    seen.clear();
    for (size_t i = 0; i < uses[n].size(); ++i)
      seen.push_back(mix(uses[n][i], of_consumer(result_.consumers[n][i].node)));
    std::ranges::sort(seen);
    uint64_t hash = mix(own, static_cast<uint64_t>(is_output[n]));
    for (const uint64_t h : seen) hash = mix(hash, h);
    return hash;
  };
  for (size_t round = 0; round < kRounds; ++round)
    for (uint32_t n = 0; n < nodes.size(); ++n) {
      const auto before = [&](const uint64_t(NodeFeatures::*view)[kRounds], uint32_t other) {
        return round == 0 ? uint64_t{nodes[other].form} : (nodes[other].*view)[round - 1];
      };
      nodes[n].down[round] = from_below(
          n, nodes[n].form, [&](uint32_t consumer) { return before(&NodeFeatures::down, consumer); });
      uint64_t up = nodes[n].form;
      for (const Operand& operand : result_.operands_of(n)) {
        up = mix(up, operand.slot);
        if (operand.producer != kNone) up = mix(up, before(&NodeFeatures::up, operand.producer));
      }
      nodes[n].up[round] = up;
    }
  for (auto n = static_cast<uint32_t>(nodes.size()); n-- > 0;)
    nodes[n].backward =
        from_below(n, nodes[n].signature, [&](uint32_t consumer) { return nodes[consumer].backward; });
}

void Extractor::sort_canonically() {
  const auto& nodes = result_.nodes;
  std::vector<uint32_t> order(nodes.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&](uint32_t n) {
    const NodeFeatures& f = nodes[n];
    return std::tuple(f.depth, f.signature, f.forward, f.role(), f.backward, n);
  });
  std::vector<uint32_t> position(nodes.size());
  for (uint32_t i = 0; i < order.size(); ++i) position[order[i]] = i;
  ModelFeatures sorted;
  sorted.operands.reserve(result_.operands.size());
  for (const uint32_t n : order) {
    sorted.nodes.push_back(nodes[n]);
    sorted.nodes.back().first_operand = static_cast<uint32_t>(sorted.operands.size());
    for (Operand operand : result_.operands_of(n)) {
      if (operand.producer != kNone) operand.producer = position[operand.producer];
      sorted.operands.push_back(operand);
    }
    sorted.consumers.push_back(std::move(result_.consumers[n]));
    for (Consumer& consumer : sorted.consumers.back()) consumer.node = position[consumer.node];
  }
  result_ = std::move(sorted);
}

ModelFeatures Extractor::extract(size_t m) {
  const Graph& graph = models_[m].graph;
  result_ = {};
  cone_content_.clear();
  cone_bytes_.clear();
  cone_telling_.clear();
  position_of_.assign(graph.node_count(), kNone);
  for (const NodeId id : graph.order()) {
    position_of_[index(id)] = static_cast<uint32_t>(result_.nodes.size());
    NodeFeatures features;
    features.id = id;
    collect_operands(m, graph.node(id), features);
    describe(m, graph.node(id), features);
    result_.nodes.push_back(features);
  }
  look_around(graph);
  sort_canonically();
  return std::move(result_);
}

}  // namespace

std::vector<ModelFeatures> extract_features(const std::vector<Model>& models, const WeightClasses& classes,
                                            const Numbering& numbering) {
  Extractor extractor(models, classes, numbering);
  std::vector<ModelFeatures> features;
  features.reserve(models.size());
  for (size_t m = 0; m < models.size(); ++m) features.push_back(extractor.extract(m));
  return features;
}

}  // namespace mts::alignment
