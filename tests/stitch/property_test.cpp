// Random families x strategies: the fused model computes what the originals compute, and stores nothing
// twice. MTS_STITCH_SEEDS=FIRST:LAST in the environment runs other seeds than the fixed ones.
#include "ref/interpreter.h"
#include "tests/rules/values.h"
#include "tests/stitch/random_networks.h"

#include <mts/stitch.h>

#include <cstdlib>
#include <map>
#include <set>

#include <gtest/gtest.h>

namespace mts::testing {
namespace {

using Mode = StitchOptions::Strategy;

// Bytes of float content, counted by content: independent of the report.
uint64_t float_bytes(const std::vector<const Model*>& models, bool once) {
  std::set<std::string> seen;
  uint64_t bytes = 0;
  for (const Model* model : models)
    for (size_t i = 0; i < model->graph.value_count(); ++i) {
      const WeightPtr& weight = model->graph.value(static_cast<ValueId>(i)).weight;
      if (weight == nullptr || weight->dtype() != DType::kFloat32 || weight->dims().empty())
        continue;  // generated: 1, epsilon
      std::string content(weight->byte_size(), '\0');
      weight->read(std::as_writable_bytes(std::span(content)));
      if (seen.insert(std::move(content)).second || !once) bytes += weight->byte_size();
    }
  return bytes;
}

Dims bound(const Type& type, int64_t batch) {
  Dims dims;
  for (const Dim& dim : *type.shape) dims.push_back(dim.is_known() ? dim.value : batch);
  return dims;
}

Tensor input_value(const Type& type, int64_t batch, uint32_t seed) {
  const bool ids = type.dtype == DType::kInt64;
  return random_tensor(type.dtype, bound(type, batch), ids ? 0 : -1, ids ? 6 : 1, seed);
}

Family copy_of(const Family& family) {
  Family copy;
  for (const Model& model : family.models) copy.models.push_back(model.clone());
  return copy;
}

void check_family(const Family& family, Mode mode) {
  StitchOptions options;
  options.strategy = mode;
  options.share_inputs = family.share_inputs;
  std::vector<const Model*> originals;
  for (const Model& model : family.models) originals.push_back(&model);
  auto stitched = stitch(copy_of(family).models, options);
  ASSERT_TRUE(stitched) << stitched.error().to_string();
  const Model& fused = stitched->model;
  dump_model(stitched->model, "fused", fused.opset());
  for (const int64_t batch : {1, 2, 3}) {
    if (!family.symbolic && batch > 1) break;
    SCOPED_TRACE("N=" + std::to_string(batch));
    std::map<std::string, Datum> values;
    std::vector<Datum> expected;
    for (size_t m = 0; m < family.models.size(); ++m) {
      const Model& model = family.models[m];
      std::vector<Datum> data;
      for (const ValueId id : model.graph.inputs()) {
        const Value& value = model.graph.value(id);
        const bool common = !family.share_inputs.empty();
        data.emplace_back(input_value(value.type, batch, static_cast<uint32_t>(common ? 1 : 1 + m)));
        values.insert_or_assign(common ? value.name : model.name + "/" + value.name, data.back());
      }
      auto single = interpret(model, data);
      ASSERT_TRUE(single) << single.error().to_string();
      expected.insert(expected.end(), single->begin(), single->end());
    }
    std::vector<Datum> data;
    for (const ValueId id : fused.graph.inputs()) {
      const auto it = values.find(fused.graph.value(id).name);
      ASSERT_NE(it, values.end()) << "the fused model has an input " << fused.graph.value(id).name;
      data.push_back(it->second);
    }
    const auto actual = interpret(fused, data);
    ASSERT_TRUE(actual) << actual.error().to_string();
    ASSERT_EQ(actual->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      const std::string difference = compare(*(*actual)[i].tensor(), *expected[i].tensor(), 3e-5);
      ASSERT_EQ(difference, "") << "output " << fused.graph.value(fused.graph.outputs()[i]).name;
    }
  }
  if (mode != Mode::kNetfuse) {
    const std::vector<const Model*> one{&fused};
    EXPECT_LE(float_bytes(one, false), float_bytes(originals, true)) << "weights are stored more than once";
  }
}

TEST(RandomNetworks, FusedEqualsOriginals) {
  uint32_t first = 1, last = 300;
  if (const char* seeds = std::getenv("MTS_STITCH_SEEDS"); seeds != nullptr) {
    const std::string text = seeds;
    first = static_cast<uint32_t>(std::stoul(text));
    last = static_cast<uint32_t>(std::stoul(text.substr(text.find(':') + 1)));
  }
  const std::map<Mode, std::string> modes{{Mode::kAuto, "auto"},
                                          {Mode::kStitch, "stitch"},
                                          {Mode::kNetfuse, "netfuse"},
                                          {Mode::kConcat, "concat"}};
  int failed = 0;
  for (uint32_t seed = first; seed <= last; ++seed) {
    const Family family = random_family(seed);
    for (const auto& [mode, name] : modes) {
      SCOPED_TRACE(family.description + ", strategy " + name);
      const int before =
          ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
      check_family(family, mode);
      failed += ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() > before
                    ? 1
                    : 0;
      ASSERT_LT(failed, 12) << "enough of it";
    }
  }
}

}  // namespace
}  // namespace mts::testing
