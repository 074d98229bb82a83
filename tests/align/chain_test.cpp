#include "src/align/chain.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace mts::alignment {
namespace {

TEST(HeaviestChain, KeepsTheHeavierOfTwoThatCross) {
  EXPECT_EQ(heaviest_chain(std::vector<Link>{{1, 0, 5}, {0, 1, 7}}), (std::vector<uint32_t>{1}));
  EXPECT_EQ(heaviest_chain(std::vector<Link>{{1, 0, 7}, {0, 1, 5}}), (std::vector<uint32_t>{0}));
}

TEST(HeaviestChain, ManyLightOnesOutweighOne) {
  const std::vector<Link> links = {{9, 0, 10}, {1, 1, 4}, {2, 2, 4}, {3, 3, 4}};
  EXPECT_EQ(heaviest_chain(links), (std::vector<uint32_t>{1, 2, 3}));
}

TEST(HeaviestChain, AnItemAndAPositionAreUsedOnce) {
  EXPECT_EQ(heaviest_chain(std::vector<Link>{{1, 0, 5}, {2, 0, 6}}), (std::vector<uint32_t>{1}));
  EXPECT_EQ(heaviest_chain(std::vector<Link>{{1, 0, 6}, {1, 1, 5}}), (std::vector<uint32_t>{0}));
}

TEST(HeaviestChain, NoLinks) { EXPECT_TRUE(heaviest_chain({}).empty()); }

// Against trying all subsets.
TEST(HeaviestChain, IsOptimal) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<Link> links(random() % 10);
    for (Link& link : links)
      link = {static_cast<uint32_t>(random() % 6), static_cast<uint32_t>(random() % 6),
              1 + static_cast<int64_t>(random() % 9)};
    std::ranges::stable_sort(links, {}, &Link::item);
    int64_t best = 0;
    for (uint32_t subset = 0; subset < (1U << links.size()); ++subset) {
      int64_t weight = 0;
      const Link* last = nullptr;
      bool increasing = true;
      for (size_t i = 0; i < links.size(); ++i) {
        if ((subset >> i & 1U) == 0) continue;
        if (last != nullptr && (links[i].item <= last->item || links[i].position <= last->position))
          increasing = false;
        last = &links[i];
        weight += links[i].weight;
      }
      if (increasing) best = std::max(best, weight);
    }
    int64_t found = 0;
    for (const uint32_t i : heaviest_chain(links)) found += links[i].weight;
    EXPECT_EQ(found, best);
  }
}

}  // namespace
}  // namespace mts::alignment
