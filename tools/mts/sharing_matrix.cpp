#include "sharing_matrix.h"

#include "stages.h"
#include "terminal.h"

#include <mts/align.h>
#include <mts/canonicalise.h>
#include <mts/model_io.h>
#include <mts/share.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace mts::tool {
namespace {

using share::LayerSharing;
using Cell = LayerSharing::Cell;

constexpr size_t kDefaultWidth = 80;
constexpr size_t kLongestName = 16;
constexpr size_t kTotal = 7;     // "   94 %" at the end of a line
constexpr size_t kPercents = 4;  // columns of a cell with a number

// From nothing to all; what is neither is told apart in thirds.
constexpr std::array<const char*, 5> kShades = {"·", "░", "▒", "▓", "█"};
constexpr std::array<const char*, 5> kColours = {"38;5;244", "38;5;67", "38;5;73", "38;5;78", "38;5;83"};
constexpr std::array<const char*, 8> kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

double fraction(const Cell& cell) {
  return cell.bytes == 0 ? 0 : static_cast<double>(cell.shared) / static_cast<double>(cell.bytes);
}

size_t level(const Cell& cell) {
  if (cell.shared == 0) return 0;
  if (cell.shared >= cell.bytes) return kShades.size() - 1;
  return 1 + std::min<size_t>(2, static_cast<size_t>(3 * fraction(cell)));
}

// 100 only for all, 0 only for nothing.
int percent(const Cell& cell) {
  if (cell.shared == 0 || cell.bytes == 0) return 0;
  if (cell.shared >= cell.bytes) return 100;
  return std::clamp(static_cast<int>(100 * fraction(cell) + 0.5), 1, 99);
}

std::string repeat(const std::string& text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

// A column stands for neighbouring layers of one stage.
struct Column {
  std::vector<Cell> cells;  // [model]
  uint64_t bytes = 0;       // of all models
};

struct Group {  // the columns of one stage
  std::string label;
  std::vector<Column> columns;
};

std::vector<Group> fold(const std::vector<LayerSharing>& layers, const std::vector<Stage>& stages,
                        size_t at_most) {
  std::vector<Group> groups;
  for (const Stage& stage : stages) {
    Group& group = groups.emplace_back(Group{stage.label, {}});
    for (size_t i = 0; i < stage.count; ++i) {
      if (i % at_most == 0) group.columns.push_back({std::vector<Cell>(layers.front().cells.size()), 0});
      const LayerSharing& layer = layers[stage.first + i];
      Column& column = group.columns.back();
      for (size_t m = 0; m < layer.cells.size(); ++m) {
        column.cells[m].bytes += layer.cells[m].bytes;
        column.cells[m].shared += layer.cells[m].shared;
        column.bytes += layer.cells[m].bytes;
      }
    }
  }
  return groups;
}

size_t column_count(const std::vector<Group>& groups) {
  size_t count = 0;
  for (const Group& group : groups) count += group.columns.size();
  return count;
}

struct Layout {
  std::vector<Group> groups;
  size_t folded = 1;  // layers a column, at most
  size_t cell = 1;    // columns of the terminal a cell
  size_t gap = 1;     // between stages

  bool numbers() const { return cell == kPercents; }
};

Layout lay_out(const std::vector<LayerSharing>& layers, size_t room) {
  Layout layout;
  const std::vector<Stage> stages = stages_of(layers, std::max<size_t>(1, std::min<size_t>(12, room / 4)));
  for (layout.folded = 1;; ++layout.folded) {
    layout.groups = fold(layers, stages, layout.folded);
    const size_t columns = column_count(layout.groups);
    const size_t gaps = layout.groups.size() - 1;
    for (const size_t cell : {kPercents, size_t{2}, size_t{1}})
      if (columns * cell + gaps <= room) {
        layout.cell = cell;
        layout.gap = columns * cell + 2 * gaps <= room ? 2 : 1;
        return layout;
      }
    if (layout.folded >= layers.size())
      return layout;  // a column a stage: the terminal is narrower than that
  }
}

// The line over the columns: names of stages where all of them fit, else letters that the key below explains.
struct Heading {
  std::string line, key;
};

Heading heading(const Layout& layout, size_t indent, size_t width) {
  std::vector<size_t> widths;
  bool fits = true;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const bool last = g + 1 == layout.groups.size();
    widths.push_back(layout.groups[g].columns.size() * layout.cell + (last ? kTotal - 1 : layout.gap));
    fits = fits && display_width(layout.groups[g].label) < widths[g];
  }
  if (layout.groups.size() == 1 && layout.groups[0].label.empty()) return {};
  Heading result{std::string(indent, ' '), ""};
  std::string line(2, ' ');
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    const std::string letter(1, static_cast<char>('A' + g));
    result.line += fit(fits ? layout.groups[g].label : letter, widths[g]);
    const std::string entry = fmt::format("{} {}   ", letter, layout.groups[g].label);
    if (line.size() > 2 && display_width(line) + display_width(entry) > width + 3) {
      result.key += line + "\n";
      line = "  ";
    }
    line += entry;
  }
  result.key = fits ? "" : result.key + line + "\n";
  return result;
}

std::string cell_text(const Cell& cell, const Layout& layout, bool colour) {
  const size_t shade = level(cell);
  std::string text;
  if (cell.bytes == 0) {
    text = "";
  } else if (!layout.numbers()) {
    text = repeat(kShades[shade], layout.cell);
  } else {
    text = cell.shared == 0 ? "·" : fmt::format("{}", percent(cell));
  }
  text = layout.numbers() ? fit(text, layout.cell - 1, Table::Align::kRight) + " " : fit(text, layout.cell);
  return colour && cell.bytes > 0 ? fmt::format("\x1b[{}m{}\x1b[0m", kColours[shade], text) : text;
}

std::string sizes_line(const Layout& layout) {
  uint64_t largest = 1;
  for (const Group& group : layout.groups)
    for (const Column& column : group.columns) largest = std::max(largest, column.bytes);
  std::string line;
  for (const Group& group : layout.groups) {
    if (!line.empty()) line += std::string(layout.gap, ' ');
    for (const Column& column : group.columns) {
      const auto bar = std::min<uint64_t>(kBars.size() - 1, column.bytes * kBars.size() / largest);
      line +=
          layout.numbers() ? fmt::format(" {}{} ", kBars[bar], kBars[bar]) : repeat(kBars[bar], layout.cell);
    }
  }
  return line;
}

void trim(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

}  // namespace

Result<std::vector<LayerSharing>> layers_of(std::vector<Model> models) {
  MTS_TRY(canonicalise(models));
  for (Model& model : models) MTS_TRY(infer_types(model));
  const WeightClasses classes = classify_weights(models);
  const Alignment alignment = align(models, classes, number_values(models, classes, {}));
  std::vector<std::vector<NodeId>> sets;
  for (const AlignedSet& set : alignment.sets) sets.push_back(set.nodes);
  return share::layer_sharing(models, classes, sets);
}

std::string matrix_text(const std::vector<std::string>& models, const std::vector<LayerSharing>& layers,
                        size_t width, bool colour) {
  if (layers.empty()) return "";
  if (width == 0) width = kDefaultWidth;
  size_t name = 5;
  for (const std::string& model : models) name = std::max(name, std::min(display_width(model), kLongestName));
  const size_t indent = 2 + name + 2;
  const Layout layout = lay_out(layers, width > indent + kTotal + 8 ? width - indent - kTotal : 8);
  const Heading head = heading(layout, indent, width);

  std::string text = fmt::format("What part of each layer is in another model too{}:\n\n",
                                 layout.numbers() ? ", in percent" : "");
  const auto add = [&](std::string line) {
    trim(line);
    text += line + "\n";
  };
  if (!head.line.empty()) add(head.line);
  for (size_t m = 0; m < models.size(); ++m) {
    std::string line = "  " + fit(models[m], name) + "  ";
    Cell total;
    for (size_t g = 0; g < layout.groups.size(); ++g) {
      if (g > 0) line += std::string(layout.gap, ' ');
      for (const Column& column : layout.groups[g].columns) {
        line += cell_text(column.cells[m], layout, colour);
        total.bytes += column.cells[m].bytes;
        total.shared += column.cells[m].shared;
      }
    }
    add(line + fit(fmt::format("{} %", percent(total)), kTotal, Table::Align::kRight));
  }
  add("  " + fit("bytes", name) + "  " + sizes_line(layout));
  if (!head.key.empty()) {
    text += "\n";
    std::string rest = head.key;
    for (size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      add(rest.substr(0, end));
      rest.erase(0, end + 1);
    }
  }
  if (!layout.numbers()) text += "\n  · nothing   ░ ▒ ▓ parts   █ all\n";
  if (layout.folded > 1)
    text += fmt::format("  A column stands for up to {} of {} layers.\n", layout.folded, layers.size());
  return text;
}

nlohmann::ordered_json matrix_json(const std::vector<std::string>& models,
                                   const std::vector<LayerSharing>& layers) {
  auto json = nlohmann::ordered_json::array();
  for (const LayerSharing& layer : layers) {
    auto cells = nlohmann::ordered_json::array();
    for (size_t m = 0; m < models.size(); ++m)
      if (layer.cells[m].bytes > 0)
        cells.push_back(
            {{"model", models[m]}, {"bytes", layer.cells[m].bytes}, {"shared_bytes", layer.cells[m].shared}});
    json.push_back({{"name", layer.name}, {"op", layer.op_type}, {"models", cells}});
  }
  return json;
}

}  // namespace mts::tool
