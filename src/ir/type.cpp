#include "ir/number.h"

#include <mts/graph.h>

namespace mts {

std::string to_string(const Type& type) {
  if (type.kind == Type::Kind::kUnknown) return "unknown";
  if (type.kind == Type::Kind::kOther) return "non-tensor";
  std::string text(name_of(type.dtype));
  if (!type.shape) return text + "[...]";
  text += '[';
  for (size_t i = 0; i < type.shape->size(); ++i) {
    const Dim& dim = (*type.shape)[i];
    if (i > 0) text += ',';
    text += dim.is_known() ? std::to_string(dim.value) : dim.is_symbolic() ? dim.symbol : "?";
  }
  return text + ']';
}

std::optional<Dims> static_dims(const Type& type) {
  if (!type.has_rank()) return std::nullopt;
  Dims dims;
  for (const Dim& dim : *type.shape) {
    if (!dim.is_known()) return std::nullopt;
    dims.push_back(dim.value);
  }
  return dims;
}

int64_t Model::opset() const {
  const auto it = opsets.find("");
  return it == opsets.end() ? 0 : it->second;
}

Model Model::clone() const {
  Model copy;
  copy.name = name;
  copy.path = path;
  copy.ir_version = ir_version;
  copy.opsets = opsets;
  copy.producer_name = producer_name;
  copy.producer_version = producer_version;
  copy.domain = domain;
  copy.doc = doc;
  copy.model_version = model_version;
  copy.metadata = metadata;
  copy.extra = extra;
  copy.graph = std::move(*graph.clone());
  return copy;
}

}  // namespace mts
