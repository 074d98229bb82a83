// Textual models before and after canonicalise or single passes. The directive `passes` names what runs
// (once, in that order); without it, canonicalise runs on all models. Every case is run twice: the second run
// must change nothing.
#include "tests/canon/run_both.h"
#include "tests/golden/driver.h"

#include <mts/canonicalise.h>

#include <gtest/gtest.h>

namespace mts {
namespace {

Result<void> run(golden::Case& golden) {
  std::vector<Model> before;
  for (const Model& model : golden.before) before.push_back(model.clone());
  const auto names = golden.directives.find("passes");
  if (names == golden.directives.end()) {
    MTS_TRY(canonicalise(golden.before));
    std::vector<Model> again;
    for (const Model& model : golden.before) again.push_back(model.clone());
    MTS_TRY(canonicalise(again));
    for (size_t i = 0; i < again.size(); ++i)
      EXPECT_EQ(testing_canon::structure_of(again[i].graph),
                testing_canon::structure_of(golden.before[i].graph))
          << "a second run changes model " << i;
  } else {
    for (Model& model : golden.before) {
      for (const std::string& name : golden::split_list(names->second)) {
        const Pass* pass = find_pass(name);
        if (pass == nullptr) return fail(ErrorCode::kUsage, "there is no pass " + name);
        MTS_TRY(pass->run(model));
        MTS_TRY(model.graph.sort());
        MTS_TRY(verify_ir(model));
      }
      for (const std::string& name : golden::split_list(names->second)) {
        MTS_ASSIGN(const bool changed, find_pass(name)->run(model));
        EXPECT_FALSE(changed) << "a second run of " << name << " reports a change";
      }
    }
  }
  for (size_t i = 0; i < before.size(); ++i) {
    MTS_TRY(verify_ir(golden.before[i]));
    testing_canon::expect_same_results(before[i], golden.before[i], golden.path);
  }
  return {};
}

class CanonGolden : public testing::TestWithParam<std::string> {};

TEST_P(CanonGolden, Matches) { golden::check(GetParam(), run); }

INSTANTIATE_TEST_SUITE_P(All, CanonGolden, testing::ValuesIn(golden::cases_in("tests/golden/canon")),
                         [](const auto& param) {
                           std::string name = param.param.substr(param.param.rfind('/') + 1);
                           name = name.substr(0, name.rfind('.'));
                           for (char& c : name)
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           return name;
                         });

}  // namespace
}  // namespace mts
