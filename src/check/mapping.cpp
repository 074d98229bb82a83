#include "check/mapping.h"

#include <mts/model_io.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace mts::check {
namespace {

std::set<std::string> names_of(const Graph& graph, const std::vector<ValueId>& values) {
  std::set<std::string> names;
  for (const ValueId value : values) names.insert(graph.value(value).name);
  return names;
}

Result<ModelEntry> entry_by_name(const Model& fused, const Model& original) {
  const std::set<std::string> inputs = names_of(fused.graph, fused.graph.inputs());
  const std::set<std::string> outputs = names_of(fused.graph, fused.graph.outputs());
  ModelEntry entry;
  entry.name = original.name;
  const Graph& graph = original.graph;
  for (const ValueId value : graph.inputs()) {
    const std::string& name = graph.value(value).name;
    const std::string own = fmt::format("{}/{}", original.name, name);
    if (inputs.contains(own)) {
      entry.inputs[name] = own;
    } else if (inputs.contains(name)) {
      entry.inputs[name] = name;
    } else {
      return fail(ErrorCode::kUsage, fmt::format("has no input '{}' for model '{}'", own, original.name),
                  {fused.path, {}, {}});
    }
  }
  for (const ValueId value : graph.outputs()) {
    const std::string& name = graph.value(value).name;
    entry.outputs[name] = fmt::format("{}/{}", original.name, name);
    if (!outputs.contains(entry.outputs[name])) {
      return fail(ErrorCode::kUsage, fmt::format("has no output '{}'", entry.outputs[name]),
                  {fused.path, {}, {}});
    }
  }
  return entry;
}

Result<void> check_entry(const Model& fused, const Model& original, const ModelEntry& entry) {
  const auto check = [&](const std::vector<ValueId>& own, const std::vector<ValueId>& theirs,
                         const std::map<std::string, std::string>& mapping,
                         const char* what) -> Result<void> {
    const std::set<std::string> present = names_of(fused.graph, theirs);
    for (const ValueId value : own) {
      const std::string& name = original.graph.value(value).name;
      const auto mapped = mapping.find(name);
      if (mapped == mapping.end()) {
        return fail(ErrorCode::kModel,
                    fmt::format("its metadata does not name the {} of model '{}'", what, original.name),
                    {fused.path, {}, name});
      }
      if (!present.contains(mapped->second)) {
        return fail(
            ErrorCode::kModel,
            fmt::format("the {} that stands for '{}' of model '{}' is not there", what, name, original.name),
            {fused.path, {}, mapped->second});
      }
    }
    return {};
  };
  MTS_TRY(check(original.graph.inputs(), fused.graph.inputs(), entry.inputs, "input"));
  return check(original.graph.outputs(), fused.graph.outputs(), entry.outputs, "output");
}

}  // namespace

const std::string* find_metadata(const Metadata& metadata, std::string_view key) {
  const auto found =
      std::ranges::find(metadata, key, [](const auto& entry) { return std::string_view(entry.first); });
  return found != metadata.end() ? &found->second : nullptr;
}

Result<std::vector<ModelEntry>> entries_of(const Model& fused) {
  const std::string* const text = find_metadata(fused.metadata, "mts.models");
  std::vector<ModelEntry> entries;
  if (text == nullptr) return entries;
  try {
    for (const nlohmann::json& item : nlohmann::json::parse(*text)) {
      ModelEntry entry;
      entry.name = item.at("name");
      entry.position = entries.size();
      entry.sha256 = item.value("sha256", "");
      entry.inputs = item.at("inputs").get<std::map<std::string, std::string>>();
      entry.outputs = item.at("outputs").get<std::map<std::string, std::string>>();
      entry.nodes = item.value("nodes", int64_t{0});
      entry.weight_bytes = item.value("weight_bytes", uint64_t{0});
      entries.push_back(std::move(entry));
    }
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kModel, fmt::format("malformed metadata mts.models: {}", error.what()),
                {fused.path, {}, {}});
  }
  return entries;
}

Result<std::vector<ModelEntry>> match(const Model& fused, const std::vector<Model>& originals) {
  MTS_ASSIGN(const std::vector<ModelEntry> entries, entries_of(fused));
  std::vector<ModelEntry> matched;
  if (entries.empty()) {
    for (const Model& original : originals) {
      MTS_ASSIGN(ModelEntry entry, entry_by_name(fused, original));
      entry.position = matched.size();
      matched.push_back(std::move(entry));
    }
    return matched;
  }
  std::vector<bool> taken(entries.size());
  for (const Model& original : originals) {
    const std::string digest =
        original.path.empty() ? "" : sha256_of_file(original.path).value_or(std::string());
    const auto find = [&](auto fits) {
      size_t place = 0;
      while (place < entries.size() && (taken[place] || !fits(entries[place]))) ++place;
      return place;
    };
    const auto named = [&](const ModelEntry& entry) { return entry.name == original.name; };
    const auto same = [&](const ModelEntry& entry) { return !digest.empty() && entry.sha256 == digest; };
    size_t at = find([&](const ModelEntry& entry) { return named(entry) && same(entry); });
    if (at == entries.size()) at = find(same);
    if (at == entries.size()) at = find(named);
    if (at == entries.size()) {
      std::vector<std::string> names;
      for (const ModelEntry& entry : entries) names.push_back(entry.name);
      return fail(ErrorCode::kUsage,
                  fmt::format("holds no model '{}', only {}; give the originals as NAME=PATH", original.name,
                              fmt::join(names, ", ")),
                  {fused.path, {}, {}});
    }
    taken[at] = true;
    MTS_TRY(check_entry(fused, original, entries[at]));
    matched.push_back(entries[at]);
    matched.back().given_sha256 = digest;
  }
  const auto missing = std::ranges::find(taken, false);
  if (missing != taken.end()) {
    return fail(ErrorCode::kUsage,
                fmt::format("also holds model '{}'; give all of its originals",
                            entries[static_cast<size_t>(missing - taken.begin())].name),
                {fused.path, {}, {}});
  }
  return matched;
}

}  // namespace mts::check
