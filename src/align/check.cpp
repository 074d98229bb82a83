#include "align/check.h"

#include <string>

namespace mts::alignment {
namespace {

bool same_kind(const Type& a, const Type& b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.has_rank() == b.has_rank() &&
         (!a.has_rank() || a.rank() == b.rank()) && a.encoded == b.encoded;
}

bool compatible(const Graph& a, const Node& x, const Graph& b, const Node& y) {
  if (x.op_type != y.op_type || x.domain != y.domain || x.outputs.size() != y.outputs.size()) return false;
  for (size_t i = 0; i < x.outputs.size(); ++i) {
    if ((x.outputs[i] == kNoValue) != (y.outputs[i] == kNoValue)) return false;
    if (x.outputs[i] != kNoValue && !same_kind(a.value(x.outputs[i]).type, b.value(y.outputs[i]).type))
      return false;
  }
  return true;
}

tl::unexpected<Error> wrong(const Model& model, const Node& node, const char* what) {
  return fail(ErrorCode::kInternal, std::string("the alignment is wrong: ") + what,
              {.file = model.name, .node = node.label(), .value = {}});
}

}  // namespace

Result<void> check_alignment(const std::vector<Model>& models, const Alignment& alignment) {
  for (const AlignedSet& set : alignment.sets) {
    if (set.nodes.size() != models.size())
      return fail(ErrorCode::kInternal, "the alignment is wrong: a set does not have one entry a model");
    size_t first = models.size();
    for (size_t m = 0; m < models.size(); ++m) {
      if (set.nodes[m] == kNoNode) continue;
      if (first == models.size()) first = m;
      const Graph &a = models[first].graph, &b = models[m].graph;
      if (!compatible(a, a.node(set.nodes[first]), b, b.node(set.nodes[m])))
        return wrong(models[m], b.node(set.nodes[m]), "members of a set differ");
    }
    if (first == models.size()) return fail(ErrorCode::kInternal, "the alignment is wrong: a set is empty");
  }
  for (size_t m = 0; m < models.size(); ++m) {
    const Graph& graph = models[m].graph;
    std::vector<char> placed(graph.node_count(), 0);
    size_t count = 0;
    for (const AlignedSet& set : alignment.sets) {
      const NodeId id = set.nodes[m];
      if (id == kNoNode) continue;
      const Node& node = graph.node(id);
      if (!graph.is_alive(id)) return wrong(models[m], node, "a dead node is in a set");
      if (placed[index(id)] != 0) return wrong(models[m], node, "a node is in two sets");
      const auto is_ready = [&](ValueId value) {
        return value == kNoValue || graph.value(value).producer == kNoNode ||
               placed[index(graph.value(value).producer)] != 0;
      };
      for (const ValueId input : node.inputs)
        if (!is_ready(input)) return wrong(models[m], node, "a node comes before its operand");
      for (const Graph* body : node.subgraphs())
        for (const Capture& capture : body->captures())
          if (!is_ready(capture.outer)) return wrong(models[m], node, "a node comes before what it captures");
      placed[index(id)] = 1;
      ++count;
    }
    if (count != graph.order().size())
      return fail(ErrorCode::kInternal, "the alignment is wrong: a node is in no set",
                  {.file = models[m].name, .node = {}, .value = {}});
  }
  return {};
}

}  // namespace mts::alignment
