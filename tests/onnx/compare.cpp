#include "tests/onnx/compare.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include <onnx/onnx_pb.h>

namespace mts::test {
namespace {

// A model as text, with everything that counts in it.
class Describer {
 public:
  std::string describe(const Model& m) {
    out_ << std::max<int64_t>(m.ir_version, 4) << '|' << m.producer_name << '|' << m.producer_version << '|'
         << m.domain << '|' << m.doc << '|' << m.model_version << '\n';
    for (const auto& [domain, version] : m.opsets) out_ << "opset " << domain << ' ' << version << '\n';
    describe(m.metadata);
    out_ << "extra " << m.extra << '\n';
    describe(m.graph, "");
    return out_.str();
  }

 private:
  void describe(const Metadata& metadata) {
    for (const auto& [key, value] : metadata) out_ << "  meta " << key << '=' << value << '\n';
  }
  void describe(const Weight& w) {
    out_ << name_of(w.dtype()) << '[';
    for (const int64_t d : w.dims()) out_ << d << ',';
    const Digest digest = w.digest();
    out_ << "] " << digest.low << ' ' << digest.high;
  }
  void value(const Graph& g, ValueId id) {
    if (id == kNoValue) {
      out_ << "-";
      return;
    }
    const Value& v = g.value(id);
    out_ << '\'' << v.name << "' " << to_string(v.type) << ' ' << v.type.encoded << ' ' << v.doc;
    if (v.weight) describe(*v.weight);
    describe(v.metadata);
    out_ << '\n';
  }
  void describe(const Graph& g, const std::string& indent) {
    out_ << indent << "graph " << g.name << '|' << g.doc << '|' << g.extra << '\n';
    describe(g.metadata);
    for (const ValueId id : g.inputs()) out_ << indent << " in ", value(g, id);
    for (const ValueId id : g.outputs()) out_ << indent << " out ", value(g, id);
    std::set<std::string> captures;
    for (const Capture& c : g.captures()) captures.insert(g.value(c.inner).name);
    for (const std::string& c : captures) out_ << indent << " capture " << c << '\n';
    for (const NodeId id : g.order()) {
      const Node& n = g.node(id);
      out_ << indent << n.label() << '|' << n.overload << '|' << n.doc << '|' << n.extra << '\n';
      describe(n.metadata);
      for (const ValueId v : n.inputs) out_ << indent << "  <- ", value(g, v);
      for (const ValueId v : n.outputs) out_ << indent << "  -> ", value(g, v);
      for (const Attribute& a : n.attributes) attribute(a, indent);
    }
  }
  void attribute(const Attribute& a, const std::string& indent) {
    out_ << indent << "  @" << a.name << ' ' << a.doc << ' ' << a.value.index() << ": ";
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, WeightPtr>) {
            describe(*v);
          } else if constexpr (std::is_same_v<T, std::vector<WeightPtr>>) {
            for (const auto& w : v) describe(*w);
          } else if constexpr (std::is_same_v<T, std::shared_ptr<Graph>>) {
            describe(*v, indent + "    ");
          } else if constexpr (std::is_same_v<T, std::vector<std::shared_ptr<Graph>>>) {
            for (const auto& g : v) describe(*g, indent + "    ");
          } else if constexpr (std::is_same_v<T, Encoded>) {
            out_ << v.attribute_proto;
          } else if constexpr (std::is_same_v<T, float>) {
            out_ << std::hexfloat << v << std::defaultfloat;
          } else if constexpr (std::is_same_v<T, std::vector<float>>) {
            for (const float f : v) out_ << std::hexfloat << f << std::defaultfloat << ' ';
          } else if constexpr (std::is_same_v<T, std::vector<int64_t>> ||
                               std::is_same_v<T, std::vector<std::string>>) {
            for (const auto& x : v) out_ << x << ';';
          } else {
            out_ << v;
          }
        },
        a.value);
    out_ << '\n';
  }

  std::ostringstream out_;
};

std::string first_different_line(const std::string& a, const std::string& b) {
  if (a == b) return {};
  std::istringstream left(a), right(b);
  std::string x, y;
  for (int line = 1;; ++line) {
    const bool more_x = static_cast<bool>(std::getline(left, x));
    const bool more_y = static_cast<bool>(std::getline(right, y));
    if (!more_x && !more_y) return "they differ";
    if (!more_x) x = "(end)";
    if (!more_y) y = "(end)";
    if (x != y)
      return "line " + std::to_string(line) + ":\n  " + x.substr(0, 500) + "\n  " + y.substr(0, 500);
  }
}

// Normal forms for proto_difference.

void to_raw(onnx::TensorProto& t) {
  std::string raw = t.raw_data();
  const auto append = [&raw](auto value, size_t size) {
    raw.append(reinterpret_cast<const char*>(&value), size);
  };
  using P = onnx::TensorProto;
  for (const float f : t.float_data()) append(f, 4);
  for (const double d : t.double_data()) append(d, 8);
  for (const int64_t i : t.int64_data()) append(i, 8);
  for (const uint64_t u : t.uint64_data()) append(u, t.data_type() == P::UINT32 ? 4 : 8);
  for (const int32_t i : t.int32_data()) {
    const auto type = t.data_type();
    const bool two = type == P::INT16 || type == P::UINT16 || type == P::FLOAT16 || type == P::BFLOAT16;
    append(i, type == P::INT32 ? 4 : two ? 2 : 1);
  }
  t.clear_float_data();
  t.clear_double_data();
  t.clear_int64_data();
  t.clear_uint64_data();
  t.clear_int32_data();
  t.clear_data_location();
  t.set_raw_data(raw);
}

void normalise(onnx::GraphProto& g);

void collect_uses(const onnx::GraphProto& g, std::set<std::string>& uses) {
  for (const auto& o : g.output()) uses.insert(o.name());
  for (const auto& n : g.node()) {
    uses.insert(n.input().begin(), n.input().end());
    for (const auto& a : n.attribute()) {
      collect_uses(a.g(), uses);
      for (const auto& s : a.graphs()) collect_uses(s, uses);
    }
  }
}

template <class Repeated>
void sort_by_name(Repeated& list) {
  std::sort(list.pointer_begin(), list.pointer_end(),
            [](const auto* a, const auto* b) { return a->name() < b->name(); });
}

void normalise(onnx::GraphProto& g) {
  std::set<std::string> uses, outputs, produced, initialized;
  collect_uses(g, uses);
  for (const auto& o : g.output()) outputs.insert(o.name());
  for (auto& n : *g.mutable_node()) {
    produced.insert(n.output().begin(), n.output().end());
    if (n.domain() == "ai.onnx" || n.domain().empty()) n.clear_domain();
    if (n.name().empty()) n.clear_name();
    if (n.doc_string().empty()) n.clear_doc_string();
    for (auto& a : *n.mutable_attribute()) {
      if (a.doc_string().empty()) a.clear_doc_string();
      if (a.has_g()) normalise(*a.mutable_g());
      for (auto& s : *a.mutable_graphs()) normalise(s);
      if (a.has_t()) {
        to_raw(*a.mutable_t());
        a.mutable_t()->clear_name();
        a.mutable_t()->clear_doc_string();
      }
    }
  }
  for (auto& t : *g.mutable_initializer()) {
    initialized.insert(t.name());
    to_raw(t);
    if (t.doc_string().empty()) t.clear_doc_string();
  }
  const auto drop = [](auto& list, const auto& condition) {
    list.erase(std::remove_if(list.begin(), list.end(), condition), list.end());
  };
  drop(*g.mutable_initializer(), [&](const auto& t) { return !uses.contains(t.name()); });
  drop(*g.mutable_input(), [&](const auto& i) { return initialized.contains(i.name()); });
  drop(*g.mutable_value_info(),
       [&](const auto& v) { return !produced.contains(v.name()) || outputs.contains(v.name()); });
  sort_by_name(*g.mutable_initializer());
  sort_by_name(*g.mutable_value_info());
  for (auto* list : {g.mutable_input(), g.mutable_output(), g.mutable_value_info()})
    for (auto& v : *list)
      if (v.doc_string().empty()) v.clear_doc_string();
  if (g.doc_string().empty()) g.clear_doc_string();
  if (g.name().empty()) g.set_name("graph");
}

void normalise(onnx::ModelProto& m) {
  m.clear_ir_version();
  for (auto& import : *m.mutable_opset_import())
    if (import.domain() == "ai.onnx" || import.domain().empty()) import.set_domain("");
  std::sort(m.mutable_opset_import()->pointer_begin(), m.mutable_opset_import()->pointer_end(),
            [](const auto* a, const auto* b) { return a->domain() < b->domain(); });
  if (m.producer_name().empty()) m.clear_producer_name();
  if (m.producer_version().empty()) m.clear_producer_version();
  if (m.domain().empty()) m.clear_domain();
  if (m.doc_string().empty()) m.clear_doc_string();
  if (m.model_version() == 0) m.clear_model_version();
  normalise(*m.mutable_graph());
}

}  // namespace

std::string difference(const Model& a, const Model& b) {
  return first_different_line(Describer().describe(a), Describer().describe(b));
}

std::string proto_difference(const std::string& a, const std::string& b) {
  onnx::ModelProto x, y;
  if (!x.ParseFromString(a) || !y.ParseFromString(b)) return "one cannot be parsed";
  normalise(x);
  normalise(y);
  if (x.SerializeAsString() == y.SerializeAsString()) return {};
  const auto& g = x.graph();
  const auto& h = y.graph();
  const auto first = [](const char* what, const auto& p, const auto& q) -> std::string {
    for (int i = 0; i < std::max(p.size(), q.size()); ++i) {
      const std::string left = i < p.size() ? p.Get(i).ShortDebugString() : "(none)";
      const std::string right = i < q.size() ? q.Get(i).ShortDebugString() : "(none)";
      if (left != right)
        return std::string(what) + " " + std::to_string(i) + ":\n  " + left.substr(0, 600) + "\n  " +
               right.substr(0, 600);
    }
    return {};
  };
  for (std::string d :
       {first("input", g.input(), h.input()), first("output", g.output(), h.output()),
        first("initializer", g.initializer(), h.initializer()), first("node", g.node(), h.node()),
        first("value_info", g.value_info(), h.value_info())})
    if (!d.empty()) return d;
  x.clear_graph();
  y.clear_graph();
  return "model:\n  " + x.ShortDebugString() + "\n  " + y.ShortDebugString() + "\n  graph name '" + g.name() +
         "' '" + h.name() + "'";
}

}  // namespace mts::test
