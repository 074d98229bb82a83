// Which channels values have, and what nodes do to them.
#include "partial/channels.h"

#include <mts/model_io.h>

#include <gtest/gtest.h>

namespace mts::partial {
namespace {

struct Parsed {
  Model model;
  Channels channels;

  ValueId value(const std::string& name) const {
    for (uint32_t v = 0; v < model.graph.value_count(); ++v)
      if (model.graph.value(ValueId{v}).name == name) return ValueId{v};
    ADD_FAILURE() << "no value " << name;
    return kNoValue;
  }
  const std::optional<Tracked>& tracked(const std::string& name) const {
    return channels.tracked[index(value(name))];
  }
  NodeRole::Kind kind(const std::string& output) const {
    return channels.roles[index(model.graph.value(value(output)).producer)].kind;
  }
};

Parsed parse(const std::string& body) {
  auto model = parse_text("<ir_version: 8, opset_import: [\"\" : 17]>\n" + body);
  EXPECT_TRUE(model) << model.error().to_string();
  EXPECT_TRUE(infer_types(*model));
  Parsed parsed{std::move(*model), {}};
  parsed.channels = find_channels(parsed.model);
  return parsed;
}

TEST(Channels, AFlattenedMapGivesEveryChannelItsPlaces) {
  const Parsed p = parse(
      "g (float[N, 1, 2, 3] x) => (float[N, 2] y) <float[2, 1, 1, 1] w = {1, 2}, float[2, 12] v = {1, 2, 3, "
      "4, 5, 6, 7, "
      "8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13}>\n"
      "{ c = Conv(x, w) \n f = Flatten <axis = 1> (c) \n y = Gemm <transB = 1> (f, v) }");
  EXPECT_EQ(p.kind("c"), NodeRole::Kind::kLayer);
  ASSERT_TRUE(p.tracked("c"));
  EXPECT_EQ(p.tracked("c")->unit, 1);
  ASSERT_EQ(p.tracked("c")->channels.size(), 2u);
  ASSERT_TRUE(p.tracked("f"));
  EXPECT_EQ(p.tracked("f")->unit, 6);
  EXPECT_EQ(p.tracked("f")->channels, p.tracked("c")->channels);
}

TEST(Channels, BothOperandsOfAnAddAreTied) {
  const Parsed p = parse(
      "g (float[N, 1, 4] x) => (float[N, 2, 4] y) <float[2, 1, 1] w = {1, 2}, float[2, 1, 1] v = {3, 4}>\n"
      "{ a = Conv(x, w) \n b = Conv(x, v) \n y = Add(a, b) }");
  ASSERT_TRUE(p.tracked("a") && p.tracked("b"));
  for (size_t i = 0; i < 2; ++i)
    EXPECT_EQ(p.channels.root(p.tracked("a")->channels[i]), p.channels.root(p.tracked("b")->channels[i]));
}

TEST(Channels, HeadsMakeTheirColumnsMoveTogether) {
  const Parsed p = parse(
      "g (float[N, 3, 2] x) => (float[N, 3, 2, 2] y) <float[2, 4] w = {1, 2, 3, 4, 5, 6, 7, 8}, int64[4] s = "
      "{0, 0, 2, "
      "2}>\n{ m = MatMul(x, w) \n y = Reshape(m, s) }");
  ASSERT_TRUE(p.tracked("m") && p.tracked("y"));
  EXPECT_EQ(p.tracked("m")->unit, 2);
  EXPECT_EQ(p.tracked("y")->unit, 1);
  EXPECT_EQ(p.tracked("y")->axis, 2u);
}

TEST(Channels, AWeightThatIsReadTwiceIsLeftAlone) {
  const Parsed p = parse(
      "g (float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 2, 3, 4}>\n{ a = MatMul(x, w) \n y = "
      "MatMul(a, w) }");
  EXPECT_EQ(p.kind("a"), NodeRole::Kind::kOpaque);
  EXPECT_EQ(p.kind("y"), NodeRole::Kind::kOpaque);
}

TEST(Channels, OperatorsThatMixAreOpaqueOrWhole) {
  const Parsed p = parse(
      "g (float[N, 1, 4] x) => (float[N, 2, 4] y) <float[2, 1, 1] w = {1, 2}>\n"
      "{ a = Conv(x, w) \n b = Softmax <axis = 1> (a) \n y = LRN <size = 3> (b) }");
  EXPECT_EQ(p.kind("b"), NodeRole::Kind::kWhole);
  EXPECT_EQ(p.kind("y"), NodeRole::Kind::kOpaque);
}

}  // namespace
}  // namespace mts::partial
