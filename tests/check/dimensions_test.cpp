#include "check/dimensions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::check {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Type floats(Shape shape) { return Type::tensor(DType::kFloat32, std::move(shape)); }
const Dim kN = Dim::symbolic("N");

TEST(Bind, PutsSizesInPlaceOfSymbols) {
  const Type type = floats({kN, Dim::known(3), Dim::unknown()});
  EXPECT_THAT(bind("x", type, {{"N", 4}, {"x:2", 7}}).value(), ElementsAre(4, 3, 7));
}

TEST(Bind, ComputesFormulas) {
  const Type type = floats({Dim::symbolic("past + 2*(N - 1)"), Dim::symbolic("past//2")});
  EXPECT_THAT(bind("x", type, {{"N", 4}, {"past", 5}}).value(), ElementsAre(11, 2));
  const NamedType inputs[] = {{"x", type}, {"y", floats({kN, Dim::symbolic("past")})}};
  EXPECT_THAT(symbols_of(inputs), ElementsAre("N", "past"));
  // What is not computable is a name like any other.
  EXPECT_THAT(symbols_of(std::span(inputs, 1)), ElementsAre("past + 2*(N - 1)", "past//2"));
}

TEST(Bind, SaysWhichFlagIsNeeded) {
  EXPECT_THAT(bind("x", floats({kN}), {}).error().message, HasSubstr("--dim 'N=1'"));
  EXPECT_THAT(bind("x", floats({Dim::unknown()}), {}).error().message, HasSubstr("--dim 'x:0=1'"));
  EXPECT_THAT(bind("x", Type::tensor(DType::kFloat32), {}).error().message, HasSubstr("--inputs"));
  EXPECT_EQ(bind("x", Type::tensor(DType::kFloat32), {}).error().where.value, "x");
}

TEST(ResolveDims, OneNameMeansTheDimensionsOfAllModels) {
  const std::vector<std::string> symbols = {"a/N", "b/N", "S"};
  EXPECT_EQ(resolve_dims({{"N", 4}}, symbols).value(), (Binding{{"a/N", 4}, {"b/N", 4}}));
  EXPECT_EQ(resolve_dims({{"N", 4}, {"b/N", 2}}, symbols).value(), (Binding{{"a/N", 4}, {"b/N", 2}}));
  EXPECT_EQ(resolve_dims({{"S", 3}}, symbols).value(), (Binding{{"S", 3}}));
  EXPECT_THAT(resolve_dims({{"T", 3}}, symbols).error().message, HasSubstr("there are: a/N, b/N, S"));
}

TEST(DefaultBindings, TrySeveralBatchSizesAndTheNumberOfModels) {
  const NamedType inputs[] = {{"x", floats({kN, Dim::known(3)})}};
  const auto bindings = default_bindings(inputs, 5, {});
  ASSERT_EQ(bindings.size(), 4u);
  std::vector<int64_t> sizes;
  for (const auto& alternatives : bindings) sizes.push_back(alternatives.front().at("N"));
  EXPECT_THAT(sizes, ElementsAre(1, 2, 3, 5));
}

TEST(DefaultBindings, GiveDifferentSymbolsDifferentSizesFirst) {
  const NamedType inputs[] = {{"x", floats({kN, Dim::symbolic("S"), Dim::symbolic("T")})},
                              {"y", floats({Dim::symbolic("M"), Dim::known(2), Dim::symbolic("H"), kN})}};
  for (const auto& alternatives : default_bindings(inputs, 2, {})) {
    ASSERT_GE(alternatives.size(), 2u);
    EXPECT_NE(alternatives[0].at("N"), alternatives[0].at("M"));
    EXPECT_NE(alternatives[0].at("S"), alternatives[0].at("T"));
    EXPECT_EQ(alternatives[1].at("N"), alternatives[1].at("M"));
    EXPECT_GE(alternatives[0].at("H"), 32);
  }
}

TEST(DefaultBindings, KeepWhatIsFixed) {
  const NamedType inputs[] = {{"x", floats({kN})}};
  const auto bindings = default_bindings(inputs, 5, {{"N", 7}});
  ASSERT_EQ(bindings.size(), 1u);
  EXPECT_EQ(bindings[0][0].at("N"), 7);
}

TEST(DefaultBindings, StaticModelsHaveOne) {
  const NamedType inputs[] = {{"x", floats({Dim::known(1)})}};
  const auto bindings = default_bindings(inputs, 5, {});
  ASSERT_EQ(bindings.size(), 1u);
  EXPECT_EQ(bindings[0].size(), 1u);
  EXPECT_TRUE(bindings[0][0].empty());
}

}  // namespace
}  // namespace mts::check
