// Choosing among the ways of a call, by times that the tests make up, and remembering what was chosen.
#include "exec/cuda/autotune.h"

#include "tests/exec/cuda_runtime/host_device.h"

#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

namespace fs = std::filesystem;

// Times in milliseconds, with noise of some per cent; `drift`: each measurement is slower than the last.
CandidateTimer timer(std::vector<double> times, double noise = 0, double drift = 0,
                     std::vector<int>* calls = nullptr) {
  auto random = std::make_shared<std::mt19937>(3);
  auto measured = std::make_shared<int>(0);
  return [=](size_t i) -> Result<double> {
    if (calls != nullptr) ++(*calls)[i];
    if (times[i] < 0) return fail(ErrorCode::kDevice, "candidate " + std::to_string(i) + " cannot run");
    std::uniform_real_distribution<double> factor(1 - noise, 1 + noise);
    return times[i] * factor(*random) * (1 + drift * (*measured)++);
  };
}

TEST(Autotune, TakesTheFastest) {
  EXPECT_EQ(*fastest_of(1, timer({5})), 0u);
  EXPECT_EQ(*fastest_of(4, timer({5, 4, 2, 3})), 2u);
  EXPECT_EQ(*fastest_of(4, timer({5, 4, 2, 3}, 0.1)), 2u);
}

TEST(Autotune, StaysWithTheHeuristicsFirstWithinTheNoise) {
  EXPECT_EQ(*fastest_of(3, timer({1, 0.98, 0.99})), 0u);
  EXPECT_EQ(*fastest_of(3, timer({1, 0.96, 0.99})), 1u);
}

// A device that grows slower as it grows warm favours none: the order turns round.
TEST(Autotune, DriftFavoursNobody) {
  EXPECT_EQ(*fastest_of(3, timer({1, 1, 1}, 0, 0.01)), 0u);
  EXPECT_EQ(*fastest_of(3, timer({1, 1, 0.9}, 0, 0.005)), 2u);
}

TEST(Autotune, SlowOnesLeaveEarly) {
  std::vector<int> calls(3, 0);
  EXPECT_EQ(*fastest_of(3, timer({1.1, 10, 1}, 0, 0, &calls)), 2u);
  EXPECT_EQ(calls[0], calls[2]);
  EXPECT_LT(calls[1], calls[0]);
}

TEST(Autotune, WhatCannotRunIsNotTaken) {
  EXPECT_EQ(*fastest_of(3, timer({-1, 2, 3})), 1u);
  EXPECT_EQ(*fastest_of(3, timer({3, -1, 2})), 2u);
  const auto none = fastest_of(2, timer({-1, -1}));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().message, "candidate 0 cannot run");
}

class AutotuneFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mts-autotune-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file() const { return folder_ / "deeper" / "algorithms.json"; }

 private:
  fs::path folder_;
};

TEST_F(AutotuneFile, RemembersByMachineAndSignature) {
  AlgorithmCache(file(), "H200 cuDNN 9.1").keep("conv a", "eng1");
  AlgorithmCache other(file(), "H200 cuDNN 9.2");
  EXPECT_EQ(other.find("conv a"), std::nullopt) << "another version";
  other.keep("conv a", "eng2");
  AlgorithmCache again(file(), "H200 cuDNN 9.1");
  EXPECT_EQ(again.find("conv a"), "eng1");
  EXPECT_EQ(again.find("conv b"), std::nullopt);
  EXPECT_EQ(AlgorithmCache(file(), "H200 cuDNN 9.2").find("conv a"), "eng2");
  EXPECT_EQ(std::distance(fs::directory_iterator(file().parent_path()), {}), 1) << "nothing else is left";
}

TEST_F(AutotuneFile, WhatOthersWriteMeanwhileStays) {
  AlgorithmCache one(file(), "m"), two(file(), "m");
  one.keep("a", "1");
  two.keep("b", "2");
  EXPECT_EQ(AlgorithmCache(file(), "m").find("a"), "1");
}

TEST_F(AutotuneFile, ABrokenFileCountsAsNone) {
  fs::create_directories(file().parent_path());
  for (const char* text : {"", "{", "[1]", R"({"m": 5})", R"({"m": {"a": 5}})"}) {
    std::ofstream(file()) << text;
    AlgorithmCache cache(file(), "m");
    EXPECT_EQ(cache.find("a"), std::nullopt) << text;
    cache.keep("a", "1");
    EXPECT_EQ(AlgorithmCache(file(), "m").find("a"), "1") << text;
  }
}

TEST_F(AutotuneFile, AFolderThatCannotBeWrittenIsNoError) {
  AlgorithmCache cache("/proc/nowhere/algorithms.json", "m");
  cache.keep("a", "1");
  EXPECT_EQ(cache.find("a"), "1");
}

// A device whose clock the calls themselves move.
class Clocked final : public DeviceRuntime {
 public:
  double now = 0;
  explicit Clocked(uint64_t capacity = ~uint64_t{0}) : host_(1, capacity) {}
  std::string name() const override { return "clocked"; }
  int32_t max_streams() const override { return 1; }
  Result<DeviceBlock> allocate(uint64_t bytes, std::string_view what) override {
    return host_.allocate(bytes, what);
  }
  Result<void> upload(std::byte*, std::span<const std::byte>) override { return {}; }
  Result<void> download(std::span<std::byte>, const std::byte*) override { return {}; }
  Result<std::unique_ptr<Recording>> record(std::span<const Command> commands, int32_t events,
                                            const Launch& launch) override {
    return host_.record(commands, events, launch);
  }
  Result<void> wait() override { return {}; }
  Result<double> time(const std::function<Result<void>()>& work) override {
    const double before = now;
    MTS_TRY(work());
    return now - before;
  }
  Result<void> flush_caches() override { return {}; }
  Result<DeviceMemory> memory() const override { return DeviceMemory{}; }

 private:
  HostRuntime host_;
};

class Taking final : public PreparedCall {
 public:
  Taking(Clocked& device, double milliseconds, uint64_t workspace, int& launches)
      : device_(device), milliseconds_(milliseconds), workspace_(workspace), launches_(launches) {}
  uint64_t workspace_bytes() const override { return workspace_; }
  Result<void> enqueue(std::span<std::byte* const> operands, std::byte* workspace, void*) override {
    EXPECT_EQ(operands.size(), 3u);
    for (std::byte* operand : operands) EXPECT_NE(operand, nullptr);
    EXPECT_NE(workspace, nullptr);
    std::fill_n(workspace, workspace_, std::byte{1});
    device_.now += milliseconds_;
    ++launches_;
    return {};
  }

 private:
  Clocked& device_;
  double milliseconds_;
  uint64_t workspace_;
  int& launches_;
};

TEST_F(AutotuneFile, MeasuresOnceAndThenRemembers) {
  GemmCall call;
  call.rows = 3, call.columns = 5, call.inner = 7, call.lda = 7, call.ldb = 5, call.ldd = 5;
  const std::vector<uint64_t> bytes = operand_bytes(call);
  EXPECT_THAT(bytes, testing::ElementsAre(4 * 21, 4 * 35, 4 * 15));
  Clocked device;
  int launches = 0;
  std::vector<Candidate> candidates;
  for (const double milliseconds : {2., 1., 4.}) {
    candidates.push_back({"takes " + std::to_string(milliseconds),
                          std::make_shared<Taking>(device, milliseconds, 4096, launches)});
  }
  Autotuner tuner(device, AlgorithmCache(file(), "m"));
  EXPECT_EQ(*tuner.choose(call.signature(), candidates, bytes), candidates[1].call);
  EXPECT_GT(launches, 0);
  launches = 0;
  EXPECT_EQ(*tuner.choose(call.signature(), candidates, bytes), candidates[1].call);
  Autotuner later(device, AlgorithmCache(file(), "m"));
  EXPECT_EQ(*later.choose(call.signature(), candidates, bytes), candidates[1].call);
  // One candidate needs no measuring; one that is not there any more does not count.
  EXPECT_EQ(*later.choose("another", {candidates[2]}, bytes), candidates[2].call);
  EXPECT_EQ(launches, 0);
  candidates.erase(candidates.begin() + 1);
  EXPECT_EQ(*later.choose(call.signature(), candidates, bytes), candidates[0].call);
  EXPECT_GT(launches, 0);
}

TEST(Autotune, WithoutMemoryTheHeuristicsFirstIsTaken) {
  Clocked device(100);
  int launches = 0;
  const std::vector<Candidate> candidates = {{"a", std::make_shared<Taking>(device, 2, 8, launches)},
                                             {"b", std::make_shared<Taking>(device, 1, 8, launches)}};
  Autotuner tuner(device, AlgorithmCache("", "m"));
  const std::vector<uint64_t> bytes = {1000, 1000, 1000};
  EXPECT_EQ(*tuner.choose("a", candidates, bytes), candidates[0].call);
  EXPECT_EQ(launches, 0);
}

TEST(Autotune, KnowsTheOperandsOfEveryCall) {
  ConvCall conv;
  conv.dtype = DType::kFloat16;
  conv.x = {2, 3, 8, 8}, conv.w = {4, 3, 3, 3}, conv.y = {2, 4, 6, 6};
  conv.addend = conv.bias = true;
  EXPECT_THAT(operand_bytes(conv), testing::ElementsAre(768, 216, 576, 8, 576));
  GemmCall gemm;
  gemm.batch = 3, gemm.rows = 2, gemm.columns = 5, gemm.inner = 4, gemm.b_transposed = true;
  gemm.lda = 4, gemm.ldb = 4, gemm.ldd = 5, gemm.stride_b = 20, gemm.stride_d = 10, gemm.stride_bias = 5;
  gemm.bias = true;
  EXPECT_THAT(operand_bytes(gemm), testing::ElementsAre(4 * 8, 4 * 60, 4 * 15, 4 * 30))
      << "a is the same for all";
  PoolCall pool;
  pool.x = {1, 2, 4, 4}, pool.y = {1, 2, 2, 2};
  EXPECT_THAT(operand_bytes(pool), testing::ElementsAre(128, 32));
}

}  // namespace
}  // namespace mts::exec::cuda
