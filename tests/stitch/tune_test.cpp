#include <mts/model_io.h>
#include <mts/stitch.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace mts {
namespace {

using ::testing::HasSubstr;

// Four models with a shared layer and one of their own.
std::vector<Model> models() {
  std::vector<Model> result;
  for (int m = 0; m < 4; ++m) {
    std::string own;
    for (int i = 0; i < 4; ++i) own += (i > 0 ? ", " : "") + std::to_string(10 * m + i + 5);
    auto model = parse_text(
        "<ir_version: 8, opset_import: [\"\" : 17]> g (float[N,2] x) => (float[N,2] y) "
        "<float[2,2] shared = {1, 2, 3, 4}, float[2,2] own = {" +
            own + "}> { h = MatMul (x, shared) k = MatMul (h, own) y = Relu (k) }",
        std::string(1, static_cast<char>('a' + m)));
    EXPECT_TRUE(model) << model.error().to_string();
    result.push_back(std::move(*model));
  }
  return result;
}

int64_t count(const Model& model, const char* op) {
  return std::ranges::count_if(model.graph.order(), [&](NodeId id) { return model.graph.node(id).is(op); });
}

// A device on which a model takes as long as its MatMuls are many, or few.
struct Device {
  explicit Device(bool likes_many) {
    tuner.device = likes_many ? "many" : "few";
    tuner.measure = [this, likes_many](std::span<const Model* const> measured, double,
                                       uint64_t) -> Result<std::vector<double>> {
      std::vector<double> seconds;
      for (const Model* model : measured) {
        const auto products = static_cast<double>(count(*model, "MatMul"));
        seconds.push_back(products == 0 ? 1 : likes_many ? 1 / products : products);
      }
      ++calls;
      return seconds;
    };
  }
  Tuner tuner;
  int calls = 0;
};

Stitched tuned(const Tuner& tuner) {
  StitchOptions options;
  options.tuner = &tuner;
  auto stitched = stitch(models(), options);
  EXPECT_TRUE(stitched) << stitched.error().to_string();
  return std::move(*stitched);
}

TEST(Tune, TakesWhatTheDeviceLikes) {
  const Device few(false), many(true);
  EXPECT_EQ(count(tuned(few.tuner).model, "MatMul"), 2);
  const Stitched apart = tuned(many.tuner);
  EXPECT_EQ(count(apart.model, "MatMul"), 8);
  ASSERT_GT(apart.report.measured.size(), 3U);
  EXPECT_EQ(apart.report.measured.back().latency_us, 1e6 / 8);
}

TEST(Tune, IsReplayedWithoutTheDevice) {
  const Device many(true);
  const Stitched first = tuned(many.tuner);
  StitchOptions options;
  options.plan = first.plan;
  const auto again = stitch(models(), options);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(to_bytes(again->model).value(), to_bytes(first.model).value());
}

TEST(Tune, ResultsAreCachedByDevice) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "tune_cache";
  std::filesystem::remove_all(folder);
  Device many(true), few(false);
  many.tuner.cache = few.tuner.cache = folder.string();
  tuned(many.tuner);
  const int calls = many.calls;
  EXPECT_GT(calls, 0);
  EXPECT_EQ(count(tuned(many.tuner).model, "MatMul"), 8);
  EXPECT_EQ(many.calls, calls) << "nothing is measured again";
  EXPECT_EQ(count(tuned(few.tuner).model, "MatMul"), 2) << "another device";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), 10);
  EXPECT_EQ(count(tuned(many.tuner).model, "MatMul"), 8);
  EXPECT_GT(many.calls, calls) << "a broken cache is measured anew";
}

// Layers by themselves have one kind of node only; whole plans have MatMul and Relu.
bool is_layer(const Model& model) { return count(model, "MatMul") == 0 || count(model, "Relu") == 0; }

TEST(Tune, LayersAreMeasuredOneByOne) {
  std::vector<std::pair<int64_t, std::string>> layers;  // products, and the shape of the first input
  Tuner tuner;
  tuner.device = "layers";
  tuner.measure = [&](std::span<const Model* const> measured, double,
                      uint64_t evicted) -> Result<std::vector<double>> {
    for (const Model* model : measured) {
      EXPECT_EQ(is_layer(*model), evicted > 0) << "other weights pass by before a layer runs";
      if (is_layer(*model) && count(*model, "MatMul") > 0)
        layers.emplace_back(count(*model, "MatMul"),
                            to_string(model->graph.value(model->graph.inputs()[0]).type));
    }
    return std::vector<double>(measured.size(), 1.0);
  };
  tuned(tuner);
  std::ranges::sort(layers);
  // The shared product and the others are one kind of layer: apart once, two and four as a batch, and as a
  // group.
  EXPECT_EQ(layers, (std::vector<std::pair<int64_t, std::string>>{{1, "float32[1,2]"},
                                                                  {1, "float32[2,1,2]"},
                                                                  {1, "float32[2,1,2]"},
                                                                  {1, "float32[4,1,2]"},
                                                                  {1, "float32[4,1,2]"}}));
}

// The device finds stitched layers slow by themselves, and all plans alike: the plan is that of the layers.
TEST(Tune, PlansAreProposedByWhatLayersTook) {
  Tuner tuner;
  tuner.device = "slow batches";
  tuner.measure = [](std::span<const Model* const> measured, double,
                     uint64_t) -> Result<std::vector<double>> {
    std::vector<double> seconds;
    for (const Model* model : measured) {
      const std::string first = to_string(model->graph.value(model->graph.inputs()[0]).type);
      seconds.push_back(is_layer(*model) && first != "float32[1,2]" ? 1.0 : 1e-6);
    }
    return seconds;
  };
  const Stitched stitched = tuned(tuner);
  const auto& measured = stitched.report.measured;
  const auto apart = std::ranges::find(measured, "apart", &StitchReport::Measured::plan);
  ASSERT_NE(apart, measured.end());
  const auto together = std::ranges::find(measured, "predicted", &StitchReport::Measured::plan);
  ASSERT_NE(together, measured.end());
  EXPECT_LT(together->predicted_us, apart->predicted_us);
  EXPECT_GT(together->by_layers_us, 100 * apart->by_layers_us);
}

TEST(Tune, EndsWithItsBudget) {
  double now = 0;
  int plans = 0, layers = 0;
  Tuner tuner;
  tuner.device = "slow";
  tuner.budget = 100;
  tuner.clock = [&] { return now; };
  tuner.measure = [&](std::span<const Model* const> measured, double seconds,
                      uint64_t) -> Result<std::vector<double>> {
    EXPECT_GT(seconds, 0);
    (is_layer(*measured.front()) ? layers : plans) += static_cast<int>(measured.size());
    now += 45;
    return std::vector<double>(measured.size(), 1.0);
  };
  tuned(tuner);
  EXPECT_EQ(layers, 5) << "one kind of layer is begun before the seconds for layers are gone";
  EXPECT_LT(plans, 20) << "two lots, and the finalists three times";
}

TEST(Tune, FiguresOfLayersAreKept) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "tune_layers";
  std::filesystem::remove_all(folder);
  Device few(false);
  few.tuner.cache = folder.string();
  int layers = 0;
  const auto measure = few.tuner.measure;
  few.tuner.measure = [&](std::span<const Model* const> measured, double seconds, uint64_t evicted) {
    for (const Model* model : measured) layers += is_layer(*model);
    return measure(measured, seconds, evicted);
  };
  const Stitched first = tuned(few.tuner);
  EXPECT_GT(layers, 0);
  layers = 0;
  // The plan is forgotten, its layers are not.
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) std::filesystem::remove(entry.path());
  const Stitched again = tuned(few.tuner);
  EXPECT_EQ(layers, 0);
  EXPECT_EQ(again.plan, first.plan) << "with all prices";
  EXPECT_EQ(tuned(few.tuner).plan, first.plan) << "from the cache, too";
  for (const auto& entry : std::filesystem::directory_iterator(folder / "layers"))
    std::filesystem::resize_file(entry.path(), 5);
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file()) std::filesystem::remove(entry.path());
  tuned(few.tuner);
  EXPECT_GT(layers, 0) << "what is broken is measured anew";
}

TEST(Tune, ThePlanExplainsItself) {
  const Device few(false);
  const Stitched stitched = tuned(few.tuner);
  const auto explained = explain_plan(stitched.plan, "p.json");
  ASSERT_TRUE(explained) << explained.error().to_string();
  ASSERT_FALSE(explained->regions.empty());
  const StitchReport::Region& region = explained->regions.front();
  EXPECT_EQ(region.first, "a:MatMul");
  EXPECT_TRUE(region.predicted_us.contains("apart"));
  EXPECT_TRUE(region.measured_us.contains("apart"));
  EXPECT_EQ(explained->measured.size(), stitched.report.measured.size());
  EXPECT_EQ(explained->predicted.peak_memory_bytes, stitched.report.predicted.peak_memory_bytes);
  const auto unexplained = explain_plan(stitch(models())->plan, "p.json");
  ASSERT_FALSE(unexplained);
  EXPECT_THAT(unexplained.error().message, HasSubstr("give the models too"));
}

TEST(Tune, ErrorsOfTheDeviceEndIt) {
  Tuner tuner;
  tuner.measure = [](std::span<const Model* const>, double, uint64_t) -> Result<std::vector<double>> {
    return fail(ErrorCode::kDevice, "it is gone");
  };
  StitchOptions options;
  options.tuner = &tuner;
  const auto stitched = stitch(models(), options);
  ASSERT_FALSE(stitched);
  EXPECT_EQ(stitched.error().code, ErrorCode::kDevice);
  EXPECT_THAT(stitched.error().message, HasSubstr("it is gone"));
}

}  // namespace
}  // namespace mts
