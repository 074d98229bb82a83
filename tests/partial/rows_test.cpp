// Rows of corresponding weights that are found to be equal.
#include "partial/rows.h"

#include <gtest/gtest.h>

namespace mts::partial {
namespace {

constexpr size_t kAnyPart = 128;

Rows rows(uint32_t model, const std::vector<std::vector<uint64_t>>& hashes_by_group) {
  Rows result;
  result.model = model;
  for (uint32_t key = 0; key < hashes_by_group.size(); ++key) {
    RowHashes& group = result.hashes[key];
    group.bytes = 100;
    for (const uint64_t hash : hashes_by_group[key]) group.of_row.push_back({hash, 0});
    result.total_bytes += 100 * hashes_by_group[key].size();
  }
  result.roots.resize(hashes_by_group[0].size());
  result.neurons.assign(hashes_by_group[0].size(), kNoNeuron);
  return result;
}

TEST(Rows, EqualRowsMeetWhereverTheyStand) {
  const Matching m = match_rows({rows(0, {{1, 2, 3}}), rows(1, {{3, 4, 1}})}, kAnyPart);
  ASSERT_TRUE(m.worthwhile);
  ASSERT_EQ(m.rows.size(), 2u);
  EXPECT_EQ(m.rows[0].members, (Matching::Members{{0, 0}, {1, 2}}));
  EXPECT_EQ(m.rows[1].members, (Matching::Members{{0, 2}, {1, 0}}));
  EXPECT_EQ(m.saved, 200u);
}

TEST(Rows, EqualRowsOfOneMemberAreTakenInOrder) {
  const Matching m = match_rows({rows(0, {{7, 7}}), rows(1, {{7, 7}})}, kAnyPart);
  ASSERT_EQ(m.rows.size(), 2u);
  EXPECT_EQ(m.rows[0].members, (Matching::Members{{0, 0}, {1, 0}}));
  EXPECT_EQ(m.rows[1].members, (Matching::Members{{0, 1}, {1, 1}}));
}

TEST(Rows, PatternsTellWhoSharesWhat) {
  const Matching m = match_rows({rows(0, {{1, 2, 3}}), rows(1, {{1, 2, 9}}), rows(2, {{1, 8, 3}})}, kAnyPart);
  ASSERT_EQ(m.rows.size(), 3u);
  EXPECT_NE(m.rows[0].pattern, m.rows[1].pattern);
  EXPECT_NE(m.rows[1].pattern, m.rows[2].pattern);
}

TEST(Rows, LessThanHalfOfWhatCanBeComparedIsNotEnough) {
  const Matching one = match_rows({rows(0, {{1}, {2}, {3}}), rows(1, {{1}, {5}, {6}})}, kAnyPart);
  EXPECT_TRUE(one.rows.empty());
  const Matching two = match_rows({rows(0, {{1}, {2}, {3}}), rows(1, {{1}, {2}, {6}})}, kAnyPart);
  EXPECT_EQ(two.rows.size(), 1u);
}

TEST(Rows, AFewEqualRowsAreNotWorthIt) {
  std::vector<uint64_t> a(1000), b(1000);
  for (uint64_t i = 0; i < 1000; ++i) a[i] = i, b[i] = 5000 + i;
  b[3] = a[3];
  EXPECT_FALSE(match_rows({rows(0, {a}), rows(1, {b})}, kAnyPart).worthwhile);
}

}  // namespace
}  // namespace mts::partial
