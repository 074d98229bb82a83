// Partly shared convolutions: models in the channels and in the batch, channel Concat and Split. Random
// graphs against the reference evaluator, and what the plans of the usual ones still copy.
#include "tests/exec/net.h"

#include <mts/executor.h>

#include <algorithm>
#include <random>
#include <utility>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

// What `mts stitch` emits for a region of M models: "folded" values [N, M*C, H, W] have them in the channels,
// "ragged" ones [M*N, C, H, W] in the batch.
class Region : public Net {
 public:
  Region(int64_t model_count, int64_t height, int64_t width)
      : models(model_count), height_(height), width_(width) {}

  ValueId exchange(ValueId x) {
    return node("Transpose", {x}, {{"perm", std::vector<int64_t>{1, 0, 2, 3, 4}}});
  }
  ValueId unfold(ValueId x, int64_t channels) {
    x = exchange(node("Reshape", {x, shape({-1, models, channels, height_, width_})}));
    return node("Reshape", {x, shape({-1, channels, height_, width_})});
  }
  ValueId fold(ValueId x, int64_t channels) {
    x = exchange(node("Reshape", {x, shape({models, -1, channels, height_, width_})}));
    return node("Reshape", {x, shape({-1, models * channels, height_, width_})});
  }
  ValueId shared(ValueId x, int64_t in, int64_t out, int64_t kernel = 3) { return conv(x, in, out, kernel); }
  ValueId own(ValueId x, int64_t in, int64_t out, int64_t kernel = 3) {
    return conv(x, models * in, models * out, kernel, models);
  }
  ValueId concat(std::vector<ValueId> parts) {
    return node("Concat", std::move(parts), {{"axis", int64_t{1}}});
  }

  // y_shared = Conv(x_shared, W) + Conv(x_own, A_m), y_own = Conv([x_shared x_own], [B_m C_m]); both with
  // Relu.
  std::pair<ValueId, ValueId> layer(std::pair<ValueId, ValueId> x, int64_t in, int64_t out,
                                    int64_t kernel = 3) {
    const ValueId added = unfold(own(x.second, in, out, kernel), out);
    const ValueId sum = node("Add", {shared(x.first, in, out, kernel), added});
    const ValueId both = fold(concat({x.first, unfold(x.second, in)}), 2 * in);
    return {node("Relu", {sum}), node("Relu", {own(both, 2 * in, out, kernel)})};
  }

  int64_t models;

 private:
  int64_t height_, width_;
};

size_t count(const ExecPlan& plan, const std::string& op) {
  size_t steps = 0;
  for (const Step& step : plan.steps) steps += step.kind != StepKind::kView && step.op == op ? 1 : 0;
  return steps;
}

size_t convolutions_of_parts(const ExecPlan& plan) {
  size_t steps = 0;
  for (const Step& step : plan.steps) steps += step.parts > 1 ? 1 : 0;
  return steps;
}

TEST(Views, PartlySharedLayersCopyNothing) {
  for (int64_t models : {2, 3}) {
    for (int64_t batch : {1, 2, 3}) {
      Region net(models, 16, 16);
      auto x = std::pair(net.shared(net.input({models * batch, 3, 16, 16}), 3, 16),
                         net.own(net.input({batch, models * 3, 16, 16}), 3, 16));
      x = net.layer(net.layer(x, 16, 16), 16, 16, 1);
      net.output(x.first);
      net.output(x.second);
      const ExecPlan plan = net.plan();
      EXPECT_EQ(count(plan, "Concat"), 0u) << to_string(plan);
      EXPECT_EQ(count(plan, "Transpose"), 0u) << to_string(plan);
      EXPECT_EQ(count(plan, "Elementwise"), 0u) << to_string(plan);
      EXPECT_EQ(count(plan, "Reorder"), 4u) << to_string(plan);  // two inputs, two outputs
      EXPECT_EQ(convolutions_of_parts(plan), 2u) << to_string(plan);
      net.check("models " + std::to_string(models) + " batch " + std::to_string(batch));
    }
  }
}

// Of few pixels: a copy takes less than launches more. The Concat stays, along the channels of each pixel.
TEST(Views, SmallConcatsAreCopied) {
  Region net(3, 4, 4);
  auto x = std::pair(net.shared(net.input({3, 3, 4, 4}), 3, 16), net.own(net.input({1, 9, 4, 4}), 3, 16));
  x = net.layer(x, 16, 16);
  net.output(x.first);
  net.output(x.second);
  const ExecPlan plan = net.plan();
  EXPECT_EQ(count(plan, "Concat"), 1u) << to_string(plan);
  EXPECT_EQ(count(plan, "Reorder"), 4u) << to_string(plan);
  net.check("small");
}

TEST(Views, UnevenPartsThatWouldWasteBlocksAreCopied) {
  Net net;
  const ValueId x = net.input({2, 8, 20, 20});
  const ValueId whole = net.node("Concat", {net.conv(x, 8, 12), net.conv(x, 8, 20)}, {{"axis", int64_t{1}}});
  net.output(net.conv(whole, 32, 16));
  EXPECT_EQ(convolutions_of_parts(net.plan()), 0u);
  net.check("12 + 20 channels fill three blocks of 16, 32 fill two");
}

// The whole is needed where anything but a convolution reads it.
TEST(Views, ConcatThatIsReadElsewhereStays) {
  for (int reader = 0; reader < 4; ++reader) {
    Net net;
    const ValueId x = net.input({1, 8, 24, 24});
    const ValueId a = net.conv(x, 8, 16), b = net.conv(x, 8, 32);
    const ValueId whole = net.node("Concat", {a, b, a}, {{"axis", int64_t{1}}});
    net.output(net.conv(whole, 64, 16, 1));
    net.output(a);
    if (reader == 1) net.output(whole);
    if (reader == 2) net.output(net.node("Softmax", {whole}, {{"axis", int64_t{-1}}}));
    if (reader == 3) net.output(net.node("Concat", {b, whole}, {{"axis", int64_t{1}}}));
    EXPECT_EQ(convolutions_of_parts(net.plan()), reader == 0 ? 1u : 0u) << to_string(net.plan());
    net.check("reader " + std::to_string(reader));
  }
}

// The channels of a model and the models the other way round are another order.
TEST(Views, AnotherExchangeIsNoMove) {
  for (int64_t batch : {1, 2}) {
    Net net;
    const ValueId x = net.conv(net.input({batch, 6, 5, 4}), 6, 6, 3, 3);
    const ValueId split = net.node("Reshape", {x, net.shape({-1, 2, 3, 5, 4})});  // 2 channels of 3
    const ValueId exchanged = net.node("Transpose", {split}, {{"perm", std::vector<int64_t>{2, 0, 1, 3, 4}}});
    net.output(net.conv(net.node("Reshape", {exchanged, net.shape({-1, 2, 5, 4})}), 2, 4));
    net.check("batch " + std::to_string(batch));
  }
}

// A value that would have to lie in two models-first layouts lies in none.
TEST(Views, TwoNumbersOfModels) {
  for (int64_t batch : {1, 2}) {
    Region two(2, 5, 4), pairs(4, 5, 4);
    Region& net = two;
    const ValueId x = net.conv(net.input({batch, 16, 5, 4}), 16, 16, 3, 4);
    net.output(net.conv(net.unfold(x, 8), 8, 3));
    net.models = 4;
    net.output(net.conv(net.unfold(x, 4), 4, 3));
    net.check("batch " + std::to_string(batch));
  }
}

// One image for all models, with filters of their own: dense in the graph, a launch a model here.
TEST(Views, FanOutMovesIntoTheBatch) {
  for (int64_t batch : {1, 3}) {
    Region net(3, 8, 8);
    const ValueId x = net.shared(net.input({batch, 4, 8, 8}), 4, 8);
    const ValueId fanned = net.node("Relu", {net.conv(x, 8, 3 * 5)});
    net.output(net.shared(net.unfold(fanned, 5), 5, 6));
    net.output(net.node("GlobalAveragePool", {fanned}));
    const ExecPlan plan = net.plan();
    EXPECT_EQ(count(plan, "Transpose"), 0u) << to_string(plan);
    net.check("batch " + std::to_string(batch));
  }
}

// Groups of 12 channels run one after another, whatever else reads and makes their region; of 16 all at once.
TEST(Views, NarrowGroupsLieModelsFirst) {
  for (int64_t channels : {12, 16}) {
    for (int64_t batch : {1, 2}) {
      const int64_t groups = 3, all = groups * channels;
      Net net;
      const ValueId first = net.conv(net.input({batch, groups * 3, 8, 8}), groups * 3, all, 3, groups);
      const ValueId second = net.conv(net.node("Relu", {first}), all, all, 3, groups);
      const ValueId sum = net.node("Relu", {net.node("Add", {first, second})});
      const ValueId pooled = net.node("MaxPool", {sum}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
      net.output(net.conv(pooled, all, 8, 1));
      net.output(net.node("GlobalAveragePool", {sum}));
      const ExecPlan plan = net.plan();
      const auto lies_so = [&](const Step& step) {
        return step.kind == StepKind::kKernel && plan.value(step.outputs[0]).layout == groups;
      };
      EXPECT_EQ(std::ranges::any_of(plan.steps, lies_so), channels == 12) << to_string(plan);
      net.check(std::to_string(channels) + " channels, batch " + std::to_string(batch));
    }
  }
}

// Where models move already, their number decides.
TEST(Views, NarrowGroupsOfAnotherNumberFollowTheModels) {
  Region net(2, 8, 8);
  const ValueId x = net.conv(net.input({1, 48, 8, 8}), 48, 48, 3, 4);
  net.output(net.shared(net.unfold(x, 24), 24, 6));
  net.check("4 groups of 12 channels of 2 models");
}

// ---- sums

// The convolution that adds, and whether its output lies where the other addend did.
bool adds_in_place(const ExecPlan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(),
                     [&](const Step& step) { return exec::adds_in_place(plan, step); });
}

TEST(Views, ASumIsAddedInPlace) {
  for (int kernel : {1, 3}) {
    Net net;
    const ValueId x = net.input({2, 8, 9, 7}), y = net.conv(x, 8, 16, kernel);
    net.output(net.node("Relu", {net.node("Add", {net.conv(x, 8, 16, kernel), y})}));
    EXPECT_TRUE(adds_in_place(net.plan())) << to_string(net.plan());
    net.check("convolutions");
  }
  Net net;
  const ValueId x = net.input({2, 6, 8}), y = net.node("MatMul", {x, net.weight({8, 5})});
  net.output(net.node("Relu", {net.node("Add", {net.node("MatMul", {x, net.weight({8, 5})}), y})}));
  EXPECT_TRUE(adds_in_place(net.plan())) << to_string(net.plan());
  net.check("products");
}

// Whatever else needs the addend keeps it.
TEST(Views, AnAddendThatIsNeededStays) {
  for (int reader = 0; reader < 6; ++reader) {
    Net net;
    const ValueId x = net.input({1, 8, 9, 7}), y = net.conv(x, 8, 8);
    ValueId other = net.conv(x, 8, 8);
    if (reader == 0) other = net.conv(y, 8, 8);  // the convolution reads what it adds to
    if (reader == 1) net.output(y);
    ValueId sum = net.node("Add", {other, y});
    if (reader == 2) sum = net.node("Mul", {sum, y});
    if (reader == 3) net.output(net.node("MaxPool", {y}, {{"kernel_shape", std::vector<int64_t>{2, 2}}}));
    if (reader == 4) net.output(net.node("Reshape", {y, net.shape({8, 63})}));
    if (reader == 5) sum = net.node("Concat", {sum, y}, {{"axis", int64_t{0}}});
    net.output(sum);
    EXPECT_FALSE(adds_in_place(net.plan())) << reader << "\n" << to_string(net.plan());
    net.check("reader " + std::to_string(reader));
  }
}

// ---- random regions

struct Image {
  ValueId value;
  int64_t channels;  // a model
  bool folded;
};

// Layers over images that are folded or ragged, of uneven widths; every third image is an output, too.
Region random_region(unsigned seed, int64_t batch, bool symbolic) {
  std::mt19937 random(seed);
  const auto pick = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  constexpr int64_t kWidths[] = {1, 2, 3, 5, 8, 12, 16, 20, 32};
  const int64_t height = 1 + pick(14), width = pick(8) == 0 ? 1 : 4 + pick(10);
  Region net(2 + pick(2), height, width);
  const auto any_width = [&] { return kWidths[static_cast<size_t>(pick(std::size(kWidths)))]; };
  std::vector<Image> images = {{net.input({batch, net.models * 3, height, width}, symbolic), 3, true},
                               {net.input({batch, net.models * 16, height, width}, symbolic), 16, true}};
  const int steps = 8 + static_cast<int>(pick(10));
  for (int step = 0; step < steps; ++step) {
    const Image x = images[static_cast<size_t>(pick(static_cast<int64_t>(images.size())))];
    std::vector<Image> alike;  // of the same channels and place, or of the same place only
    Image y = x;
    const int64_t kernel = pick(2) == 0 ? 1 : 3;
    switch (pick(10)) {
      case 0:
      case 1:
        y.channels = any_width();
        y.value = x.folded ? net.own(x.value, x.channels, y.channels, kernel)
                           : net.shared(x.value, x.channels, y.channels, kernel);
        break;
      case 2:
      case 3:
        y.folded = !x.folded;
        y.value = x.folded ? net.unfold(x.value, x.channels) : net.fold(x.value, x.channels);
        break;
      case 4:
        for (const Image& other : images) {
          if (other.folded == x.folded && other.channels == x.channels) alike.push_back(other);
        }
        y.value = net.node(
            "Add", {x.value, alike[static_cast<size_t>(pick(static_cast<int64_t>(alike.size())))].value});
        break;
      case 5:
      case 6: {
        // Ragged: the channels side by side in every model. Also of a value with itself.
        if (x.folded) continue;
        std::vector<ValueId> parts = {x.value};
        for (const Image& other : images) {
          if (!other.folded && parts.size() < 3 && pick(2) == 0) {
            parts.push_back(other.value);
            y.channels += other.channels;
          }
        }
        y.value = net.concat(parts);
        if (y.channels > 80) continue;
        break;
      }
      case 7: {
        if (x.channels < 2) continue;
        const int64_t first = 1 + pick(x.channels - 1);
        if (x.folded) {
          y.value = net.node(
              "MaxPool", {x.value},
              {{"kernel_shape", std::vector<int64_t>{3, 3}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
          break;
        }
        const std::vector<ValueId> parts =
            net.nodes("Split", {x.value, net.shape({first, x.channels - first})}, 2, {{"axis", int64_t{1}}});
        images.push_back({parts[0], first, false});
        y = {parts[1], x.channels - first, false};
        break;
      }
      case 8: {
        // A Concat that only a convolution reads, shared or the models' own.
        const ValueId ragged = x.folded ? net.unfold(x.value, x.channels) : x.value;
        const ValueId whole =
            net.concat({net.shared(ragged, x.channels, 16), net.shared(ragged, x.channels, 32, 1)});
        y.channels = any_width();
        y.value = y.folded ? net.own(net.fold(whole, 48), 48, y.channels, kernel)
                           : net.shared(whole, 48, y.channels, kernel);
        break;
      }
      default: {
        const int64_t wide = x.folded ? net.models * x.channels : x.channels;
        y.value = net.node("Relu", {net.node("Mul", {x.value, net.weight({wide, 1, 1})})});
      }
    }
    images.push_back(y);
    if (step % 3 == 0) net.output(y.value);
  }
  net.output(images.back().value);
  net.output(net.node("GlobalAveragePool", {images[images.size() - 2].value}));
  return net;
}

TEST(Views, RandomRegions) {
  size_t parts = 0, moves = 0;
  for (unsigned seed = 0; seed < 80; ++seed) {
    for (int64_t batch : {1, 2, 3}) {
      const Region net = random_region(seed, batch, false);
      const ExecPlan plan = net.plan();
      parts += convolutions_of_parts(plan);
      for (const Step& step : plan.steps) moves += step.op == "MoveModels" ? 1 : 0;
      net.check("seed " + std::to_string(seed) + " batch " + std::to_string(batch));
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(parts, 10u);  // or the property says nothing about them
  EXPECT_GT(moves, 100u);
}

// One session, its batch bound anew for every run.
TEST(Views, RandomRegionsBoundAnew) {
  for (unsigned seed = 100; seed < 120; ++seed) {
    const Region net = random_region(seed, 2, true);
    for (int threads : {1, 2}) {
      auto cpu = create_session(net.model, {.device = "cpu", .threads = threads});
      auto reference = create_session(net.model, {.device = "ref"});
      ASSERT_TRUE(cpu.has_value() && reference.has_value());
      for (int64_t batch : {2, 1, 3, 2}) {
        const Region again = random_region(seed, batch, true);
        const auto expected = (*reference)->run(again.inputs), actual = (*cpu)->run(again.inputs);
        ASSERT_TRUE(expected.has_value()) << expected.error().to_string();
        ASSERT_TRUE(actual.has_value()) << actual.error().to_string();
        for (size_t i = 0; i < expected->size(); ++i)
          expect_same((*expected)[i], (*actual)[i], "seed " + std::to_string(seed));
      }
    }
  }
}

}  // namespace
}  // namespace mts::exec
