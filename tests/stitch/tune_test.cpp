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
    tuner.measure = [this,
                     likes_many](std::span<const Model* const> measured) -> Result<std::vector<double>> {
      std::vector<double> seconds;
      for (const Model* model : measured) {
        const auto products = static_cast<double>(count(*model, "MatMul"));
        seconds.push_back(likes_many ? 1 / products : products);
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
    std::filesystem::resize_file(entry.path(), 10);
  EXPECT_EQ(count(tuned(many.tuner).model, "MatMul"), 8);
  EXPECT_GT(many.calls, calls) << "a broken cache is measured anew";
}

TEST(Tune, ErrorsOfTheDeviceEndIt) {
  Tuner tuner;
  tuner.measure = [](std::span<const Model* const>) -> Result<std::vector<double>> {
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
