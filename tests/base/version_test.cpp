#include <mts/version.h>

#include <gmock/gmock.h>

namespace mts {
namespace {

TEST(Version, IsMajorMinorPatch) {
  EXPECT_THAT(std::string(version()), testing::MatchesRegex("[0-9]+.[0-9]+.[0-9]+"));
}

}  // namespace
}  // namespace mts
