#include "base/resident.h"

#include "base/mmap.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace mts {
namespace {

constexpr size_t kBytes = 1u << 20;

// Kilobytes of the mapping that begins there which the process holds, as /proc/self/smaps says.
int64_t held_kb(const std::byte* at) {
  std::ostringstream address;
  address << std::hex << reinterpret_cast<uintptr_t>(at) << "-";
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(address.str())) here = true;
    if (here && line.starts_with("Rss:")) return std::stoll(line.substr(4));
  }
  return -1;
}

bool all_are(std::span<const std::byte> bytes, char value) {
  return std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == std::byte(value); });
}

TEST(Resident, MappedPagesAreGivenBackAndComeAgain) {
  const std::string path = testing::TempDir() + "resident_test.bin";
  std::ofstream(path, std::ios::binary) << std::string(kBytes, 'x');
  const auto file = map_file(path);
  ASSERT_TRUE(file.has_value());
  const std::span<const std::byte> bytes = (*file)->data();
  ASSERT_TRUE(all_are(bytes, 'x'));
  ASSERT_GE(held_kb(bytes.data()), 1000);
  // Not aligned to pages at either end: what lies there stays.
  FileMappings::of_this_process().release(bytes.subspan(100, kBytes - 200));
  EXPECT_LE(held_kb(bytes.data()), 64);
  EXPECT_TRUE(all_are(bytes, 'x'));
  std::remove(path.c_str());
}

TEST(Resident, OtherMemoryStaysAsItIs) {
  const std::string heap(kBytes, 'y');
  const auto bytes = std::as_bytes(std::span(heap));
  FileMappings::of_this_process().release(bytes);
  EXPECT_TRUE(all_are(bytes, 'y'));
}

}  // namespace
}  // namespace mts
