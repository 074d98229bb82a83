#include "exec/memory.h"

#include <random>

#include <gtest/gtest.h>

namespace mts::exec {
namespace {

void expect_no_overlap(const std::vector<Block>& blocks, const Placement& placement) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(placement.offsets[i] % kArenaAlignment, 0u);
    EXPECT_LE(placement.offsets[i] + blocks[i].bytes, placement.arena_bytes);
    for (size_t j = 0; j < i; ++j) {
      if (blocks[i].last < blocks[j].first || blocks[j].last < blocks[i].first) continue;
      const bool apart = placement.offsets[i] + blocks[i].bytes <= placement.offsets[j] ||
                         placement.offsets[j] + blocks[j].bytes <= placement.offsets[i];
      EXPECT_TRUE(apart) << "blocks " << i << " and " << j;
    }
  }
}

TEST(Memory, NothingNeedsNothing) { EXPECT_EQ(place({}).arena_bytes, 0u); }

TEST(Memory, ChainUsesTwoBuffers) {
  std::vector<Block> chain;
  for (int32_t i = 0; i < 20; ++i) chain.push_back({1024, i, i + 1});
  const Placement placement = place(chain);
  EXPECT_EQ(placement.arena_bytes, 2048u);
  expect_no_overlap(chain, placement);
}

TEST(Memory, ResidualStaysWhileItsBranchRuns) {
  // x -> conv -> conv -> add(x): x lives across both.
  const std::vector<Block> blocks = {{4096, 0, 3}, {4096, 1, 2}, {4096, 2, 3}, {4096, 3, 4}};
  const Placement placement = place(blocks);
  EXPECT_EQ(placement.arena_bytes, lower_bound(blocks));
  expect_no_overlap(blocks, placement);
}

TEST(Memory, ZeroSizedBlocksCostNothing) {
  const std::vector<Block> blocks = {{0, 0, 5}, {64, 0, 5}, {0, 1, 2}};
  EXPECT_EQ(place(blocks).arena_bytes, 64u);
}

// A network's shape: stages that halve the resolution and double the channels, with residuals.
std::vector<Block> residual_network(int stages, int blocks_a_stage) {
  std::vector<Block> result;
  int32_t step = 0;
  uint64_t bytes = 4u << 20;
  for (int s = 0; s < stages; ++s, bytes /= 2) {
    for (int b = 0; b < blocks_a_stage; ++b, step += 3) {
      result.push_back({bytes, step, step + 1});
      result.push_back({bytes, step + 1, step + 2});
      result.push_back({bytes, step + 2, step + 5});
    }
  }
  return result;
}

TEST(Memory, UsualGraphsAreNearTheLowerBound) {
  for (int stages : {1, 2, 4, 5}) {
    for (int count : {1, 2, 6}) {
      const std::vector<Block> blocks = residual_network(stages, count);
      const Placement placement = place(blocks);
      expect_no_overlap(blocks, placement);
      EXPECT_LE(static_cast<double>(placement.arena_bytes), 1.1 * static_cast<double>(lower_bound(blocks)))
          << stages << " stages of " << count;
    }
  }
}

TEST(Memory, RandomIntervalsNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Block> blocks;
    for (int i = 0; i < 60; ++i) {
      const int32_t first = static_cast<int32_t>(random() % 80);
      blocks.push_back({random() % 5000, first, first + static_cast<int32_t>(random() % 20)});
    }
    const Placement placement = place(blocks);
    expect_no_overlap(blocks, placement);
    EXPECT_GE(placement.arena_bytes, lower_bound(blocks));
    EXPECT_LE(static_cast<double>(placement.arena_bytes), 1.1 * static_cast<double>(lower_bound(blocks)));
  }
}

TEST(Memory, LowerBoundIsTheBusiestStep) {
  const std::vector<Block> blocks = {{64, 0, 1}, {128, 1, 2}, {64, 2, 3}};
  EXPECT_EQ(lower_bound(blocks), 192u);
}

}  // namespace
}  // namespace mts::exec
