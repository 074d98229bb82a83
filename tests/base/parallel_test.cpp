#include "base/parallel.h"

#include "base/log.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mts {
namespace {

TEST(ForEachParallel, VisitsEachIndexOnceWithAndWithoutThreads) {
  for (const size_t threads : {size_t{1}, size_t{2}, size_t{7}}) {
    std::vector<std::atomic<int>> visits(1000);
    for_each_parallel(visits.size(), threads, [&](size_t i) { ++visits[i]; });
    for (const auto& count : visits) EXPECT_EQ(count, 1);
    for_each_parallel(0, threads, [](size_t) { FAIL(); });
  }
}

TEST(ForEachParallel, TheFirstExceptionComesOut) {
  for (const size_t threads : {size_t{1}, size_t{4}}) {
    std::string message;
    try {
      for_each_parallel(100, threads, [](size_t i) {
        if (i % 10 == 3) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    EXPECT_EQ(message, "3");
  }
}

TEST(TryEachParallel, TheFirstErrorComesOutWithTheLinesBeforeIt) {
  for (int round = 0; round < 50; ++round) {
    std::vector<log::Line> lines;
    std::string message;
    {
      const log::Capture capture(lines);
      const auto result = try_each_parallel(40, [](size_t i) -> Result<void> {
        log::warn("item {}", i);
        if (i == 5 || i == 6 || i == 39) return fail(ErrorCode::kModel, std::to_string(i));
        return {};
      });
      ASSERT_FALSE(result);
      message = result.error().message;
    }
    EXPECT_EQ(message, "5");
    std::vector<std::string> texts;
    for (const log::Line& line : lines) texts.push_back(line.text);
    EXPECT_EQ(texts, (std::vector<std::string>{"item 0", "item 1", "item 2", "item 3", "item 4", "item 5"}));
  }
}

TEST(TryEachParallel, WithoutErrorsAllLinesComeInOrder) {
  std::vector<log::Line> lines;
  {
    const log::Capture capture(lines);
    ASSERT_TRUE(try_each_parallel(100, [](size_t i) -> Result<void> {
      log::warn("{}", i);
      return {};
    }));
  }
  ASSERT_EQ(lines.size(), 100U);
  for (size_t i = 0; i < lines.size(); ++i) EXPECT_EQ(lines[i].text, std::to_string(i));
}

}  // namespace
}  // namespace mts
