// Every pair of placements x ranks x sizes, static and symbolic: assembled, converted and taken apart again,
// the members are what they were.
#include "stitch/relayout.h"

#include "ref/interpreter.h"
#include "stitch/bundles.h"
#include "tests/rules/values.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::compare;
using testing::random_tensor;

std::vector<Placement> placements_of(std::span<const Type> members) {
  std::vector<Placement> all;
  const auto rank = static_cast<int32_t>(members.front().rank());
  for (int32_t axis = 0; axis <= rank; ++axis)
    for (const Fold fold : {Fold::kConcat, Fold::kStacked, Fold::kInterleaved})
      if (placeable(members, {axis, fold})) all.push_back({axis, fold});
  return all;
}

// Letters of the shape are symbols.
Type type_with(const std::string& dims) {
  Shape shape;
  for (const char c : dims)
    shape.push_back(c >= '0' && c <= '9' ? Dim::known(c - '0') : Dim::symbolic(std::string(1, c)));
  return Type::tensor(DType::kFloat32, std::move(shape));
}

Dims bind(const Type& type, const std::map<std::string, int64_t>& sizes) {
  Dims dims;
  for (const Dim& dim : *type.shape) dims.push_back(dim.is_known() ? dim.value : sizes.at(dim.symbol));
  return dims;
}

std::vector<Datum> members_of(std::span<const Type> types, const std::map<std::string, int64_t>& sizes) {
  std::vector<Datum> data;
  for (size_t m = 0; m < types.size(); ++m)
    data.emplace_back(
        random_tensor(types[m].dtype, bind(types[m], sizes), -1, 1, static_cast<uint32_t>(m + 1)));
  return data;
}

const std::vector<std::map<std::string, int64_t>> kBindings{
    {{"N", 1}, {"S", 3}}, {{"N", 2}, {"S", 2}}, {{"N", 3}, {"S", 1}}, {{"N", 5}, {"S", 4}}};

// Assembled as `from`, converted to `to`, taken apart; returns how many nodes the conversion took.
size_t round_trip(const std::vector<Type>& types, Placement from, Placement to) {
  SCOPED_TRACE(to_string(types.front()) + " x" + std::to_string(types.size()) + " " + to_string(from) +
               " -> " + to_string(to));
  Graph graph;
  Builder builder(graph, 21);
  std::vector<ValueId> inputs;
  for (size_t m = 0; m < types.size(); ++m)
    inputs.push_back(graph.add_input("x" + std::to_string(m), types[m]));
  const ValueId whole = assemble(inputs, types, from, false, builder);
  EXPECT_EQ(to_string(graph.value(whole).type), to_string(fused_type(types, from)));
  const size_t before = graph.order().size();
  const ValueId converted = relayout(whole, types, from, to, builder);
  EXPECT_EQ(to_string(graph.value(converted).type), to_string(fused_type(types, to)));
  const size_t nodes = graph.order().size() - before;
  for (const ValueId part : extract(converted, types, to, builder)) graph.add_output(part);
  for (size_t m = 0; m < types.size(); ++m)
    EXPECT_EQ(to_string(graph.value(graph.outputs()[m]).type), to_string(types[m]));
  const auto sound = verify_ir(graph);
  EXPECT_TRUE(sound) << (sound ? "" : sound.error().to_string());
  for (const auto& sizes : kBindings) {
    const auto data = members_of(types, sizes);
    const auto result = interpret(graph, data, {.opset = 21, .opsets = {}, .run_subgraph = {}, .seed = 0});
    EXPECT_TRUE(result) << (result ? "" : result.error().to_string());
    if (!result) break;
    for (size_t m = 0; m < types.size(); ++m)
      EXPECT_EQ(compare(*(*result)[m].tensor(), *data[m].tensor(), 0), "") << "member " << m;
  }
  return nodes;
}

TEST(Relayout, EveryPairOfPlacements) {
  for (const char* dims : {"", "N", "1", "4", "N4", "14", "11", "NS", "N43", "NS4", "1S4", "N11", "N432",
                           "NS24", "N4S2", "1432", "N1S1"})
    for (const size_t count : {2u, 3u}) {
      const std::vector<Type> types(count, type_with(dims));
      const auto placements = placements_of(types);
      ASSERT_FALSE(placements.empty());
      for (const Placement from : placements)
        for (const Placement to : placements) {
          const size_t nodes = round_trip(types, from, to);
          switch (distance(types, from, to)) {
            case Distance::kSame:
              EXPECT_EQ(nodes, 0u);
              break;
            case Distance::kTranspose:
              EXPECT_LE(nodes, 3u + 10u);
              break;
            case Distance::kReshape:  // sizes may have to be computed: Shape, Gather, Mul or Div, Concat
              if (static_dims(types.front())) {
                EXPECT_LE(nodes, 1u);
              }
              break;
          }
          if (HasFailure()) return;
        }
    }
}

TEST(Relayout, BatchMajorMemoryIsOneReshape) {  // [N*M, C, *] is [N, M*C, *], also with a dynamic batch
  const std::vector<Type> types(3, type_with("N4S2"));
  const Placement folded{1, Fold::kInterleaved}, features{1, Fold::kConcat};
  for (const Placement from : {folded, features})
    for (const Placement to : {folded, features}) {
      EXPECT_EQ(distance(types, from, to), from == to ? Distance::kSame : Distance::kReshape);
      EXPECT_EQ(round_trip(types, from, to), from == to ? 0u : 1u);
    }
}

TEST(Relayout, MembersOfDifferentSizes) {
  for (const auto& shapes : {std::vector<std::string>{"14", "34", "24"}, {"1432", "5432"}, {"4S1", "2S1"}}) {
    std::vector<Type> types;
    for (const std::string& shape : shapes) types.push_back(type_with(shape));
    EXPECT_EQ(placements_of(types), std::vector<Placement>({{0, Fold::kConcat}}));
    round_trip(types, {0, Fold::kConcat}, {0, Fold::kConcat});
  }
  std::vector<Type> widths{type_with("N4S"), type_with("N2S")};
  EXPECT_EQ(placements_of(widths), std::vector<Placement>({{1, Fold::kConcat}}));
  round_trip(widths, {1, Fold::kConcat}, {1, Fold::kConcat});
}

TEST(Relayout, NothingIsPlaceableThatCannotBeTakenApart) {
  // Sizes that may differ at run time can be told apart only when inputs have them.
  std::vector<Type> symbols{type_with("N4"), type_with("S4")};
  EXPECT_EQ(placements_of(symbols), std::vector<Placement>({{0, Fold::kConcat}}));
  (*symbols[1].shape)[0].symbol = "?S";
  EXPECT_TRUE(placements_of(symbols).empty());
  std::vector<Type> mixed{type_with("N4"), type_with("24")};
  EXPECT_EQ(placements_of(mixed), std::vector<Placement>({{0, Fold::kConcat}}));
  (*mixed[0].shape)[0].symbol = "?N";
  EXPECT_TRUE(placements_of(mixed).empty());
  const std::vector<Type> ranks{type_with("N4"), type_with("N44")};
  EXPECT_TRUE(placements_of(ranks).empty());
  const std::vector<Type> empty(2, type_with("N04"));
  EXPECT_TRUE(placements_of(empty).empty());
  const std::vector<Type> unknown(2, Type::tensor(DType::kFloat32, {Dim::unknown(), Dim::known(4)}));
  EXPECT_TRUE(placements_of(unknown).empty());
}

TEST(Relayout, RepeatsForEveryMember) {
  for (const char* dims : {"", "N", "N4", "1S4", "N4S2"}) {
    const Type type = type_with(dims);
    const std::vector<Type> types(3, type);
    for (const Placement to : placements_of(types)) {
      SCOPED_TRACE(to_string(type) + " " + to_string(to));
      Graph graph;
      Builder builder(graph, 21);
      const ValueId wide = repeat(graph.add_input("x", type), type, 3, to, builder);
      EXPECT_EQ(to_string(graph.value(wide).type), to_string(fused_type(types, to)));
      for (const ValueId part : extract(wide, types, to, builder)) graph.add_output(part);
      for (const auto& sizes : kBindings) {
        const auto data = members_of({&type, 1}, sizes);
        const auto result =
            interpret(graph, data, {.opset = 21, .opsets = {}, .run_subgraph = {}, .seed = 0});
        ASSERT_TRUE(result) << result.error().to_string();
        for (const Datum& part : *result) EXPECT_EQ(compare(*part.tensor(), *data.front().tensor(), 0), "");
      }
    }
  }
}

TEST(Relayout, ConstantsArePutTogetherOffline) {
  Graph graph;
  Builder builder(graph, 21);
  std::vector<ValueId> parts;
  for (const float value : {1.0F, 2.0F})
    parts.push_back(builder.constant(Weight::floats(std::vector(6, value), {2, 3})));
  const std::vector<Type> types(2, graph.value(parts[0]).type);
  for (const Placement to : placements_of(types)) {
    if (distance(types, {to.axis, Fold::kConcat}, to) == Distance::kTranspose) continue;
    const ValueId whole = assemble(parts, types, to, false, builder);
    EXPECT_TRUE(graph.value(whole).is_constant()) << to_string(to);
  }
  EXPECT_TRUE(graph.order().empty());
  const ValueId at_run_time = assemble(parts, types, {0, Fold::kConcat}, true, builder);
  EXPECT_FALSE(graph.value(at_run_time).is_constant());
}

TEST(Bundles, ConvertAtMostOnce) {
  const std::vector<Type> types(2, type_with("N4S"));
  for (const Placement from : placements_of(types))
    for (const Placement to : placements_of(types)) {
      Program program;
      program.types.resize(types.size());
      std::ranges::copy(types, program.types.begin());
      program.weights.resize(2);
      program.sources.resize(2);
      program.use_counts.resize(2, 1);
      Graph graph;
      Builder builder(graph, 21);
      Bundles bundles(program, false, builder);
      const ValueId whole = graph.add_input("x", fused_type(types, from));
      bundles.add({0, 1}, from, whole);
      const ValueId there = bundles.fused({0, 1}, to);
      const size_t nodes = graph.order().size();
      if (from == to) {
        EXPECT_EQ(nodes, 0u);
      }
      EXPECT_EQ(bundles.fused({0, 1}, from), whole) << "the way back is no conversion";
      EXPECT_EQ(bundles.fused({0, 1}, to), there);
      EXPECT_EQ(graph.order().size(), nodes);
      bundles.single(0);
      const size_t with_parts = graph.order().size();
      bundles.single(1);
      EXPECT_EQ(graph.order().size(), with_parts) << "one Split hands out all members";
    }
}

}  // namespace
}  // namespace mts
