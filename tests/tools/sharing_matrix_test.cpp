// The picture of what models share, drawn from made-up numbers.
#include "tools/mts/sharing_matrix.h"

#include "tools/mts/stages.h"
#include "tools/mts/terminal.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::tool {
namespace {

using share::LayerSharing;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

LayerSharing layer(const std::string& weight, std::vector<LayerSharing::Cell> cells) {
  return {.name = "/" + weight, .weight = weight, .op_type = "Conv", .cells = std::move(cells)};
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

// `stages` stages of `each` layers, all shared.
std::vector<LayerSharing> network(int stages, int each) {
  std::vector<LayerSharing> layers;
  for (int s = 0; s < stages; ++s)
    for (int i = 0; i < each; ++i)
      layers.push_back(layer("layer" + std::to_string(s) + ".conv" + std::to_string(i) + ".weight",
                             {{100, 100}, {100, 50}}));
  return layers;
}

TEST(SharingMatrix, FewLayersShowPercentagesUnderTheirNames) {
  const auto text =
      matrix_text({"day", "night"},
                  {layer("stem.weight", {{100, 100}, {100, 100}}),
                   layer("body.weight", {{400, 1}, {800, 600}}), layer("head.weight", {{100, 0}, {0, 0}})},
                  80, false);
  EXPECT_EQ(text,
            "What part of each layer is in another model too, in percent:\n"
            "\n"
            "         stem  body  head\n"
            "  day    100     1     ·    17 %\n"
            "  night  100    75          78 %\n"
            "  bytes   ▂▂    ██    ▁▁\n");
}

TEST(SharingMatrix, OnlyAllIsAHundredAndOnlyNothingIsNone) {
  const auto text =
      matrix_text({"a"}, {layer("x.weight", {{100000, 99999}}), layer("y.weight", {{100000, 1}})}, 80, false);
  EXPECT_THAT(text, HasSubstr("99     1"));
}

TEST(SharingMatrix, ManyLayersBecomeShades) {
  const auto text = matrix_text({"a", "b"}, network(4, 6), 80, false);
  EXPECT_THAT(text, HasSubstr("  a      ████████████  ████████████"));
  EXPECT_THAT(text, HasSubstr("  b      ▒▒▒▒▒▒▒▒▒▒▒▒  ▒▒▒▒▒▒▒▒▒▒▒▒"));
  EXPECT_THAT(text, HasSubstr("layer0        layer1"));
}

TEST(SharingMatrix, ShadesTellThirdsApart) {
  std::vector<LayerSharing> layers;
  for (const uint64_t shared : {0, 1, 40, 80, 120}) layers.push_back(layer("", {{120, shared}}));
  for (int i = 0; i < 20; ++i) layers.push_back(layer("", {{0, 0}}));
  EXPECT_THAT(matrix_text({"a"}, layers, 80, false), HasSubstr("··░░▒▒▓▓██  "));
}

TEST(SharingMatrix, TooManyLayersAreFoldedIntoColumns) {
  const auto text = matrix_text({"a", "b"}, network(4, 100), 80, false);
  EXPECT_THAT(text, HasSubstr("A column stands for up to 7 of 400 layers."));
}

TEST(SharingMatrix, NoLineIsWiderThanTheTerminal) {
  for (const size_t width : {60, 80, 120})
    for (const auto& layers : {network(2, 2), network(5, 8), network(12, 40), network(30, 3)})
      for (const auto& line :
           lines(matrix_text({"a", "a model of a rather long name"}, layers, width, false)))
        EXPECT_LE(display_width(line), width) << line;
}

TEST(SharingMatrix, PipesGetEightyColumnsAndNoColours) {
  const auto layers = network(5, 8);
  EXPECT_EQ(matrix_text({"a", "b"}, layers, 0, false), matrix_text({"a", "b"}, layers, 80, false));
  EXPECT_THAT(matrix_text({"a", "b"}, layers, 80, false), Not(HasSubstr("\x1b")));
  EXPECT_THAT(matrix_text({"a", "b"}, layers, 80, true), HasSubstr("\x1b[38;5;"));
}

TEST(SharingMatrix, NamesThatDoNotFitGoIntoAKey) {
  const auto text = matrix_text(
      {"a"}, {layer("embeddings.words.weight", {{4, 4}}), layer("a_very_long_name.weight", {{4, 4}})}, 80,
      false);
  EXPECT_THAT(text, HasSubstr("  A embeddings.words   B a_very_long_name\n"));
}

TEST(SharingMatrix, NothingToDraw) { EXPECT_EQ(matrix_text({"a"}, {}, 80, false), ""); }

TEST(SharingMatrix, JsonHasEveryLayer) {
  const auto json = matrix_json({"a", "b"}, {layer("x.weight", {{8, 4}, {0, 0}})});
  EXPECT_EQ(json.dump(),
            R"([{"name":"/x.weight","op":"Conv","models":[{"model":"a","bytes":8,"shared_bytes":4}]}])");
}

std::vector<std::string> labels(const std::vector<LayerSharing>& layers, size_t most) {
  std::vector<std::string> result;
  size_t covered = 0;
  for (const Stage& stage : stages_of(layers, most)) {
    EXPECT_EQ(stage.first, covered);
    covered += stage.count;
    result.push_back(stage.label);
  }
  EXPECT_EQ(covered, layers.size());
  return result;
}

TEST(Stages, AreAsFineAsTheLimitAllows) {
  const auto layers = network(2, 2);
  EXPECT_THAT(labels(layers, 4), ElementsAre("layer0.conv0", "layer0.conv1", "layer1.conv0", "layer1.conv1"));
  EXPECT_THAT(labels(layers, 3), ElementsAre("layer0", "layer1"));
  EXPECT_THAT(labels(layers, 1), ElementsAre(""));
}

TEST(Stages, ScopesOfNodesTellWhereWeightsHaveNoNames) {
  LayerSharing one = layer("onnx::Conv_1", {});
  one.name = "/layer1/layer1.0/conv1/Conv";
  LayerSharing two = layer("onnx::MatMul_2", {});
  two.name = "/head/MatMul";
  two.op_type = "MatMul";
  EXPECT_THAT(labels({one, two}, 9), ElementsAre("layer1.0.conv1", "head"));
}

TEST(Stages, WhatAllNamesBeginWithIsLeftOut) {
  EXPECT_THAT(labels({layer("net.a.weight", {}), layer("net.b.weight", {})}, 9), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace mts::tool
