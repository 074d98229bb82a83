// Splits what textual models share in part, and judges the result.
#pragma once

#include "partial/partial.h"
#include "tests/canon/run_both.h"

#include <mts/model_io.h>
#include <mts/share.h>

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mts::testing_partial {

inline Model parse(const std::string& text, const std::string& name) {
  auto model = parse_text(text, name);
  EXPECT_TRUE(model) << model.error().to_string() << "\n" << text;
  EXPECT_TRUE(infer_types(*model));
  return std::move(*model);
}

inline std::string head(const std::string& input, const std::string& output,
                        const std::vector<std::string>& weights, int opset = 17) {
  std::string text = "<ir_version: 8, opset_import: [\"\" : " + std::to_string(opset) + "]>\ng (" + input +
                     ") => (" + output + ")\n<";
  for (size_t i = 0; i < weights.size(); ++i) text += (i > 0 ? ", " : "") + weights[i];
  return text + ">\n";
}

// Floats that some node reads, over all models: each content of a whole weight once.
inline size_t stored_floats(const std::vector<Model>& models) {
  size_t count = 0;
  for (const WeightClasses::Class& one : classify_weights(models).classes)
    if (one.weight->dtype() == DType::kFloat32) count += static_cast<size_t>(one.weight->element_count());
  return count;
}

inline size_t distinct_floats(const std::vector<Model>& models) {
  std::set<double> seen;
  for (const WeightClasses::Class& one : classify_weights(models).classes)
    if (one.weight->dtype() == DType::kFloat32)
      for (const double value : one.weight->as_doubles()) seen.insert(value);
  return seen.size();
}

inline void expect_split(const std::vector<std::string>& texts, bool all = true) {
  std::vector<Model> before, after;
  for (size_t m = 0; m < texts.size(); ++m) {
    before.push_back(parse(texts[m], "m" + std::to_string(m)));
    after.push_back(parse(texts[m], "m" + std::to_string(m)));
  }
  const auto report = partial::split_shared_parts(after, {});
  ASSERT_TRUE(report) << report.error().to_string();
  for (size_t m = 0; m < texts.size(); ++m) {
    ASSERT_TRUE(verify_ir(after[m]));
    testing_canon::expect_same_results(before[m], after[m], "model " + std::to_string(m) + "\n" + texts[m]);
  }
  EXPECT_TRUE(report->changed);
  if (!all) return;
  EXPECT_EQ(stored_floats(after), distinct_floats(before));
}

}  // namespace mts::testing_partial
