// Activations of every bundled family, stitched for the CPU: blocks that are in use at the same time do not
// overlap, and the arena is at most 1.1 times what the busiest step has in use. MTS_ARENA_FIGURES=1 prints
// one line a plan.
#include "exec/memory.h"
#include "tests/exec/families.h"
#include "tests/exec/harness.h"

#include <mts/model_io.h>
#include <mts/stitch.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

Result<Model> stitched(const Json& entry) {
  std::vector<Model> models;
  for (const Json& path : entry["models"]) {
    const std::string file = "models/" + path.get<std::string>();
    MTS_ASSIGN(Model model, load_model(file, std::filesystem::path(file).stem().string()));
    models.push_back(std::move(model));
  }
  StitchOptions options;
  options.target = "cpu-avx512";
  for (const Json& name : entry["share_inputs"]) options.share_inputs.push_back(name.get<std::string>());
  MTS_ASSIGN(Stitched done, stitch(std::move(models), options));
  return std::move(done.model);
}

// The family's entry for inputs called "model/input".
Json with_models(const Json& entry) {
  Json result = entry;
  for (const Json& path : entry["models"]) {
    const std::string model = std::filesystem::path(path.get<std::string>()).stem().string();
    for (const auto& [input, range] : entry["ranges"].items()) result["ranges"][model + "/" + input] = range;
  }
  return result;
}

struct Arena : testing::TestWithParam<Family> {
  static std::vector<Root> roots_of(const ExecPlan& plan) {
    std::vector<Root> roots;
    for (const Root& root : plan.roots) {
      if (root.storage == Storage::kArena && root.bytes > 0) roots.push_back(root);
    }
    return roots;
  }
  static uint64_t bound_of(const std::vector<Root>& roots) {
    std::vector<Block> blocks;
    for (const Root& root : roots) blocks.push_back({root.bytes, root.first, root.last});
    return lower_bound(blocks);
  }
  static void expect_no_overlap(const std::vector<Root>& roots, uint64_t arena) {
    for (size_t i = 0; i < roots.size(); ++i) {
      EXPECT_LE(roots[i].offset + roots[i].bytes, arena);
      for (size_t j = 0; j < i; ++j) {
        if (roots[i].last < roots[j].first || roots[j].last < roots[i].first) continue;
        EXPECT_TRUE(roots[i].offset + roots[i].bytes <= roots[j].offset ||
                    roots[j].offset + roots[j].bytes <= roots[i].offset);
      }
    }
  }
};

TEST_P(Arena, IsNearTheLowerBound) {
  const Json entry = with_models(GetParam().entry);
  auto model = stitched(entry);
  ASSERT_TRUE(model.has_value()) << model.error().to_string();
  ASSERT_TRUE(model->graph.sort().has_value());
  size_t bindings = 1;
  for (const auto& [symbol, choices] : entry["dims"].items()) bindings = std::max(bindings, choices.size());
  for (size_t binding = 0; binding < bindings; ++binding) {
    std::vector<Datum> inputs;
    for (ValueId id : model->graph.inputs())
      inputs.push_back(random_input(model->graph.value(id), entry, binding, 1));
    const ExecPlan plan = cpu_plan(*model, inputs);
    const std::vector<Root> roots = roots_of(plan);
    const uint64_t bound = bound_of(roots);
    EXPECT_EQ(plan.arena_lower_bound, bound);
    expect_no_overlap(roots, plan.arena_bytes);
    EXPECT_GE(plan.arena_bytes, bound);
    EXPECT_LE(static_cast<double>(plan.arena_bytes), 1.1 * static_cast<double>(bound))
        << "binding " << binding;
    if (std::getenv("MTS_ARENA_FIGURES") == nullptr || bound == 0) continue;
    std::printf("%-20s binding %zu: %3zu blocks, arena %9zu B, busiest step %9zu B, ratio %.3f\n",
                GetParam().name.c_str(), binding, roots.size(), static_cast<size_t>(plan.arena_bytes),
                static_cast<size_t>(bound),
                static_cast<double>(plan.arena_bytes) / static_cast<double>(bound));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Arena, testing::ValuesIn(families()),
                         [](const auto& param_info) { return param_info.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Arena);

}  // namespace
}  // namespace mts::exec
