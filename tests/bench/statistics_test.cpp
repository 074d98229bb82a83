#include "bench/statistics.h"

#include <vector>

#include <gtest/gtest.h>

namespace mts::bench_detail {
namespace {

TEST(Statistics, NoSamplesAreZeros) {
  EXPECT_EQ(percentile({}, 50), 0);
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(statistics({}).p99, 0);
}

TEST(Statistics, OneSampleIsEverything) {
  const std::vector<double> one = {3.5};
  const LatencyStatistics s = statistics(one);
  for (double value : {s.p50, s.p90, s.p99, s.min, s.mean}) EXPECT_EQ(value, 3.5);
  EXPECT_EQ(s.cv, 0);
}

TEST(Statistics, OneToAHundred) {
  std::vector<double> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(i);  // not sorted
  const LatencyStatistics s = statistics(samples);
  EXPECT_EQ(s.p50, 50.5);
  EXPECT_EQ(s.p90, 90);
  EXPECT_EQ(s.p99, 99);
  EXPECT_EQ(s.min, 1);
  EXPECT_EQ(s.mean, 50.5);
  EXPECT_NEAR(s.cv, 29.011491975882016 / 50.5, 1e-12);
}

TEST(Statistics, NearestRankOfAFew) {
  const std::vector<double> samples = {15, 20, 35, 40, 50};
  EXPECT_EQ(percentile(samples, 5), 15);
  EXPECT_EQ(percentile(samples, 30), 20);
  EXPECT_EQ(percentile(samples, 40), 20);
  EXPECT_EQ(percentile(samples, 50), 35);
  EXPECT_EQ(percentile(samples, 100), 50);
  EXPECT_EQ(median(samples), 35);
}

TEST(Statistics, OneOutlierMovesTheMeanOnly) {
  const std::vector<double> samples = {1, 1, 1, 1, 1, 1, 1, 1, 1, 101};
  const LatencyStatistics s = statistics(samples);
  EXPECT_EQ(s.p50, 1);
  EXPECT_EQ(s.p90, 1);
  EXPECT_EQ(s.p99, 101);
  EXPECT_EQ(s.mean, 11);
  EXPECT_GT(s.cv, 1);
}

}  // namespace
}  // namespace mts::bench_detail
