#include "ir/number.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::ElementsAre;

// Sign, two bits of exponent (bias 1), one of mantissa; the first element in the low bits.
TEST(ReadNumbers, Float4E2M1) {
  std::array<std::byte, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((2 * i + 1) << 4 | 2 * i);
  EXPECT_THAT(read_numbers<double>(DType::kFloat4E2M1, bytes, 16),
              ElementsAre(0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6));
  EXPECT_THAT(read_numbers<double>(DType::kFloat4E2M1, bytes, 3), ElementsAre(0, 0.5, 1));
}

TEST(ReadNumbers, PackedIntegers) {
  const std::array bytes = {std::byte{0x8f}, std::byte{0x01}};
  EXPECT_THAT(read_numbers<int64_t>(DType::kInt4, bytes, 3), ElementsAre(-1, -8, 1));
  EXPECT_THAT(read_numbers<int64_t>(DType::kUint4, bytes, 3), ElementsAre(15, 8, 1));
  EXPECT_THAT(read_numbers<int64_t>(DType::kInt2, bytes, 5), ElementsAre(-1, -1, 0, -2, 1));
}

TEST(ReadNumbers, NothingForTypesWithoutNumbers) {
  EXPECT_THAT(read_numbers<double>(DType::kString, {}, 0), testing::IsEmpty());
}

}  // namespace
}  // namespace mts
