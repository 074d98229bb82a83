// Profiles: those that mts ships, the format, and what is refused.
#include "plan/profile.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts {
namespace {

using testing::HasSubstr;

std::string shipped(const std::string& name) {
  std::ifstream file("src/plan/profiles/" + name + ".json");
  return {std::istreambuf_iterator<char>(file), {}};
}

// generic-gpu with one piece of its text replaced.
std::string with(const std::string& old_text, const std::string& new_text) {
  std::string text = shipped("generic-gpu");
  const size_t at = text.find(old_text);
  EXPECT_NE(at, std::string::npos) << old_text;
  return at == std::string::npos ? text : text.replace(at, old_text.size(), new_text);
}

void expect_refused(const std::string& text, const std::string& field, const std::string& message) {
  const auto result = parse_profile(text, "mine.json");
  ASSERT_FALSE(result) << field;
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  EXPECT_EQ(result.error().where.file, "mine.json");
  EXPECT_EQ(result.error().where.value, field) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(message)) << field;
}

TEST(Profiles, ThoseThatAreShippedAreSound) {
  EXPECT_EQ(profile_names().front(), "generic-gpu") << "the default";
  for (const std::string_view name : profile_names()) {
    SCOPED_TRACE(name);
    const auto profile = find_profile(name);
    ASSERT_TRUE(profile) << profile.error().to_string();
    EXPECT_EQ(profile->name, name);
    EXPECT_FALSE(profile->sources.empty());
    const auto parsed = parse_profile(shipped(std::string(name)), "");
    ASSERT_TRUE(parsed);
    EXPECT_EQ(to_json(*parsed), to_json(*profile)) << "what is compiled in is the file";
  }
  for (const auto& entry : std::filesystem::directory_iterator("src/plan/profiles")) {
    if (entry.path().extension() != ".json") continue;
    EXPECT_TRUE(find_profile(entry.path().stem().string())) << entry.path();
  }
}

TEST(Profiles, AreWrittenAsTheyAreRead) {
  for (const std::string_view name : profile_names()) {
    const DeviceProfile profile = *find_profile(name);
    const std::string text = to_json(profile);
    const auto again = parse_profile(text, "again.json");
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(to_json(*again), text);
    EXPECT_EQ(again->flops, profile.flops);
    EXPECT_EQ(again->caches.size(), profile.caches.size());
    EXPECT_EQ(again->grouped_convolution.size(), profile.grouped_convolution.size());
  }
}

TEST(Profiles, UnknownNamesAreRefusedWithTheKnownOnes) {
  const auto result = load_profile("abacus");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  for (const char* name : {"generic-gpu", "h200", "jetson-orin", "cpu-avx2", "cpu-onnxruntime", ".json"})
    EXPECT_THAT(result.error().message, HasSubstr(name));
}

TEST(Profiles, AFileIsATargetToo) {
  const auto result = load_profile("src/plan/profiles/t4.json");
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->name, "t4");
  EXPECT_EQ(result->flops_of(DType::kFloat16), 65e12);
  EXPECT_EQ(result->flops_of(DType::kInt64), 8.1e12) << "float32's where there is none";
  const auto absent = load_profile("no/such.json");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kIo);
}

TEST(Profiles, MalformedOnesAreRefusedWithTheField) {
  expect_refused("", "", "no JSON");
  expect_refused("{", "", "no JSON");
  expect_refused("[]", "", "not an object");
  expect_refused("{}", "schema_version", "missing");
  expect_refused(with("\"schema_version\": 1", "\"schema_version\": 2"), "schema_version", "reads 1");
  expect_refused(with("\"kind\": \"gpu\"", "\"kind\": \"tpu\""), "kind", "neither cpu nor gpu");
  expect_refused(with("\"kind\": \"gpu\"", "\"kind\": \"cpu\""), "name", "\"cpu\"");
  expect_refused(with("\"name\": \"generic-gpu\"", "\"name\": 3"), "name", "not a text");
  expect_refused(with("\"cores\"", "\"coers\""), "cores", "missing");
  expect_refused(with("\"cores\"", "\"coers\": 1, \"cores\""), "coers", "not a field");
  expect_refused(with("\"cores\": 100", "\"cores\": 0"), "cores", "above 0");
  expect_refused(with("\"cores\": 100", "\"cores\": \"100\""), "cores", "above 0");
  expect_refused(with("\"dispatch_seconds\": 4e-6", "\"dispatch_seconds\": -1"), "dispatch_seconds",
                 "at least 0");
  expect_refused(with("\"copy_efficiency\": 1", "\"copy_efficiency\": 1.5"), "copy_efficiency", "at most 1");
  expect_refused(with("\"fuses_elementwise\": \"none\"", "\"fuses_elementwise\": \"all\""),
                 "fuses_elementwise", "none of");
  expect_refused(with("\"inputs\": 1", "\"inputs\": 0"), "convolution_blocks.inputs", "above 0");
  expect_refused(with("\"float32\": 20e12", "\"float32\": null"), "flops.float32", "above 0");
  expect_refused(with("\"float32\": 20e12, ", ""), "flops.float32", "missing");
  expect_refused(with("\"float32\"", "\"float33\""), "flops.float33", "none of");
  expect_refused(with("\"bytes\": 40e6, ", ""), "memory[0].bytes", "missing");
  expect_refused(with("\"name\": \"DRAM\"", "\"name\": \"DRAM\", \"bytes\": 1"), "memory[1].bytes",
                 "not a field");
  expect_refused(with("{ \"name\": \"DRAM\"",
                      "{ \"name\": \"L3\", \"bytes\": 4e6, \"bytes_per_second\": 2e12, "
                      "\"reuse_bytes_per_second\": 2e12 }, "
                      "{ \"name\": \"DRAM\""),
                 "memory[1].bytes", "not more than");
  expect_refused(with("\"efficiency\": 0.3", "\"efficiency\": 0"),
                 "efficiency.grouped_convolution[1].efficiency", "above 0");
  expect_refused(with("\"channels\": 32", "\"channels\": 8"), "efficiency.grouped_convolution[2].channels",
                 "not more than");
  expect_refused(with("\"matmul\": [{ \"channels\": 1, \"efficiency\": 1 }]", "\"matmul\": []"),
                 "efficiency.matmul", "list with entries");
}

}  // namespace
}  // namespace mts
