// Textual models before and after stitching.
//   // strategy: stitch        auto, stitch (the default here), netfuse, concat
//   // share: x; y=a:u,b:v     as --share-input
//   // counts: once 1, batch 2 aligned sets by strategy (those that are not listed are 0)
//   // refused: Op: reason     a refusal that the report must hold
#include "tests/golden/driver.h"

#include <mts/stitch.h>

#include <map>
#include <sstream>

#include <gtest/gtest.h>

namespace mts {
namespace {

StitchOptions options_of(const golden::Case& golden) {
  static const std::map<std::string, StitchOptions::Strategy> kStrategies{
      {"auto", StitchOptions::Strategy::kAuto},
      {"stitch", StitchOptions::Strategy::kStitch},
      {"netfuse", StitchOptions::Strategy::kNetfuse},
      {"concat", StitchOptions::Strategy::kConcat}};
  StitchOptions options;
  const auto strategy = golden.directives.find("strategy");
  options.strategy = strategy == golden.directives.end() ? StitchOptions::Strategy::kStitch
                                                         : kStrategies.at(strategy->second);
  if (const auto share = golden.directives.find("share"); share != golden.directives.end()) {
    std::istringstream entries(share->second);
    for (std::string entry; std::getline(entries, entry, ';');)
      options.share_inputs.push_back(entry.substr(entry.find_first_not_of(' ')));
  }
  return options;
}

Result<void> transform(golden::Case& golden) {
  MTS_ASSIGN(Stitched stitched, stitch(std::move(golden.before), options_of(golden)));
  if (const auto counts = golden.directives.find("counts"); counts != golden.directives.end()) {
    std::map<std::string, int64_t> expected;
    for (const auto& [name, count] : stitched.report.strategies) expected[name] = 0;
    for (const std::string& item : golden::split_list(counts->second))
      expected[item.substr(0, item.find(' '))] = std::stoll(item.substr(item.find(' ')));
    EXPECT_EQ(stitched.report.strategies, expected);
  }
  std::string refusals;
  for (const Refusal& refusal : stitched.report.refusals)
    refusals += refusal.op + ": " + refusal.reason + "\n";
  const auto refused = golden.directives.find("refused");
  if (refused == golden.directives.end()) {
    EXPECT_EQ(refusals, "");
  } else {
    EXPECT_NE(refusals.find(refused->second + "\n"), std::string::npos) << refusals;
  }
  stitched.model.metadata.clear();  // the contract of the metadata has tests of its own
  golden.before.clear();
  golden.before.push_back(std::move(stitched.model));
  return {};
}

class StitchGolden : public ::testing::TestWithParam<std::string> {};
TEST_P(StitchGolden, Matches) { golden::check(GetParam(), transform); }
INSTANTIATE_TEST_SUITE_P(Cases, StitchGolden, ::testing::ValuesIn(golden::cases_in("tests/golden/stitch")),
                         [](const auto& param) {
                           std::string name = param.param.substr(param.param.rfind('/') + 1);
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace mts
