#include "stages.h"

#include <algorithm>
#include <ranges>

namespace mts::tool {
namespace {

using Path = std::vector<std::string>;

Path split(const std::string& text, char separator) {
  Path parts;
  size_t begin = 0;
  for (size_t end = text.find(separator); end != std::string::npos; end = text.find(separator, begin)) {
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (begin < text.size()) parts.push_back(text.substr(begin));
  return parts;
}

// "layer1.0.conv1.weight" and "/layer1/layer1.0/conv1/Conv": layer1, 0, conv1. Exporters name weights after
// modules; where they made names up ("onnx::Conv_123"), the node's scope tells.
Path path_of(const share::LayerSharing& layer) {
  if (layer.weight.find('.') != std::string::npos && layer.weight.find("::") == std::string::npos &&
      layer.weight.find('/') == std::string::npos) {
    Path path = split(layer.weight, '.');
    path.pop_back();
    return path;
  }
  Path scopes = split(layer.name, '/');
  if (!scopes.empty() && scopes.back().starts_with(layer.op_type)) scopes.pop_back();
  Path path;
  for (size_t i = 0; i < scopes.size(); ++i) {
    const bool repeated = i + 1 < scopes.size() && scopes[i + 1].starts_with(scopes[i] + ".");
    if (repeated) continue;
    for (std::string& part : split(scopes[i], '.')) path.push_back(std::move(part));
  }
  return path;
}

bool begin_alike(const Path& a, const Path& b, size_t depth) {
  return std::ranges::equal(a | std::views::take(depth), b | std::views::take(depth));
}

std::string join(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ".") + part;
  return text;
}

std::vector<Stage> runs(const std::vector<Path>& paths, size_t depth) {
  std::vector<Stage> stages;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (i == 0 || !begin_alike(paths[i], paths[i - 1], depth))
      stages.push_back({join(std::span(paths[i]).first(std::min(depth, paths[i].size()))), i, 0});
    ++stages.back().count;
  }
  return stages;
}

// Parts that every label begins with say nothing.
void strip_common(std::vector<Stage>& stages) {
  while (stages.size() > 1) {
    const std::string head = stages.front().label.substr(0, stages.front().label.find('.') + 1);
    if (head.empty() || !std::ranges::all_of(stages, [&](const Stage& s) {
          return s.label.starts_with(head) && s.label.size() > head.size();
        }))
      return;
    for (Stage& stage : stages) stage.label.erase(0, head.size());
  }
}

}  // namespace

std::vector<Stage> stages_of(std::span<const share::LayerSharing> layers, size_t most) {
  std::vector<Path> paths;
  size_t deepest = 0;
  for (const share::LayerSharing& layer : layers) {
    paths.push_back(path_of(layer));
    deepest = std::max(deepest, paths.back().size());
  }
  std::vector<Stage> best = runs(paths, 0);
  for (size_t depth = 1; depth <= deepest; ++depth) {
    std::vector<Stage> finer = runs(paths, depth);
    if (finer.size() > most) break;
    best = std::move(finer);
  }
  strip_common(best);
  return best;
}

}  // namespace mts::tool
